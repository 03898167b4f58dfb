//! Work that each thread of the runtime has to do for itself.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, task};

/// Has each thread on which actors run do `work`, and each that does [`blocking`](crate::blocking) work; returns at
/// once.
///
/// A thread that sleeps is woken only when those who are awake have enough to do. So there are as many tasks as
/// threads, and they wait for each other, for some milliseconds at most: whatever else comes meanwhile
/// waits with them. That is for moments when little does. Who is at work for longer than that is left out.
///
/// # Panics
/// Outside a runtime.
pub fn on_each_thread(work: impl Fn() + Clone + Send + 'static) {
    meet(work, PATIENCE);
}

fn meet(work: impl Fn() + Clone + Send + 'static, patience: Duration) {
    let workers = Handle::current().metrics().num_workers();
    for part in Meeting::new(workers, patience).parts(&work) {
        task::spawn(async { part() });
    }
    // So many work at a time, so there are hardly ever more of them; those that there are not begin now,
    // and leave after some seconds.
    let helpers = thread::available_parallelism().map_or(1, usize::from);
    for part in Meeting::new(helpers, patience).parts(&work) {
        task::spawn_blocking(part);
    }
}

/// Some threads that wait until all of them are there.
struct Meeting {
    expected: usize,
    until: Instant,
    arrived: Mutex<usize>,
    complete: Condvar,
}

impl Meeting {
    fn new(expected: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            expected,
            until: Instant::now() + patience,
            arrived: Mutex::default(),
            complete: Condvar::new(),
        })
    }

    /// What each of them does.
    fn parts<W: Fn() + Clone>(
        self: Arc<Self>,
        work: &W,
    ) -> impl Iterator<Item = impl FnOnce() + use<W>> {
        let expected = self.expected;
        let part = move |work: W| {
            let meeting = self.clone();
            move || {
                work();
                meeting.wait();
            }
        };
        std::iter::repeat_n(work.clone(), expected).map(part)
    }

    fn wait(&self) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        *arrived += 1;
        if *arrived == self.expected {
            self.complete.notify_all();
        }
        let left = self.until.saturating_duration_since(Instant::now());
        let is_incomplete = |arrived: &mut usize| *arrived < self.expected;
        // Complete or not: nobody is waited for any longer.
        drop(
            self.complete
                .wait_timeout_while(arrived, left, is_incomplete),
        );
    }
}

/// Threads that sleep are awake long before, also where the machine does other work.
const PATIENCE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 5)]
    async fn each_thread_does_its_part_also_those_that_sleep() {
        let helpers = thread::available_parallelism().map_or(1, usize::from);
        let (tell, mut told) = mpsc::unbounded_channel();
        let work = move || tell.send(thread::current().id()).unwrap();
        meet(work, Duration::from_secs(600));
        let mut threads = HashSet::new();
        while let Some(thread) = told.recv().await {
            threads.insert(thread);
        }
        assert_eq!(threads.len(), 5 + helpers);
    }

    #[tokio::test]
    async fn nobody_is_waited_for_in_vain() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let meeting = Meeting::new(3, Duration::ZERO);
        for part in meeting.parts(&move || tell.send(()).unwrap()) {
            part();
        }
        while told.recv().await.is_some() {}
    }
}
