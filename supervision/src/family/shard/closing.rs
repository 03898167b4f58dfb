//! How a shard lets its members go, and its patience with those that do not.

use std::sync::Weak;

use ractor::Message;

use super::{Due, ShardState};
use crate::{
    core::KILL_GRACE,
    family::{
        clock::from_now,
        core::{Alarm, Event},
        slot::Slot,
        spec::Key,
    },
    presence::Presence,
};

/// How far a shard is with stopping its members.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Closing {
    Asked,
    Killed,
}

impl<K: Key, M: Message> ShardState<K, M> {
    /// Stops everybody, all at once.
    pub(super) fn close(&mut self) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(Closing::Asked);
        self.house.floors[self.place].write().is_open = false; // nobody moves in any more
        self.tell_all(|_| true, |_| Event::Close);
        if self.is_empty() {
            self.myself.stop(None);
        } else if let Some(limit) = self.house.rules.patience() {
            self.at(from_now(limit), Due::Closed);
        }
    }

    /// Everybody was asked to end, and has had the time for it.
    pub(super) fn close_by_force(&mut self) {
        // Who was killed before all were asked has a little time left.
        let is_last = self.closing == Some(Closing::Killed);
        self.closing = Some(Closing::Killed);
        self.tell_all(
            |slot| is_last || !slot.core.is_timed_out(),
            |slot| Event::Alarm(Alarm::Left(slot.core.incarnation())),
        );
        if !self.is_empty() {
            self.at(from_now(KILL_GRACE), Due::Closed);
        }
    }

    /// Tells each member whom it concerns.
    fn tell_all(&mut self, whom: impl Fn(&Slot<M>) -> bool, event: impl Fn(&Slot<M>) -> Event<M>) {
        let events: Vec<(K, Event<M>)> = {
            let rooms = self.house.floors[self.place].read();
            let concerned = rooms.slots.iter().filter(|(_, slot)| whom(slot));
            concerned
                .map(|(key, slot)| (key.clone(), event(slot)))
                .collect()
        };
        for (key, event) in events {
            self.tell(key, event, None);
        }
    }

    fn is_empty(&self) -> bool {
        self.house.floors[self.place].read().slots.is_empty()
    }

    /// Counts out a member that was killed and is still there.
    pub(super) fn abandon(&self, key: &K, presence: &Weak<Presence>) {
        let family = &self.house.spec.name;
        tracing::error!(%family, ?key, "was killed and is still there: counted out");
        if let Some(presence) = presence.upgrade() {
            presence.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, OnceLock},
        time::Duration,
    };

    use ractor::ActorCell;
    use tokio::{sync::oneshot, time};

    use crate::{
        cause::ExitCause,
        family::{house::House, shard::start, spec::FamilySpec},
        flight::Last,
        name::Name,
        presence::Host,
        start::Berth,
        tree::Node,
    };

    struct Teller(oneshot::Sender<ExitCause>);

    impl Host for Teller {
        fn up(&self, _: &ActorCell, _: Duration) {}

        fn kind(&self) -> &Name {
            static NAME: OnceLock<Name> = OnceLock::new();

            NAME.get_or_init(|| "told".into())
        }

        fn gone(self: Box<Self>, cause: ExitCause, _: Option<Box<Last>>) {
            self.0.send(cause).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_is_told_to_stop_as_it_starts_stops() {
        let house = Arc::new(House::<u64, ()>::new(FamilySpec::transient("family")));
        let (tell, told) = oneshot::channel();
        let node = Node::new("shard".into(), None);
        let host = Box::new(Teller(tell));
        let berth = Berth::new(None, host, None, "shard".into(), node);
        let shard = start(&house, 0, berth).unwrap();
        assert!(!house.floors[0].keeper.is_occupied());
        shard.frame.as_ref().unwrap().shut_down();
        let cause = time::timeout(Duration::from_secs(3_600), told).await;
        assert_eq!(cause.unwrap().unwrap().kind(), "normal");
    }
}
