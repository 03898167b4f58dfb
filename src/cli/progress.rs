//! How far long work of a command has come: a bar on a terminal, plain lines elsewhere, JSON if
//! that is what answers are.
#![allow(
    clippy::disallowed_types,
    reason = "the store tells from wherever it works, and a command has no actors"
)]

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use store::{Progress, Stage, Teller};

use super::output::Output;

/// Tells people on standard error, so that the answer stays alone on standard output.
pub(super) fn teller(output: &Output) -> Teller {
    let sink = if output.json {
        Sink::Json
    } else if io::stderr().is_terminal() {
        Sink::Bar(ProgressBar::with_draw_target(
            None,
            ProgressDrawTarget::stderr(),
        ))
    } else {
        Sink::Lines
    };
    let told = Mutex::new(Told { sink, latest: None });
    Arc::new(move |progress| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.hear(progress);
    })
}

struct Told {
    sink: Sink,
    latest: Option<(Stage, Instant)>,
}

enum Sink {
    Bar(ProgressBar),
    Json,
    Lines,
}

#[derive(Serialize)]
struct Line {
    stage: &'static str,
    done: u64,
    total: u64,
}

impl Told {
    fn hear(&mut self, progress: Progress) {
        let begins = self.latest.is_none_or(|(stage, _)| stage != progress.stage);
        let ends = progress.done == progress.total;
        if let Sink::Bar(bar) = &self.sink {
            if begins {
                bar.reset();
                bar.set_style(style());
                bar.set_message(name(progress.stage));
            }
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            if ends {
                bar.finish_and_clear();
            }
            self.latest = Some((progress.stage, Instant::now()));
            return;
        }
        let is_due = self.latest.is_none_or(|(_, at)| at.elapsed() >= EVERY);
        if !(begins || ends || is_due) {
            return;
        }
        self.latest = Some((progress.stage, Instant::now()));
        let text = match self.sink {
            Sink::Json => serde_json::to_string(&Line {
                stage: name(progress.stage),
                done: progress.done,
                total: progress.total,
            })
            .expect("a line has no maps with keys that are no strings"),
            _ => format!(
                "{}: {} of {}",
                name(progress.stage),
                progress.done,
                progress.total
            ),
        };
        // Nobody may be looking: that is no reason to end.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// In the plural, because a number stands beside it.
const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Bodies => "bodies read",
        Stage::Checkpoint => "octets of the checkpoint loaded",
        Stage::Compare => "partitions compared",
        Stage::Journal => "segments applied",
        Stage::Segments => "segments read",
        _ => "steps",
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How often a line is written.
const EVERY: Duration = Duration::from_secs(10);
