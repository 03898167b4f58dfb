//! How a session hears of changes in its mailbox: a hint at a time, and never for want of a
//! mailbox actor. And how it hears that it has lost its maildrop with one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use mail::{MailboxId, ModSeq};
use ractor::ActorRef;

use crate::contract::{SessionMsg, Watcher};

/// A watch that a session has set. Dropping it makes the watcher silent, and says so to whoever has
/// it: a mailbox that sleeps does not look after its watchers.
pub(super) struct Watch {
    line: Arc<Line>,
    /// Says to the mailbox actor that the watch is over.
    unwatch: Option<Box<dyn Fn() + Send + Sync>>,
}

/// What a session and its watcher share.
#[derive(Debug, Default)]
struct Line {
    /// The session wants no more hints.
    closed: AtomicBool,
    /// A hint is on its way: others would say the same.
    hinted: AtomicBool,
    /// The watcher is no more.
    lost: AtomicBool,
    /// The session knows that the mailbox actor has had the watcher.
    set: AtomicBool,
}

/// The watcher's end. Whoever drops it, crashing perhaps, thereby tells the session.
struct Ear<S: Fn(SessionMsg) -> bool> {
    line: Arc<Line>,
    mailbox: MailboxId,
    /// Says it to the session; false if there is none any more.
    session: S,
}

impl Watch {
    /// A watch, and the watcher to be sent to the mailbox actor. `session` says a hint to the
    /// session; false if there is none any more.
    pub(super) fn new(
        number: u64,
        mailbox: MailboxId,
        session: impl Fn(SessionMsg) -> bool + Send + Sync + 'static,
    ) -> (Self, Watcher) {
        let line = Arc::<Line>::default();
        let ear = Ear {
            line: line.clone(),
            mailbox,
            session,
        };
        let tell = Box::new(move |id, modseq| match id {
            MailboxId(0) => ear.is_wanted(),
            _ => ear.hear(modseq),
        });
        let unwatch = None;
        (
            Self { line, unwatch },
            Watcher {
                session: number,
                tell,
            },
        )
    }

    /// The same watch; `unwatch` says to the mailbox actor that it is over.
    pub(super) fn until(mut self, unwatch: impl Fn() + Send + Sync + 'static) -> Self {
        self.unwatch = Some(Box::new(unwatch));
        self
    }

    /// The lock of a maildrop. It is held for as long as this is there, and then for as long as
    /// `is_kept` says: a session that crashed has a successor.
    pub(super) fn lock(
        number: u64,
        session: ActorRef<SessionMsg>,
        is_kept: impl Fn() -> bool + Send + Sync + 'static,
    ) -> (Self, Watcher) {
        let line = Arc::<Line>::default();
        let ear = Ear {
            line: line.clone(),
            mailbox: MailboxId(0),
            session: move |hint| session.cast(hint).is_ok(),
        };
        let tell = Box::new(move |_, _| ear.is_wanted() || is_kept());
        let unwatch = None;
        (
            Self { line, unwatch },
            Watcher {
                session: number,
                tell,
            },
        )
    }

    /// The mailbox actor has answered: from now on the watcher's end is told. False if it has
    /// come already.
    pub(super) fn is_set(&self) -> bool {
        self.line.set.store(true, Ordering::SeqCst);
        !self.line.lost.load(Ordering::SeqCst)
    }

    /// The hint has been heard: the next one may come.
    pub(super) fn heard(&self) {
        self.line.hinted.store(false, Ordering::Release);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.line.closed.store(true, Ordering::Release);
        if let Some(unwatch) = &self.unwatch {
            unwatch();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.line).finish()
    }
}

impl<S: Fn(SessionMsg) -> bool> Ear<S> {
    fn is_wanted(&self) -> bool {
        !self.line.closed.load(Ordering::Acquire)
    }

    fn hear(&self, modseq: ModSeq) -> bool {
        if !self.is_wanted() {
            return false;
        }
        self.line.hinted.swap(true, Ordering::AcqRel)
            || (self.session)(SessionMsg::Changed(self.mailbox, modseq))
    }
}

impl<S: Fn(SessionMsg) -> bool> Drop for Ear<S> {
    /// A watcher that never reached a mailbox actor says nothing: its session learns that from
    /// the call, and would otherwise ask again at once, and again.
    fn drop(&mut self) {
        self.line.lost.store(true, Ordering::SeqCst);
        if self.line.set.load(Ordering::SeqCst) && self.is_wanted() {
            // A session that has ended needs no watch.
            let _ = (self.session)(SessionMsg::Changed(self.mailbox, DEAF));
        }
    }
}

/// Says that nobody hints any more: no change has this number.
pub(super) const DEAF: ModSeq = ModSeq(0);

#[cfg(test)]
mod tests {
    use ractor::{Actor, ActorProcessingErr};
    use tokio::sync::mpsc;

    use super::*;

    /// Writes down the MODSEQs that it is told.
    struct Session;

    impl Actor for Session {
        type Msg = SessionMsg;
        type State = mpsc::UnboundedSender<u64>;
        type Arguments = mpsc::UnboundedSender<u64>;

        async fn pre_start(
            &self,
            _: ActorRef<SessionMsg>,
            told: Self::Arguments,
        ) -> Result<Self::State, ActorProcessingErr> {
            Ok(told)
        }

        async fn handle(
            &self,
            _: ActorRef<SessionMsg>,
            msg: SessionMsg,
            told: &mut Self::State,
        ) -> Result<(), ActorProcessingErr> {
            if let SessionMsg::Changed(_, modseq) = msg {
                told.send(modseq.0)?;
            }
            Ok(())
        }
    }

    /// What the session is told when all this is over.
    async fn told(story: impl FnOnce(Watch, Watcher) -> Option<Watch>) -> Vec<u64> {
        let (tell, mut hear) = mpsc::unbounded_channel();
        let (session, ended) = Session::spawn(None, Session, tell).await.unwrap();
        let hears = session.clone();
        let tell = move |hint| hears.cast(hint).is_ok();
        let (watch, watcher) = Watch::new(1, MailboxId(1), tell);
        let kept = story(watch, watcher);
        session.drain().unwrap();
        ended.await.unwrap();
        drop(kept);
        let mut told = Vec::new();
        while let Ok(modseq) = hear.try_recv() {
            told.push(modseq);
        }
        told
    }

    #[tokio::test]
    async fn a_watcher_that_crashes_with_its_mailbox_is_missed() {
        let crash = |watch: Watch, watcher| {
            assert!(watch.is_set());
            drop(watcher);
            Some(watch)
        };
        assert_eq!(told(crash).await, [DEAF.0]);
    }

    #[tokio::test]
    async fn a_watcher_that_no_mailbox_took_does_not_call_for_another_one() {
        let refused = |watch: Watch, watcher| {
            drop(watcher);
            assert!(
                !watch.is_set(),
                "and who believes it was taken learns better"
            );
            Some(watch)
        };
        assert_eq!(told(refused).await, [0; 0]);
    }

    #[tokio::test]
    async fn to_be_asked_whether_it_is_there_tells_a_session_nothing() {
        let asked = |watch: Watch, watcher: Watcher| {
            assert!(watch.is_set());
            assert!((watcher.tell)(MailboxId(0), ModSeq(0)));
            drop(watch);
            assert!(!(watcher.tell)(MailboxId(0), ModSeq(0)));
            None
        };
        assert_eq!(told(asked).await, [0; 0]);
    }
}
