//! The trunk's right to write, as an actor: it ends with the life of the store that gave it.
//!
//! # Owns
//! Nothing: who writes has a fence of his own. All of them are of one life of the store, and it is
//! this life that is watched here.
//!
//! # Hears
//! [`LeaseMsg::Over`] from the store: it has ended.
//!
//! # Says
//! Nothing: it ends, and the trunk with it.
//!
//! # Supervised by
//! The trunk, first of all, `Temporary` and significant: however it ends, everybody of the trunk
//! starts again after the next one. That one comes up when the store is open, and has settled what
//! those of before have written: who comes after it reads none of it as if it were still to be done.
//!
//! # When it crashes
//! The trunk starts again: nobody goes on with a fence of a time that nobody watches. Clients keep
//! their connections, and whoever wants to write hears "try again later" for a moment.
//!
//! # Metrics
//! None of its own: the restarts of the trunk are counted by the frame.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::DiskStore;
use supervision::Told;

/// Ends when the store has ended.
#[derive(Debug)]
pub(crate) struct Lease;

/// What it can be told.
#[derive(Debug)]
pub(crate) enum LeaseMsg {
    /// From the store: it has ended.
    Over,
}

impl Told for LeaseMsg {
    fn kind(&self) -> &'static str {
        match self {
            Self::Over => "Over",
        }
    }
}

impl Actor for Lease {
    type Msg = LeaseMsg;
    type State = ();
    type Arguments = Arc<DiskStore>;

    /// Whoever comes after it in the trunk starts when this returns: when the store is open, and what
    /// was on its way to the disk when the last trunk ended is there. Else the next queues would read
    /// as open, and send again, what the last outcomes of the ones before have closed.
    async fn pre_start(
        &self,
        myself: ActorRef<LeaseMsg>,
        store: Arc<DiskStore>,
    ) -> Result<(), ActorProcessingErr> {
        store.running().await?;
        // What is lost is not on its way either, and that the store has ended is seen below.
        let _ = store.settled().await;
        store.ended().then(move |ended| {
            // A store that is closed has not ended: somebody wanted that.
            if ended.is_ok() {
                let _ = myself.cast(LeaseMsg::Over); // a successor looks by itself
            }
        });
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<LeaseMsg>,
        LeaseMsg::Over: LeaseMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        tracing::warn!("the right to write is over: who carries the mail starts again");
        myself.stop(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mail::{Address, Envelope, Recipient, Reply, Target, Time};
    use store::{
        Config,
        port::{Leases, NewMail, Settle, Shard, Spool},
    };

    use super::*;

    fn mail(store: &DiskStore) -> NewMail {
        let to: Address = "bob@elsewhere.test".parse().unwrap();
        let target = Target::Remote(to.domain().clone());
        let mut writer = store.draft();
        assert!(writer.write(Bytes::from_static(b"hello\r\n")).is_none());
        NewMail {
            envelope: Envelope {
                recipients: vec![Recipient::new(to, target)],
                ..Envelope::default()
            },
            draft: writer.finish(),
            arrived: Time(0),
            answers: None,
            origin: String::new(),
        }
    }

    #[tokio::test]
    async fn whoever_starts_after_a_lease_sees_what_those_before_it_have_handed_to_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path());
        let store = Arc::new(DiskStore::open(config, Arc::new(|| Time(0))).unwrap());
        let domain = "elsewhere.test".parse().unwrap();
        let fence = store.fence(Shard::of_domain(&domain)).unwrap();
        for _ in 0..20 {
            let accepted: Vec<_> = (0..50).map(|_| store.accept(fence, mail(&store))).collect();
            let mut outcomes = Vec::new();
            for accepted in accepted {
                let taken = vec![(0, Settle::Close(Reply::new(250, None, "taken")))];
                outcomes.push(store.settle(fence, accepted.await.unwrap(), taken));
            }
            let (lease, end) = Actor::spawn(None, Lease, store.clone()).await.unwrap();
            let due = store.due(&domain, None, 100).unwrap();
            assert!(due.is_empty(), "{} would be sent again", due.len());
            lease.stop(None);
            end.await.unwrap();
            drop(outcomes);
        }
    }
}
