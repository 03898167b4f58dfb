//! What makes actors crash: at the edges of their handlers, and in the middle of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};

/// How an actor ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    Error,
    Kill,
    Panic,
    /// Its handler does not return.
    Stuck,
}

/// Burns down while actors work, and then harms one of them. Clones burn together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fuse {
    /// Whose handler began last.
    at_work: Arc<Mutex<Option<ActorCell>>>,
    plan: Arc<Mutex<VecDeque<(u32, Harm)>>>,
}

/// An actor that lives by a fuse.
pub(crate) struct Mortal<A>(pub(crate) A);

impl Fuse {
    /// After so many moments an actor is harmed; then the next length begins.
    pub(crate) fn light(&self, plan: impl IntoIterator<Item = (u32, Harm)>) {
        *self.plan.lock().unwrap() = plan.into_iter().collect();
    }

    /// Nobody is harmed from now on.
    pub(crate) fn put_out(&self) {
        self.light([]);
    }

    /// One more moment has passed.
    fn burn(&self) -> Option<Harm> {
        let mut plan = self.plan.lock().unwrap();
        let (left, harm) = plan.front_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let harm = *harm;
        plan.pop_front();
        Some(harm)
    }

    /// A moment in the middle of a handler: it panics, or goes no further than to where it waits.
    pub(crate) fn strike(&self) {
        let at_work = self.at_work.lock().unwrap().clone(); // a panic shall not poison it
        match (self.burn(), at_work) {
            (None, _) => {}
            (Some(Harm::Kill), Some(actor)) => actor.kill(),
            (Some(_), _) => panic!("the fuse has burnt down"),
        }
    }

    async fn strike_at(&self, actor: ActorCell) -> Result<(), ActorProcessingErr> {
        match self.burn() {
            None => Ok(()),
            Some(Harm::Error) => Err("the fuse has burnt down".into()),
            Some(Harm::Kill) => {
                actor.kill();
                std::future::pending().await
            }
            Some(Harm::Panic) => panic!("the fuse has burnt down"),
            Some(Harm::Stuck) => std::future::pending().await,
        }
    }
}

impl<A> Actor for Mortal<A>
where
    A: Actor<Arguments: Send, State: Send>,
{
    type Msg = A::Msg;
    type State = (Fuse, A::State);
    type Arguments = (Fuse, A::Arguments);

    async fn pre_start(
        &self,
        myself: ActorRef<A::Msg>,
        (fuse, args): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let state = self.0.pre_start(myself, args).await?;
        Ok((fuse, state))
    }

    /// The message is lost before it is heard, or the actor dies when all is done.
    async fn handle(
        &self,
        myself: ActorRef<A::Msg>,
        msg: A::Msg,
        (fuse, state): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        fuse.strike_at(myself.get_cell()).await?;
        *fuse.at_work.lock().unwrap() = Some(myself.get_cell());
        self.0.handle(myself.clone(), msg, state).await?;
        fuse.strike_at(myself.get_cell()).await
    }
}
