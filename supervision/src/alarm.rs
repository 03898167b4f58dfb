//! One-shot timers that end with whoever set them.

use std::time::Duration;

use ractor::{ActorRef, Message};
use tokio::{task::AbortHandle, time};

/// A message that will be sent; never, once this is dropped.
///
/// Kept in an actor's state, it dies with the incarnation that set it.
#[derive(Debug)]
#[must_use = "an alarm that is dropped never rings"]
pub struct Alarm(AbortHandle);

/// Sends `message` to `actor` once, after this time, unless the alarm is dropped before.
pub fn alarm<M: Message>(after: Duration, actor: &ActorRef<M>, message: M) -> Alarm {
    let actor = actor.clone();
    let ring = tokio::spawn(async move {
        time::sleep(after).await;
        let _ = actor.send_message(message); // who has ended needs no waking
    });
    Alarm(ring.abort_handle())
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.abort();
    }
}
