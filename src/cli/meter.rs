//! How many octets a long command has copied or read: a bar on a terminal, lines elsewhere, JSON if
//! that is wanted.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::backup::Progress;

/// Says on standard error how far a command has come.
pub(super) struct Meter {
    how: How,
    what: String,
    done: u64,
    total: u64,
    told: Instant,
}

enum How {
    Bar(ProgressBar),
    Json,
    Lines,
}

impl Meter {
    pub(super) fn new(output: &Output) -> Self {
        let how = if output.json {
            How::Json
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(BAR).expect("the template is well formed");
            How::Bar(bar.with_style(style))
        } else {
            How::Lines
        };
        Self {
            how,
            what: String::new(),
            done: 0,
            total: 0,
            told: Instant::now(),
        }
    }

    fn tell(&mut self, at_once: bool) {
        if let How::Bar(bar) = &self.how {
            bar.set_length(self.total);
            bar.set_position(self.done);
            return;
        }
        if !at_once && self.told.elapsed() < PAUSE {
            return;
        }
        self.told = Instant::now();
        let (what, done, total) = (&self.what, self.done, self.total);
        let line = match self.how {
            How::Json => {
                serde_json::json!({ "progress": what, "done": done, "total": total }).to_string()
            }
            _ => format!("{what}: {done} of {total} octets"),
        };
        // Whether somebody reads it is nobody's concern.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

impl Progress for Meter {
    fn begin(&mut self, what: &str, total: u64) {
        what.clone_into(&mut self.what);
        (self.done, self.total) = (0, total);
        if let How::Bar(bar) = &self.how {
            bar.reset();
            bar.set_message(what.to_owned());
        }
        self.tell(true);
    }

    fn advance(&mut self, octets: u64) {
        self.done += octets;
        self.tell(false);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let How::Bar(bar) = &self.how {
            bar.finish_and_clear();
        }
    }
}

const BAR: &str = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta}";

/// Lines are for logs.
const PAUSE: Duration = Duration::from_secs(5);
