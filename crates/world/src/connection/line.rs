//! The state of one connection: its phase, its credit and its clocks, and what comes next.
//!
//! ```text
//!           start_tls          handshake done
//!    ┌─ Open ────────▶ Securing ────────▶ Open ─┐ close_after, or the peer's end
//!    │                    │                     ▼
//!    │                    │                  Closing ──all is written──▶ Lingering ──▶ over
//!    └────────────────────┴───── reset, time-out ────────────────────────────────────▶ over
//! ```
//!
//! It is behind a lock that is held for as long as a system call takes: the pump steps it, and
//! orders of the session change it.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use super::{
    event::{Event, Gone, Limit, Refused, Why},
    options::Options,
    socket::Io,
    wire::Wire,
};
use crate::{
    metrics::OCTETS,
    tls::{ServerTls, TlsInfo},
};

/// One connection's state.
pub(super) struct Line {
    /// Whether the session waits for octets.
    credit: bool,
    /// When the connection's lifetime is over.
    end: Option<Instant>,
    /// What the session was told of and has not put anywhere safe.
    handed: Bytes,
    /// Whether the session has heard that; false again for its successor.
    has_heard: bool,
    /// Octets that came before they were asked for: with the end of a handshake.
    early: Bytes,
    /// When the peer's silence began: its last octets, or our last question.
    heard: Instant,
    idle: Duration,
    info: Option<TlsInfo>,
    /// Whether the pump will be woken when the socket is readable.
    parked: bool,
    phase: Phase,
    /// Whether somebody was told that the queue is full.
    refused: bool,
    /// Whether a writer waits for room.
    waited_for: bool,
    waker: Option<Waker>,
    /// The limit that the session was told of, and when its time to say goodbye is over.
    warned: Option<(Limit, Instant)>,
    wire: Wire,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Writes what is left, then ends for this reason.
    Closing(Why),
    /// Everything is said; what the peer still sends is thrown away, so that the kernel does not
    /// answer it with a reset that destroys our last words on their way (RFC 1122 §4.2.2.13).
    Lingering {
        discarded: usize,
    },
    Open,
    Over(Why),
    Securing,
}

/// What the pump must do next.
pub(super) enum Step {
    /// It is over.
    End,
    /// Tell the session.
    Say(Event),
    /// Wait for the socket, an order, or this moment.
    Wait(Instant),
}

impl Line {
    pub(super) fn new(io: Io, options: &Options) -> Self {
        let now = Instant::now();
        Self {
            credit: false,
            early: Bytes::new(),
            end: options.lifetime.map(|lifetime| now + lifetime),
            handed: Bytes::new(),
            has_heard: false,
            heard: now,
            idle: options.idle,
            info: None,
            parked: false,
            phase: Phase::Open,
            refused: false,
            waited_for: false,
            waker: None,
            warned: None,
            wire: Wire::new(io, options.tls.clone(), now),
        }
    }

    // Orders of the session.

    /// Takes octets to write, and hands them to the kernel if nothing is before them.
    pub(super) fn write(&mut self, pieces: impl IntoIterator<Item = Bytes>) -> Result<(), Gone> {
        if !self.is_open() {
            return Err(Gone);
        }
        let was_empty = self.wire.queued() == 0;
        self.wire.queue(pieces);
        if was_empty {
            self.write_now();
        }
        Ok(())
    }

    /// As [`write`](Self::write), unless the queue is full.
    pub(super) fn try_write(&mut self, octets: Bytes, octets_max: usize) -> Result<(), Refused> {
        if !self.is_open() {
            return Err(Refused::Gone);
        }
        if self.wire.queued() > 0 && self.wire.queued() + octets.len() > octets_max {
            return Err(Refused::Full(octets));
        }
        self.write([octets]).map_err(|Gone| Refused::Gone)
    }

    /// Somebody was refused and wants [`Event::Room`].
    pub(super) fn promise_room(&mut self) {
        self.refused = true;
    }

    /// Somebody was refused and waits for the bell.
    pub(super) fn wait_for_room(&mut self) {
        self.waited_for = true;
    }

    /// What was read and has not been heard by this session.
    pub(super) fn hear(&mut self) -> Bytes {
        if std::mem::replace(&mut self.has_heard, true) {
            return Bytes::new();
        }
        self.handed.clone()
    }

    /// What was heard is safe.
    pub(super) fn acknowledge(&mut self) {
        if self.has_heard {
            self.handed = Bytes::new();
        }
    }

    /// Somebody else serves now.
    pub(super) const fn hand_again(&mut self) {
        self.has_heard = false;
    }

    pub(super) fn read_on(&mut self) {
        self.acknowledge();
        if !self.handed.is_empty() {
            return; // that comes first: its event is on its way
        }
        self.credit = true;
        self.heard = Instant::now();
        // What came with the end of a handshake is here already: no socket will wake the pump.
        if !self.parked || !self.early.is_empty() {
            self.wake();
        }
    }

    pub(super) fn start_tls(&mut self, tls: ServerTls) -> Result<(), Gone> {
        if !self.is_open() || !self.wire.order_tls(tls) {
            return Err(Gone);
        }
        self.wake();
        Ok(())
    }

    pub(super) fn close_after(&mut self, last_words: Bytes) {
        if self.write([last_words]).is_ok() {
            self.phase = Phase::Closing(Why::Ended);
            self.wake();
        }
    }

    pub(super) fn abort(&mut self) {
        if self.is_open() {
            self.phase = Phase::Over(Why::Ended);
            self.wake();
        }
    }

    pub(super) fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
        self.wake();
    }

    pub(super) const fn queued(&self) -> usize {
        self.wire.queued()
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Securing)
    }

    pub(super) fn tls(&self) -> Option<TlsInfo> {
        self.info.clone()
    }

    pub(super) fn is_securing(&self) -> bool {
        self.phase == Phase::Securing || (self.is_open() && self.wire.awaits_tls())
    }

    pub(super) fn overdue(&self) -> Option<Limit> {
        let (limit, _) = self.warned.filter(|_| self.is_open())?;
        Some(limit)
    }

    pub(super) fn export(&self, label: &[u8]) -> Option<[u8; 32]> {
        self.wire.export(label)
    }

    /// Gives everything back; whatever is ordered from now on is refused.
    pub(super) fn let_go(&mut self) {
        self.phase = Phase::Over(Why::Ended);
        self.wire.let_go();
        self.waker = None;
    }

    // Steps of the pump.

    /// Does what can be done now.
    pub(super) fn step(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        options: &Options,
        room: &Notify,
    ) -> Step {
        match &mut self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            other => *other = Some(cx.waker().clone()),
        }
        self.parked = false;
        let now = Instant::now();
        match self.advance(cx, scratch, options, room, now) {
            Ok(Some(event)) => Step::Say(event),
            Ok(None) => self.look_at_the_clock(options, now),
            Err(why) => self.over(why),
        }
    }

    /// Ends it, and says so once.
    fn over(&mut self, why: Why) -> Step {
        let was_told = self.wire.is_let_go() || matches!(self.phase, Phase::Lingering { .. });
        self.let_go();
        if was_told {
            Step::End
        } else {
            Step::Say(Event::Closed(why))
        }
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        options: &Options,
        room: &Notify,
        now: Instant,
    ) -> Result<Option<Event>, Why> {
        if let Phase::Over(why) = self.phase {
            return Err(why);
        }
        let owed = self.wire.owes();
        self.wire.poll_out(cx, now)?;
        if owed && !self.wire.owes() {
            self.heard = now; // who reads for an hour what we have to say has not been silent
        }
        if self.wire.queued() <= options.queue_octets / 2 {
            if std::mem::take(&mut self.waited_for) {
                room.notify_waiters();
            }
            if std::mem::take(&mut self.refused) {
                return Ok(Some(Event::Room));
            }
        }
        if self.wire.begin_tls()? {
            self.heard = now;
            if self.phase == Phase::Open {
                self.phase = Phase::Securing;
            }
        }
        match self.phase {
            Phase::Closing(why) => self.close(cx, why, now),
            Phase::Lingering { discarded } => self.linger(cx, scratch, discarded),
            Phase::Open if self.wire.awaits_tls() => Ok(None),
            // Who asks on and on and takes no answer is not listened to: the queue stays bounded.
            Phase::Open if self.credit && self.wire.queued() <= options.queue_octets => {
                self.listen(cx, scratch, now)
            }
            Phase::Open => {
                self.parked = self.wire.io()?.poll_readable(cx).is_pending();
                Ok(None)
            }
            Phase::Over(why) => Err(why),
            Phase::Securing => self.secure(cx, scratch, now),
        }
    }

    /// Reads for the session, which asked for it.
    fn listen(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        now: Instant,
    ) -> Result<Option<Event>, Why> {
        let octets = if self.early.is_empty() {
            match self.wire.read(cx, scratch)? {
                Poll::Pending => {
                    self.parked = true;
                    return Ok(None);
                }
                Poll::Ready(octets) => octets,
            }
        } else {
            std::mem::take(&mut self.early)
        };
        if octets.is_empty() {
            // The peer has sent its last; it may still read what we owe it.
            self.phase = Phase::Closing(Why::Peer);
            return self.close(cx, Why::Peer, now);
        }
        OCTETS.add(octets.len() as u64, &["in"]);
        self.handed = octets;
        self.has_heard = false;
        self.credit = false;
        self.heard = now;
        if matches!(self.warned, Some((Limit::Idle, _))) {
            self.warned = None;
        }
        Ok(Some(Event::Octets))
    }

    /// Goes on with the handshake.
    fn secure(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        now: Instant,
    ) -> Result<Option<Event>, Why> {
        loop {
            if !self.wire.is_handshaking() {
                let info = self.wire.info().ok_or(Why::Tls)?;
                self.info = Some(info.clone());
                self.phase = Phase::Open;
                self.heard = now;
                return Ok(Some(Event::Secured(info)));
            }
            match self.wire.shake(cx, scratch)? {
                Poll::Pending => return Ok(None),
                Poll::Ready(early) => self.early = early,
            }
            self.wire.poll_out(cx, now)?;
        }
    }

    /// Ends the stream once everything is written.
    fn close(
        &mut self,
        cx: &mut Context<'_>,
        why: Why,
        now: Instant,
    ) -> Result<Option<Event>, Why> {
        if self.wire.is_handshaking() {
            return Err(why); // what is to be said must not be said in the clear
        }
        if self.wire.owes() {
            return Ok(None);
        }
        self.wire.end(cx, now)?;
        if why != Why::Ended {
            return Err(why);
        }
        self.phase = Phase::Lingering { discarded: 0 };
        self.heard = now;
        Ok(Some(Event::Closed(why)))
    }

    fn linger(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        mut discarded: usize,
    ) -> Result<Option<Event>, Why> {
        while discarded < LINGER_OCTETS_MAX {
            match self.wire.io()?.poll_read(cx, scratch) {
                Poll::Pending => {
                    self.phase = Phase::Lingering { discarded };
                    return Ok(None);
                }
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(n)) => discarded += n,
            }
        }
        Err(Why::Ended)
    }

    /// Writes on the session's own thread; the pump gets what is left.
    fn write_now(&mut self) {
        if self.phase != Phase::Open || self.wire.awaits_tls() {
            return;
        }
        let now = Instant::now();
        self.wire.offer(now);
        if let Err(why) = self
            .wire
            .poll_out(&mut Context::from_waker(Waker::noop()), now)
        {
            self.phase = Phase::Over(why);
            self.wake();
        } else if self.wire.owes() {
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What is due by now, or when to look again.
    ///
    /// A credit may be given without waking the pump, and silence counts from then on: so the
    /// pump never sleeps longer than silence may last.
    fn look_at_the_clock(&mut self, options: &Options, now: Instant) -> Step {
        let mut next = now + self.idle;
        let mut passed = |at: Instant| {
            next = next.min(at);
            at <= now
        };
        match self.phase {
            Phase::Securing if passed(self.heard + options.handshake) => {
                return self.over(Why::Tls);
            }
            Phase::Lingering { .. } if passed(self.heard + LINGER) => {
                return self.over(Why::Ended);
            }
            _ => {}
        }
        if !matches!(self.phase, Phase::Lingering { .. })
            && self.wire.owes()
            && passed(self.wire.progress() + options.write)
        {
            return self.over(Why::Write);
        }
        if self.phase == Phase::Open {
            if let Some((limit, until)) = self.warned {
                if passed(until) {
                    return self.over(match limit {
                        Limit::Idle => Why::Idle,
                        Limit::Lifetime => Why::Lifetime,
                    });
                }
            } else {
                let silent = self.credit && !self.wire.owes() && passed(self.heard + self.idle);
                let limit = match self.end {
                    Some(end) if passed(end) => Some(Limit::Lifetime),
                    _ if silent => Some(Limit::Idle),
                    _ => None,
                };
                if let Some(limit) = limit {
                    self.warned = Some((limit, now + options.grace));
                    return Step::Say(Event::TimedOut(limit));
                }
            }
        }
        Step::Wait(next)
    }
}

/// How long we wait for the peer's end after ours.
const LINGER: Duration = Duration::from_secs(2);

/// How much of what the peer says after our end is thrown away before we stop listening.
const LINGER_OCTETS_MAX: usize = 1024 * 1024;
