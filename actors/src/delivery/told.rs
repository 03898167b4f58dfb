//! What a delivery has told its queue, until the queue has said that the store has it.

use std::time::Duration;

use mail::{Domain, MessageId, Outcome, Time};
use store::port::{Fence, Settle, Spool};
use supervision::Family;
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    time::{sleep, timeout},
};

use crate::contract::{Attempt, QueueMsg};

/// How attempts ended, as long as it is not known that the store has it. A queue that dies takes with
/// it what lies in its inbox: its successor is told again, or it would send the same mail again.
pub(super) struct Told {
    ends: Vec<End>,
    queues: Family<Domain, QueueMsg>,
}

/// How attempts at one message ended.
struct End {
    id: MessageId,
    outcomes: Vec<(u32, Outcome)>,
    /// Where the queue says that it is recorded; none if nobody was there to hear it.
    recorded: Option<oneshot::Receiver<()>>,
}

impl Told {
    /// Nothing yet, to one of these.
    pub(super) const fn to(queues: Family<Domain, QueueMsg>) -> Self {
        Self {
            ends: Vec::new(),
            queues,
        }
    }

    /// Tells the queue how attempts at a message ended.
    pub(super) fn tell(&mut self, attempt: &Attempt, id: MessageId, ends: Vec<(u32, Outcome)>) {
        let mut end = End {
            id,
            outcomes: ends,
            recorded: None,
        };
        end.say(&self.queues, attempt);
        self.ends.push(end);
    }

    /// Forgets what is recorded, and says again what a queue has not heard or has died over. Whoever
    /// has heard it passes over it. True if nothing is left.
    pub(super) fn look(&mut self, attempt: &Attempt) -> bool {
        let Self { ends, queues } = self;
        ends.retain_mut(|end| {
            match end.recorded.as_mut().map(oneshot::Receiver::try_recv) {
                Some(Ok(())) => return false,
                Some(Err(TryRecvError::Empty)) => {}
                Some(Err(TryRecvError::Closed)) | None => end.say(queues, attempt),
            }
            true
        });
        ends.is_empty()
    }

    /// Records what no queue has recorded yet, as far as it is final: what was put off may be tried
    /// again at any time. The queue may do the same, before or after.
    pub(super) fn record(&mut self, spool: &dyn Spool, fence: Fence) {
        for mut end in self.ends.drain(..) {
            let is_recorded = end
                .recorded
                .as_mut()
                .is_some_and(|told| told.try_recv().is_ok());
            let finals = end.outcomes.into_iter().filter_map(|(recipient, outcome)| {
                let is_final = !matches!(outcome, Outcome::Defer(_));
                is_final.then(|| (recipient, Settle::from_outcome(outcome, Time(0))))
            });
            let what: Vec<(u32, Settle)> = finals.collect();
            if is_recorded || what.is_empty() {
                continue;
            }
            let id = end.id;
            spool.settle(fence, id, what).then(move |result| {
                if let Err(error) = result {
                    tracing::warn!(%id, %error, "cannot record how an attempt ended");
                }
            });
        }
    }

    /// Waits until something is known of the first of them, or for this long.
    pub(super) async fn wait(&mut self, limit: Duration) {
        let Some(first) = self.ends.first_mut() else {
            return;
        };
        let Some(recorded) = &mut first.recorded else {
            return sleep(limit).await;
        };
        match timeout(limit, recorded).await {
            Ok(Ok(())) => drop(self.ends.remove(0)),
            Ok(Err(_)) => first.recorded = None,
            Err(_) => {}
        }
    }
}

impl End {
    fn say(&mut self, queues: &Family<Domain, QueueMsg>, attempt: &Attempt) {
        let (recorded, heard) = oneshot::channel();
        let settle = QueueMsg::Settle {
            attempt: attempt.attempt,
            id: self.id,
            outcomes: self.outcomes.clone(),
            recorded: recorded.into(),
        };
        let is_taken = queues.cast(&attempt.domain, settle).is_ok();
        self.recorded = is_taken.then_some(heard);
    }
}
