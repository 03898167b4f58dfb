//! Who watches which mailbox of an account, and who has its maildrop.

use mail::{MailboxId, ModSeq};

use crate::contract::Watcher;

/// The sessions to be told of changes, and the one that has the maildrop.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    watching: Vec<(MailboxId, Watcher)>,
    maildrop: Option<Watcher>,
}

impl Watchers {
    /// From now on `watcher` is told of that mailbox, and of no other.
    pub(super) fn watch(&mut self, mailbox: MailboxId, watcher: Watcher) {
        self.unwatch(watcher.session);
        self.watching.push((mailbox, watcher));
    }

    /// Ends the watch of a session, if it has one.
    pub(super) fn unwatch(&mut self, session: u64) {
        self.watching
            .retain(|(_, watcher)| watcher.session != session);
    }

    /// Tells whoever watches that mailbox; forgets who is gone.
    pub(super) fn tell(&mut self, mailbox: MailboxId, modseq: ModSeq) {
        self.watching
            .retain(|(id, watcher)| *id != mailbox || (watcher.tell)(mailbox, modseq));
    }

    /// Forgets sessions that ended without a word: they would keep the mailbox in memory.
    pub(super) fn forget_gone(&mut self) {
        let is_there = |watcher: &Watcher| (watcher.tell)(NOBODY, ModSeq::default());
        self.watching.retain(|(_, watcher)| is_there(watcher));
        self.maildrop.take_if(|holder| !is_there(holder));
    }

    /// Gives the maildrop to a session, unless another one that still lives has it.
    pub(super) fn lock(&mut self, watcher: Watcher) -> bool {
        if let Some(holder) = &self.maildrop
            && holder.session != watcher.session
            && (holder.tell)(NOBODY, ModSeq::default())
        {
            return false;
        }
        self.maildrop = Some(watcher);
        true
    }

    /// Frees the maildrop, if that session has it.
    pub(super) fn unlock(&mut self, session: u64) {
        self.maildrop.take_if(|holder| holder.session == session);
    }

    /// Whether a session has the maildrop.
    pub(super) const fn is_locked(&self) -> bool {
        self.maildrop.is_some()
    }

    /// How many sessions watch.
    pub(super) const fn len(&self) -> usize {
        self.watching.len()
    }
}

/// Named in the question "are you still there?": no mailbox has this number.
const NOBODY: MailboxId = MailboxId(0);

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    };

    use super::*;

    struct Session {
        alive: Arc<AtomicBool>,
        told: Arc<AtomicU64>,
    }

    fn session(number: u64) -> (Watcher, Session) {
        let session = Session {
            alive: Arc::new(true.into()),
            told: Arc::default(),
        };
        let (alive, told) = (session.alive.clone(), session.told.clone());
        let tell = Box::new(move |_, modseq: ModSeq| {
            told.store(modseq.0, Ordering::Relaxed);
            alive.load(Ordering::Relaxed)
        });
        (
            Watcher {
                session: number,
                tell,
            },
            session,
        )
    }

    #[test]
    fn a_session_watches_one_mailbox_and_is_forgotten_when_gone() {
        let mut watchers = Watchers::default();
        watchers.watch(MailboxId(1), session(7).0);
        let (again, seen) = session(7);
        watchers.watch(MailboxId(2), again);
        assert_eq!(watchers.len(), 1);
        watchers.tell(MailboxId(1), ModSeq(5));
        assert_eq!(seen.told.load(Ordering::Relaxed), 0);
        watchers.tell(MailboxId(2), ModSeq(6));
        assert_eq!(seen.told.load(Ordering::Relaxed), 6);
        seen.alive.store(false, Ordering::Relaxed);
        watchers.tell(MailboxId(2), ModSeq(7));
        assert_eq!(watchers.len(), 0);
    }

    #[test]
    fn sessions_that_ended_without_a_word_are_forgotten_when_the_mailbox_is_idle() {
        let mut watchers = Watchers::default();
        let (first, gone) = session(1);
        let (second, _stays) = session(2);
        let (third, gone_too) = session(3);
        watchers.watch(MailboxId(1), first);
        watchers.watch(MailboxId(1), second);
        assert!(watchers.lock(third));
        gone.alive.store(false, Ordering::Relaxed);
        gone_too.alive.store(false, Ordering::Relaxed);
        watchers.forget_gone();
        assert_eq!((watchers.len(), watchers.is_locked()), (1, false));
    }

    #[test]
    fn a_dead_session_cannot_keep_the_maildrop() {
        let mut watchers = Watchers::default();
        let (first, holder) = session(1);
        assert!(watchers.lock(first));
        assert!(!watchers.lock(session(2).0));
        assert!(watchers.lock(session(1).0), "asking twice does no harm");
        holder.alive.store(false, Ordering::Relaxed);
        watchers.unlock(9);
        assert!(watchers.is_locked());
        watchers.unlock(1);
        assert!(watchers.lock(session(2).0));
    }
}
