//! What an incarnation does and has done: the message in hand, the last ones, and a blow to come.
//!
//! Written by the actor's wrapping alone, read by whoever looks: the lock is never waited for.

use std::{
    any::Any,
    cell::RefCell,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    cause::{ExitCause, PanicReport},
    inbox::Inbox,
    panic_hook::caught_now,
    presence::Presence,
    trial::Blow,
};

/// Notes what the handler that is running has in hand: a crash is reported with it. It is
/// forgotten when the handler returns. Outside a supervised actor nothing is noted.
pub fn in_hand(subject: impl Any + fmt::Display + Send + Sync) {
    here(|presence| presence.flight().takes(InHand(Arc::new(subject))));
}

/// Says that the handler that is running makes progress: it is not stuck, however long it takes.
/// For long work without an await in it. Outside a supervised actor nothing happens.
pub fn proceeds() {
    here(|presence| presence.flight().proceeds());
}

/// Awaits somebody who may take his time: a peer that does not read, a disk, another actor that
/// was given a time limit. An actor that waits so is not stuck, however long it takes.
pub async fn waits<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    if let Poll::Ready(output) = first {
        return output; // most do not have to wait, and pay nothing
    }
    let waiting = here(Arc::clone);
    let _wait = waiting
        .as_ref()
        .map(|presence| presence.flight().begins_to_wait());
    future.await
}

/// Anything that can be in hand; it is written as text only when somebody looks.
trait Subject: Any + fmt::Display + Send + Sync {}

impl<T: Any + fmt::Display + Send + Sync> Subject for T {}

/// What an actor noted by [`in_hand`].
#[derive(Clone)]
pub struct InHand(Arc<dyn Subject>);

impl InHand {
    /// The subject itself, for who knows its type.
    #[must_use]
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        let subject: &dyn Any = &*self.0;
        subject.downcast_ref()
    }
}

impl fmt::Display for InHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for InHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InHand({})", self.0)
    }
}

/// Tells whose handler is running, if one is.
fn here<T>(tell: impl FnOnce(&Arc<Presence>) -> T) -> Option<T> {
    let told = HERE.try_with(|here| here.borrow().as_ref().map(tell));
    told.ok().flatten()
}

/// Runs a handler: while it is polled it is known whose it is, and a panic in it becomes a report.
///
/// `whose` lies on the thread for that time, and not beside it: to count it once more, and less, for
/// each message would take longer than all the rest.
pub(crate) async fn handles<F: Future>(
    whose: &mut Option<Arc<Presence>>,
    mut handler: Pin<Box<F>>,
) -> Result<F::Output, PanicReport> {
    poll_fn(move |context| {
        let _here = Here::enter(whose);
        match caught_now(|| handler.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(report) => Poll::Ready(Err(report)),
        }
    })
    .await
}

/// While it lives, the handler that runs on this thread is known.
struct Here<'a>(&'a mut Option<Arc<Presence>>);

impl<'a> Here<'a> {
    fn enter(whose: &'a mut Option<Arc<Presence>>) -> Self {
        swap(whose);
        Self(whose)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        swap(self.0);
    }
}

fn swap(whose: &mut Option<Arc<Presence>>) {
    let _ = HERE.try_with(|here| std::mem::swap(&mut *here.borrow_mut(), whose)); // or it is dying
}

thread_local! {
    /// Whose handler is running.
    static HERE: RefCell<Option<Arc<Presence>>> = const { RefCell::new(None) };
}

/// One message that an actor has handled.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Recent {
    /// What kind of message: [`Told::kind`](crate::Told::kind).
    pub kind: &'static str,
    /// How long ago it was taken out of the inbox, in seconds.
    pub ago_seconds: f64,
    /// How long the handler took, in seconds; none if it is still at it, or crashed.
    pub took_seconds: Option<f64>,
}

/// What is known of an incarnation at its end.
#[derive(Debug, Default)]
pub(crate) struct Last {
    pub(crate) in_hand: Option<InHand>,
    pub(crate) recent: Vec<Recent>,
    /// It is to be killed because its handler does not return.
    pub(crate) is_stuck: bool,
}

/// The recorder of one incarnation.
#[derive(Default)]
pub(crate) struct Flight {
    /// Since when the handler has been running, or when it last made progress, in microseconds;
    /// 0: none is.
    since: AtomicU64,
    /// Whether a blow waits in the log: looked at before each message.
    is_aimed_at: AtomicBool,
    is_stuck: AtomicBool,
    /// Whether something is in hand.
    has_in_hand: AtomicBool,
    /// How many things the handler waits for that may take their time.
    waits: AtomicU8,
    /// How long the last handler took, in microseconds; [`UNDER_WAY`] until it has returned. The log
    /// has it with the next message, so that it is locked once for each.
    took: AtomicU32,
    inbox: Inbox,
    /// Allocated with the first message.
    log: Mutex<Option<Box<Log>>>,
    meter: OnceLock<metrics::Histogram>,
}

#[derive(Default)]
struct Log {
    lines: [Line; LINES],
    count: usize,
    in_hand: Option<InHand>,
    /// For the handler of the next message.
    blow: Option<Arc<Blow>>,
}

#[derive(Clone, Copy, Default)]
struct Line {
    kind: &'static str,
    at: u64,
    /// In microseconds; [`UNDER_WAY`] until the handler has returned.
    took: u32,
}

impl Flight {
    /// A turn of its life begins that no message has brought.
    pub(crate) fn beats(&self) -> Beat<'_> {
        self.since.store(now(), Ordering::Relaxed);
        Beat(self)
    }

    /// The handler of a message begins; it has returned, or was dropped, once the beat is dropped.
    pub(crate) fn begins(&self, kind: &'static str) -> (Beat<'_>, Began) {
        self.inbox.take();
        let at = now();
        self.since.store(at, Ordering::Relaxed);
        let mut log = self.log();
        let log = log.get_or_insert_default();
        log.in_hand = None;
        log.note_took(self.took.load(Ordering::Relaxed), at);
        self.took.store(UNDER_WAY, Ordering::Relaxed);
        let line = log.count % LINES;
        log.lines[line] = Line {
            kind,
            at,
            took: UNDER_WAY,
        };
        log.count = log.count.wrapping_add(1);
        let is_measured = line == 0;
        (Beat(self), Began { at, is_measured })
    }

    /// The handler has returned, and all is well. `meter` is asked once, for who measures.
    ///
    /// The clock is looked at if the message is measured, or if nothing else waits: otherwise the
    /// next one begins at once, and looks at it.
    pub(crate) fn ends(&self, began: Began, meter: impl FnOnce() -> metrics::Histogram) {
        if began.is_measured || self.inbox.depth() == 0 {
            let took = now().saturating_sub(began.at);
            self.took.store(in_a_line(took), Ordering::Relaxed);
            if began.is_measured {
                let meter = self.meter.get_or_init(meter);
                meter.record(Duration::from_micros(took));
            }
        }
        if self.has_in_hand.load(Ordering::Relaxed) {
            self.has_in_hand.store(false, Ordering::Relaxed);
            let in_hand = self.log().as_mut().and_then(|log| log.in_hand.take());
            drop(in_hand); // outside the lock
        }
    }

    /// The messages that wait for it.
    pub(crate) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    fn proceeds(&self) {
        self.since.store(now(), Ordering::Relaxed);
    }

    fn begins_to_wait(&self) -> Wait<'_> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        Wait(self)
    }

    /// Whether the handler waits for somebody who may take his time.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Relaxed) > 0
    }

    /// For how long the present handler has been at work without progress.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        self.busy().filter(|_| !self.is_waiting())
    }

    /// For how long the present handler has been running since it last made progress.
    pub(crate) fn busy(&self) -> Option<Duration> {
        let since = self.since.load(Ordering::Relaxed);
        (since > 0).then(|| Duration::from_micros(now().saturating_sub(since)))
    }

    /// Notes whether its handler does not return; tells what was noted before.
    pub(crate) fn is_stuck(&self, is_stuck: bool) -> bool {
        self.is_stuck.swap(is_stuck, Ordering::Relaxed)
    }

    fn takes(&self, subject: InHand) {
        self.has_in_hand.store(true, Ordering::Relaxed);
        self.log().get_or_insert_default().in_hand = Some(subject);
    }

    /// The message in hand and the last ones, the newest first.
    pub(crate) fn last(&self) -> Last {
        let log = self.log();
        let Some(log) = log.as_ref() else {
            return Last::default();
        };
        let (now, took) = (now(), self.took.load(Ordering::Relaxed));
        let newest_first = (0..log.count.min(LINES)).map(|age| {
            let mut line = log.lines[log.count.wrapping_sub(1 + age) % LINES];
            if age == 0 {
                line.took = took;
            }
            Recent {
                kind: line.kind,
                ago_seconds: seconds(now.saturating_sub(line.at)),
                took_seconds: (line.took != UNDER_WAY).then(|| seconds(u64::from(line.took))),
            }
        });
        Last {
            in_hand: log.in_hand.clone(),
            recent: newest_first.collect(),
            is_stuck: self.is_stuck.load(Ordering::Relaxed),
        }
    }

    /// The handler of the next message is to be struck, and not by what was meant for it before.
    pub(crate) fn aim(&self, blow: &Arc<Blow>) {
        self.log().get_or_insert_default().blow = Some(Arc::clone(blow));
        self.is_aimed_at.store(true, Ordering::Relaxed);
    }

    /// Suffers the blow that is due.
    pub(crate) async fn suffer(&self) -> Result<(), ExitCause> {
        if !self.is_aimed_at.load(Ordering::Relaxed) {
            return Ok(());
        }
        let blow = {
            let mut log = self.log();
            self.is_aimed_at.store(false, Ordering::Relaxed);
            log.as_mut().and_then(|log| log.blow.take())
        };
        match blow {
            Some(blow) => blow.strike().await,
            None => Ok(()),
        }
    }

    fn log(&self) -> MutexGuard<'_, Option<Box<Log>>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// How long the last message took; until the next one began, if nobody looked before.
    fn note_took(&mut self, took: u32, now: u64) {
        // Before the first message it is the last line, and nobody sees it.
        let last = &mut self.lines[self.count.wrapping_sub(1) % LINES];
        last.took = match took {
            UNDER_WAY => in_a_line(now.saturating_sub(last.at)),
            took => took,
        };
    }
}

/// Microseconds, as a line has them.
fn in_a_line(took: u64) -> u32 {
    u32::try_from(took).unwrap_or(UNDER_WAY - 1)
}

/// When the handler of a message began.
#[derive(Clone, Copy)]
pub(crate) struct Began {
    at: u64,
    /// Whether this is one of those that are measured.
    is_measured: bool,
}

/// A running handler.
pub(crate) struct Beat<'a>(&'a Flight);

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.0.since.store(0, Ordering::Relaxed);
    }
}

/// A handler that waits for somebody who may take his time.
struct Wait<'a>(&'a Flight);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.waits.fetch_sub(1, Ordering::Relaxed);
        self.0.proceeds();
    }
}

/// Microseconds, never zero.
fn now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let passed = EPOCH.get_or_init(Instant::now).elapsed();
    // Not `as_micros`, which reckons with 128 bits: this is done twice for each message.
    passed.as_secs() * 1_000_000 + u64::from(passed.subsec_micros()) + 1
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

/// How many messages are remembered. Every so manieth is measured: one that waits for a scrape
/// takes eight octets, and a busy actor handles a hundred thousand a second.
const LINES: usize = 8;

const UNDER_WAY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

    #[test]
    fn the_last_messages_are_kept_and_the_newest_is_first() {
        let flight = Flight::default();
        assert!(flight.last().recent.is_empty());
        for kind in KINDS {
            let (beat, began) = flight.begins(kind);
            flight.ends(began, metrics::Histogram::noop);
            drop(beat);
        }
        let kinds: Vec<_> = flight.last().recent.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, ["9", "8", "7", "6", "5", "4", "3", "2"]);
        assert_eq!(flight.busy(), None);
    }

    #[test]
    fn what_was_in_hand_is_known_until_the_handler_has_returned_well() {
        let flight = Flight::default();
        let (beat, _) = flight.begins("first");
        flight.takes(InHand(Arc::new(17_u32)));
        drop(beat); // it crashed
        let last = flight.last();
        assert_eq!(last.in_hand.unwrap().downcast_ref(), Some(&17_u32));
        assert_eq!(last.recent[0].took_seconds, None);
        let (beat, began) = flight.begins("second");
        flight.takes(InHand(Arc::new(18_u32)));
        flight.ends(began, metrics::Histogram::noop);
        drop(beat);
        let last = flight.last();
        assert!(last.in_hand.is_none());
        assert!(last.recent[0].took_seconds.is_some());
    }

    #[test]
    fn whoever_has_more_to_do_is_timed_by_the_next_message() {
        let flight = Flight::default();
        for _ in 0..4 {
            flight.inbox().add();
        }
        for kind in &KINDS[..4] {
            let (beat, began) = flight.begins(kind);
            flight.ends(began, metrics::Histogram::noop);
            drop(beat);
        }
        let recent = flight.last().recent;
        assert!(recent.iter().all(|line| line.took_seconds.is_some()));
        assert_eq!(flight.inbox().depth(), 0);
    }

    #[test]
    fn an_actor_that_was_told_nothing_keeps_no_log() {
        assert!(size_of::<Flight>() <= 64, "{}", size_of::<Flight>());
        assert!(size_of::<Log>() <= 320, "{}", size_of::<Log>());
    }
}
