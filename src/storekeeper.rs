//! The store's place in the tree: who waits for its end, and opens it anew.
//!
//! # Owns
//! Nothing: the store is everybody's, and its handles stay good when it is opened anew. Its threads are told that they may keep
//! by what memory they free.
//!
//! # Hears
//! [`StorekeeperMsg::Ended`] from the store: one of its threads has died, or its directory is
//! broken.
//!
//! # Says
//! Nothing.
//!
//! # Supervised by
//! The root, `Permanent`, alone and with a growing pause. Who writes ends with the store by
//! [`Lease`](crate::lease::Lease), and comes back when it is open.
//!
//! # When it crashes
//! Its successor opens the store anew if that has ended; a store that is well it leaves alone, and
//! nobody notices. While the store is not open, the house is not ready, and whoever asks for mail
//! or brings some hears "try again later" (`451 4.3.0`, `NO [UNAVAILABLE]`, `-ERR [SYS/TEMP]`);
//! everybody keeps his connection, and what was acknowledged is there.
//!
//! # Metrics
//! None of its own: its restarts are counted by the frame.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::{DiskStore, StoreError};
use supervision::{Told, blocking};

use crate::allocator::keep_by;

/// Waits for the end of the store.
#[derive(Debug)]
pub(crate) struct Storekeeper;

/// What it can be told.
#[derive(Debug)]
pub(crate) enum StorekeeperMsg {
    /// From the store: it has ended.
    Ended,
}

impl Told for StorekeeperMsg {
    fn kind(&self) -> &'static str {
        match self {
            Self::Ended => "Ended",
        }
    }
}

impl Actor for Storekeeper {
    type Msg = StorekeeperMsg;
    type State = ();
    type Arguments = Arc<DiskStore>;

    async fn pre_start(
        &self,
        myself: ActorRef<StorekeeperMsg>,
        store: Arc<DiskStore>,
    ) -> Result<(), ActorProcessingErr> {
        if !store.is_running() {
            open_anew(Arc::clone(&store)).await?;
        }
        store.on_each_thread(keep_by);
        store.ended().then(move |ended| {
            // A store that is closed has not ended: somebody wanted that.
            if ended.is_ok() {
                let _ = myself.cast(StorekeeperMsg::Ended); // a successor asks by itself
            }
        });
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<StorekeeperMsg>,
        StorekeeperMsg::Ended: StorekeeperMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        tracing::error!("the store has ended and is opened anew");
        Err(StoreError::Lost.into())
    }
}

/// It may read for a while: off the threads on which the others run.
async fn open_anew(store: Arc<DiskStore>) -> Result<(), ActorProcessingErr> {
    let opened = blocking(move || store.reopen()).await?;
    let opened = opened.inspect_err(|error| {
        tracing::error!(%error, "the store cannot be opened anew yet");
    })?;
    for damage in &opened.damage {
        tracing::error!(%damage, "the store is damaged; the rest is served");
    }
    tracing::warn!(
        replayed_frames = opened.replayed_frames,
        rebuilt = ?opened.rebuilt,
        seconds = opened.took.as_secs_f64(),
        "the store is open again"
    );
    Ok(())
}
