//! What a child process prints, gathered while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::patience::until_some;

/// The lines that a child has printed so far, standard output and standard error in one.
pub struct Output {
    lines: Vec<String>,
    more: Receiver<String>,
    sender: Option<Sender<String>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        let (sender, more) = channel();
        Self {
            lines: Vec::new(),
            more,
            sender: Some(sender),
        }
    }

    /// Gathers one stream, on a thread that ends with it.
    pub(crate) fn gather(&self, stream: impl Read + Send + 'static) {
        let sender = self
            .sender
            .clone()
            .expect("streams are gathered before the end is awaited");
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                if sender
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
    }

    /// Everything that has been printed so far.
    pub fn so_far(&mut self) -> String {
        self.lines.extend(self.more.try_iter());
        self.lines.join("\n")
    }

    /// Everything, once every stream has ended; or a moment later, if somebody keeps one open.
    pub fn rest(&mut self) -> String {
        self.sender = None;
        while let Ok(line) = self.more.recv_timeout(AFTER_THE_END) {
            self.lines.push(line);
        }
        self.lines.join("\n")
    }

    /// Waits for a line that holds `part`, and returns it.
    ///
    /// # Panics
    /// When none comes within `limit`; with what was printed instead.
    #[track_caller]
    pub fn line_with(&mut self, part: &str, limit: Duration) -> String {
        until_some(format!("a line with {part:?}"), limit, || {
            self.lines.extend(self.more.try_iter());
            self.lines.iter().find(|line| line.contains(part)).cloned()
        })
    }
}

/// A daemon that a process leaves behind may hold its output open.
const AFTER_THE_END: Duration = Duration::from_millis(500);
