//! The rules of OTP's `supervisor`, written a second time and in another way: everything happens
//! at once and in one thread, as it does inside an Erlang supervisor. The core is checked against
//! it.

use std::time::Duration;

use crate::spec::{AutoShutdown, Intensity, Restart, Strategy};

/// What can be seen of a supervisor from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trace {
    Ended(Why),
    Started(usize),
    Stopped(usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Why {
    Asked,
    Auto,
    GaveUpOn(usize),
    NeverUp(usize),
}

/// A supervisor whose children start and stop in no time.
pub(super) struct Otp<F> {
    pub(super) strategy: Strategy,
    pub(super) intensity: Intensity,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) children: Vec<Pid>,
    /// Whether the n-th start works.
    pub(super) works: F,
    pub(super) starts: usize,
    pub(super) restarts: Vec<Duration>,
    pub(super) trace: Vec<Trace>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pid {
    pub(super) restart: Restart,
    pub(super) significant: bool,
    pub(super) alive: bool,
    /// A temporary child that has ended is no child any more.
    pub(super) deleted: bool,
}

impl<F: FnMut(usize) -> bool> Otp<F> {
    pub(super) fn init(&mut self) {
        for child in 0..self.children.len() {
            if !self.start_child(child) {
                self.shut_down(Why::NeverUp(child));
                return;
            }
        }
    }

    /// A child has ended by itself at `now`.
    pub(super) fn exit(&mut self, child: usize, abnormal: bool, now: Duration) {
        if self.is_over() || !self.children[child].alive {
            return;
        }
        self.children[child].alive = false;
        match (self.children[child].restart, abnormal) {
            (Restart::Permanent, _) | (Restart::Transient, true) => self.restart(child, now),
            (Restart::Temporary, _) => {
                self.children[child].deleted = true;
                self.may_shut_down(child);
            }
            (Restart::Transient, false) => self.may_shut_down(child),
        }
    }

    /// `start_child`: behind the others; a child that does not start is none.
    pub(super) fn add(&mut self, restart: Restart, significant: bool) {
        if self.is_over() {
            return;
        }
        let child = self.children.len();
        self.children.push(Pid {
            restart,
            significant,
            alive: false,
            deleted: false,
        });
        if !self.start_child(child) {
            self.delete(child);
        }
    }

    /// `terminate_child`, then `delete_child`.
    pub(super) fn remove(&mut self, child: usize) {
        if self.is_over() || self.children[child].deleted {
            return;
        }
        if self.children[child].alive {
            self.children[child].alive = false;
            self.trace.push(Trace::Stopped(child));
        }
        self.delete(child);
    }

    fn delete(&mut self, child: usize) {
        self.children[child].deleted = true;
        self.children[child].significant = false;
    }

    pub(super) fn shut_down(&mut self, why: Why) {
        if !self.is_over() {
            self.terminate(0);
            self.trace.push(Trace::Ended(why));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.trace.last(), Some(Trace::Ended(_)))
    }

    fn may_shut_down(&mut self, child: usize) {
        if !self.children[child].significant {
            return;
        }
        let alive = self
            .children
            .iter()
            .any(|child| child.significant && child.alive);
        match self.auto_shutdown {
            AutoShutdown::AnySignificant => self.shut_down(Why::Auto),
            AutoShutdown::AllSignificant if !alive => self.shut_down(Why::Auto),
            _ => {}
        }
    }

    fn restart(&mut self, child: usize, now: Duration) {
        let mut failed = Some(child);
        while let Some(child) = failed {
            self.restarts.push(now);
            let since = now.saturating_sub(self.intensity.window);
            let recent = self.restarts.iter().filter(|&&at| at >= since).count();
            if recent > self.intensity.restarts_max as usize {
                self.shut_down(Why::GaveUpOn(child));
                return;
            }
            failed = match self.strategy {
                Strategy::OneForAll => self.restart_from(0),
                Strategy::OneForOne => (!self.start_child(child)).then_some(child),
                Strategy::RestForOne => self.restart_from(child),
            };
        }
    }

    /// Terminates and starts again; tells whose start failed.
    fn restart_from(&mut self, first: usize) -> Option<usize> {
        self.terminate(first);
        (first..self.children.len())
            .find(|&child| !self.children[child].deleted && !self.start_child(child))
    }

    fn terminate(&mut self, first: usize) {
        for child in (first..self.children.len()).rev() {
            let pid = &mut self.children[child];
            if pid.alive {
                pid.alive = false;
                self.trace.push(Trace::Stopped(child));
            }
            pid.deleted |= pid.restart == Restart::Temporary;
        }
    }

    fn start_child(&mut self, child: usize) -> bool {
        self.trace.push(Trace::Started(child));
        self.starts += 1;
        self.children[child].alive = (self.works)(self.starts);
        self.children[child].alive
    }
}
