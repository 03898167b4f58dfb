//! How many messages wait for an actor.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Counts the messages that one incarnation was sent by its seat or its family and has not taken
/// up. Clones count the same ones.
///
/// ractor does not tell how full its inboxes are, and what an actor sends to itself, timers, and
/// whoever keeps an `ActorRef`, pass none of our addresses. Such a message is not counted when it
/// is sent, and yet it may be taken for one that was when it is taken up: so the count is never
/// too large, at most too small by what of that kind was handled since the inbox was last empty.
///
/// They could be counted if whoever sends to himself said so, at some thirty places. It would tell
/// nothing: what an actor of this house sends to itself is one of a kind (look, wake, begin) or one
/// for each write on its way, which its report has; what piles up comes from others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox(Arc<Counts>);

/// Two counts that wrap, because each of them has one who raises it: what the actor does takes no
/// locked instruction.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU32,
    /// Never ahead of `sent`.
    taken: AtomicU32,
}

impl Inbox {
    /// A message is about to be sent: it may be taken up at once.
    pub(crate) fn add(&self) {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// The actor, which alone does this, takes up a message.
    pub(crate) fn take(&self) {
        let taken = self.0.taken.load(Ordering::Relaxed);
        if taken != self.0.sent.load(Ordering::Relaxed) {
            self.0.taken.store(taken.wrapping_add(1), Ordering::Release);
        }
    }

    /// How many wait, at least.
    pub(crate) fn depth(&self) -> usize {
        let taken = self.0.taken.load(Ordering::Acquire); // first: it never passes the other
        let sent = self.0.sent.load(Ordering::Relaxed);
        sent.wrapping_sub(taken) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_counted_makes_the_count_too_small_and_never_wrong_for_good() {
        let inbox = Inbox::default();
        inbox.add();
        inbox.take(); // something that passed no address of ours
        inbox.take(); // the one that did
        assert_eq!(inbox.depth(), 0);
        inbox.add();
        assert_eq!(inbox.clone().depth(), 1);
    }
}
