//! How a session hears of changes in its mailbox: a hint at a time, and never for want of a
//! mailbox actor.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mail::{MailboxId, ModSeq};
use ractor::ActorRef;

use crate::contract::{SessionMsg, Watcher};

/// A watch that a session has set. Dropping it makes the watcher silent.
#[derive(Debug)]
pub(super) struct Watch(Arc<Line>);

/// What a session and its watcher share.
#[derive(Debug, Default)]
struct Line {
    /// The session wants no more hints.
    closed: AtomicBool,
    /// A hint is on its way: others would say the same.
    hinted: AtomicBool,
}

/// The watcher's end. Whoever drops it, crashing perhaps, thereby tells the session.
struct Ear {
    line: Arc<Line>,
    mailbox: MailboxId,
    session: ActorRef<SessionMsg>,
}

impl Watch {
    /// A watch, and the watcher to be sent to the mailbox actor.
    pub(super) fn new(
        number: u64,
        mailbox: MailboxId,
        session: ActorRef<SessionMsg>,
    ) -> (Self, Watcher) {
        let line = Arc::<Line>::default();
        let ear = Ear {
            line: line.clone(),
            mailbox,
            session,
        };
        let tell = Box::new(move |_, modseq| ear.hear(modseq));
        (
            Self(line),
            Watcher {
                session: number,
                tell,
            },
        )
    }

    /// The hint has been heard: the next one may come.
    pub(super) fn heard(&self) {
        self.0.hinted.store(false, Ordering::Release);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
    }
}

impl Ear {
    fn hear(&self, modseq: ModSeq) -> bool {
        if self.line.closed.load(Ordering::Acquire) {
            return false;
        }
        self.line.hinted.swap(true, Ordering::AcqRel)
            || self
                .session
                .cast(SessionMsg::Changed(self.mailbox, modseq))
                .is_ok()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if !self.line.closed.load(Ordering::Acquire) {
            // A session that has ended needs no watch.
            let _ = self.session.cast(SessionMsg::Changed(self.mailbox, DEAF));
        }
    }
}

/// Says that nobody hints any more: no change has this number.
pub(super) const DEAF: ModSeq = ModSeq(0);
