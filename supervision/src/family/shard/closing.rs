//! How a shard lets its members go, and its patience with those that do not.

use std::{
    sync::{Weak, atomic::Ordering},
    time::Duration,
};

use ractor::Message;
use tokio::sync::oneshot;

use super::{Due, ShardState};
use crate::{
    cause::ExitCause,
    core::KILL_GRACE,
    crash::let_go,
    family::{
        clock::from_now,
        slot::{Life, Patience, Slot},
        spec::{FamilySpec, Key},
    },
    metrics as count,
    presence::Presence,
    spec::Shutdown,
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
        let shutdown = self.house.spec.shutdown;
        let mut rooms = self.house.floors[self.place].write();
        rooms.is_open = false;
        let absent = |slot: &Slot<M>| !slot.is_launched;
        let (dropped, counted) = rooms.remove_if(absent);
        for slot in rooms.slots.values_mut() {
            if slot.leave() {
                slot.shut_down(shutdown);
            }
        }
        let is_empty = rooms.slots.is_empty();
        drop(rooms);
        let_go(&self.house.spec.name, dropped); // outside the lock: messages may wait in it
        self.house.count.fetch_sub(counted, Ordering::Relaxed);
        self.count();
        if is_empty {
            self.myself.stop(None);
        } else if let Some(limit) = self.patience() {
            self.at(from_now(limit), Due::Closed);
        }
    }

    /// Everybody was asked to end, and has had the time for it.
    pub(super) fn close_by_force(&mut self) {
        let mut rooms = self.house.floors[self.place].write();
        let mut late = Vec::new();
        for (key, slot) in &mut rooms.slots {
            late.extend(slot.lose_patience().map(|patience| (key.clone(), patience)));
        }
        drop(rooms);
        let mut is_lost = false;
        for (key, patience) in late {
            match patience {
                Patience::Killed => count::shutdown_timed_out(&self.house.spec.name),
                Patience::Lost(presence) => {
                    is_lost = true;
                    self.abandon(&key, presence);
                }
            }
        }
        if is_lost && self.closing == Some(Closing::Killed) {
            let mut rooms = self.house.floors[self.place].write();
            let (dropped, counted) = rooms.remove_if(|_| true);
            drop(rooms);
            let_go(&self.house.spec.name, dropped);
            self.house.count.fetch_sub(counted, Ordering::Relaxed);
            self.count();
            self.myself.stop(None);
        } else {
            self.closing = Some(Closing::Killed);
            self.at(from_now(KILL_GRACE), Due::Closed);
        }
    }

    pub(super) fn abandon(&self, key: &K, presence: Weak<Presence>) {
        let family = &self.house.spec.name;
        tracing::error!(%family, ?key, "was killed and is still there: counted out");
        if let Some(presence) = presence.upgrade() {
            presence.abandon();
        }
    }

    /// How long a member that was asked to end is waited for.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self.house.spec.shutdown {
            Shutdown::Kill => Some(KILL_GRACE),
            shutdown => shutdown.limit(),
        }
    }
}

/// What is to be said of an end: its cause as we know it, and who waits for it.
pub(super) fn farewell<K, M>(
    life: &mut Life<M>,
    cause: ExitCause,
    spec: &FamilySpec<K, M>,
) -> (ExitCause, Vec<oneshot::Sender<()>>) {
    let Life::Leaving {
        asked: Some(asked),
        timed_out,
        waiting,
        ..
    } = life
    else {
        return (cause, Vec::new());
    };
    count::stopped(&spec.name, asked.elapsed());
    let cause = match cause.when_asked(*timed_out) {
        ExitCause::Killed if spec.shutdown == Shutdown::Kill => ExitCause::Normal, // as asked
        cause => cause,
    };
    (cause, std::mem::take(waiting))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use ractor::ActorCell;
    use tokio::time;

    use super::*;
    use crate::{
        family::{house::House, shard::start},
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
