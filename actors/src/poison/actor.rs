//! The poison actor: it sets aside what has brought actors down twice.
//!
//! # Owns
//! Who is suspected, and the book of refused commands. Messages that are aside are the spool's.
//!
//! # Hears
//! [`PoisonMsg`]: `Crashed` from the frame, `Drop`, `List`, `Retry` and `Show` from operators,
//! `Count` from its clock, `Changed` from itself.
//!
//! # Says
//! [`RouterMsg::Route`] to the router, for a message that is to be tried again.
//!
//! # Supervised by
//! The trunk, `Permanent`.
//!
//! # When it crashes
//! Messages stay aside and commands stay refused. Who was suspected is a stranger again, and the
//! last crash reports are gone: what is poison crashes two more actors.
//!
//! # Metrics
//! `heronry_poison_crashes_total`, `heronry_poison_refused_commands`, `heronry_poison_set_aside`.

use std::{sync::Arc, time::Duration};

use mail::{Enhanced, MessageId, Reply};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use store::{
    StoreError,
    port::{Leases, Pending, Settle, Shard, Spool},
};
use supervision::Seat;
use world::Clock;

use super::{
    core::{Suspects, Verdict},
    metrics::{CRASHES, REFUSED, SET_ASIDE},
};
use crate::{
    contract::{
        CommandId, CommandMark, Crashed, PoisonFailure, PoisonKey, PoisonMsg, PoisonReport,
        RefusedCommand, RouterMsg, Subject,
    },
    refused::RefusedCommands,
};

/// The poison actor.
#[derive(Debug)]
pub struct Poison;

/// What the poison actor needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct PoisonArgs {
    /// What sessions look into before they run a command.
    pub book: RefusedCommands,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// Who sends on what is released.
    pub router: Seat<RouterMsg>,
    /// Where messages are set aside.
    pub spool: Arc<dyn Spool>,
}

/// What the poison actor has in memory.
pub struct PoisonState {
    args: PoisonArgs,
    suspects: Suspects,
    set_aside: usize,
}

impl Actor for Poison {
    type Msg = PoisonMsg;
    type State = PoisonState;
    type Arguments = PoisonArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<PoisonMsg>,
        args: PoisonArgs,
    ) -> Result<PoisonState, ActorProcessingErr> {
        myself.cast(PoisonMsg::Count)?;
        REFUSED.set(args.book.len() as f64, &[]);
        Ok(PoisonState {
            args,
            suspects: Suspects::new(WINDOW),
            set_aside: 0,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<PoisonMsg>,
        msg: PoisonMsg,
        state: &mut PoisonState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            PoisonMsg::Changed => state.count(),
            PoisonMsg::Count => {
                state.count();
                state.args.book.expire(state.args.clock.now());
                state.count_refused();
                drop(myself.send_after(COUNT_PAUSE, || PoisonMsg::Count));
            }
            PoisonMsg::Crashed(crashed, _credit) => state.crashed(crashed, &myself),
            PoisonMsg::Drop(PoisonKey::Command(id), reply) => {
                state.suspects.forget(|known| known.is_command(id));
                answer(reply, PoisonState::known(id, state.args.book.remove(id)));
                state.count_refused();
            }
            PoisonMsg::Drop(PoisonKey::Message(id), reply) => state.forget(id, reply, &myself),
            PoisonMsg::Inspect(reply) => answer(reply, state.report()),
            PoisonMsg::List(reply) => answer(reply, state.args.book.list()),
            PoisonMsg::Retry(PoisonKey::Command(id), reply) => {
                answer(reply, PoisonState::known(id, state.args.book.try_once(id)));
            }
            PoisonMsg::Retry(PoisonKey::Message(id), reply) => state.retry(id, reply, &myself),
            PoisonMsg::Show(id, reply) => {
                let known = state.args.book.get(id);
                answer(reply, known.ok_or_else(|| missing(PoisonKey::Command(id))));
            }
        }
        Ok(())
    }
}

impl PoisonState {
    fn crashed(&mut self, crashed: Crashed, myself: &ActorRef<PoisonMsg>) {
        CRASHES.count(&[match &crashed.in_hand {
            Some(Subject::Command(_)) => "command",
            Some(Subject::Message(_)) => "message",
            None => "nothing",
        }]);
        match self.suspects.crashed(crashed, self.args.clock.now()) {
            Some(Verdict::Refuse(command)) => self.refuse(command),
            Some(Verdict::SetAside(id, report)) => self.set_aside(id, report, myself),
            None => {}
        }
    }

    fn refuse(&self, command: RefusedCommand) {
        let CommandMark {
            id,
            protocol,
            speaker,
            words,
        } = &command.mark;
        tracing::error!(%id, protocol, %speaker, words, "a command that has brought down two sessions is refused");
        self.args.book.add(command);
        self.count_refused();
    }

    /// What is told of a command that stands in the book, or does not.
    fn known(id: CommandId, is_known: bool) -> Result<(), PoisonFailure> {
        let missing = || missing(PoisonKey::Command(id));
        is_known.then_some(()).ok_or_else(missing)
    }

    fn count_refused(&self) {
        REFUSED.set(self.args.book.len() as f64, &[]);
    }

    fn set_aside(&self, id: MessageId, report: String, myself: &ActorRef<PoisonMsg>) {
        let myself = myself.clone();
        let set = self.fence_for(id, |fence| self.args.spool.set_aside(fence, id, report));
        set.then(move |result| match result {
            Ok(()) => {
                tracing::error!(%id, "a message that has brought down two actors is set aside");
                let _ = myself.cast(PoisonMsg::Changed); // the next incarnation counts anew
            }
            Err(error) => tracing::error!(%id, %error, "cannot set a message aside"),
        });
    }

    /// The message goes on where it was. Nothing is lost if the hint is: the router looks again.
    fn retry(
        &mut self,
        id: MessageId,
        reply: RpcReplyPort<Result<(), PoisonFailure>>,
        myself: &ActorRef<PoisonMsg>,
    ) {
        if let Err(failure) = self.find(id) {
            return answer(reply, Err(failure));
        }
        self.suspects.forget(|known| *known == Subject::Message(id));
        let (router, myself) = (self.args.router.clone(), myself.clone());
        let released = self.fence_for(id, |fence| self.args.spool.release(fence, id));
        released.then(move |result| {
            if result.is_ok() {
                tracing::info!(%id, "a message that was set aside is tried again");
                drop(router.cast(RouterMsg::Route(id)));
            }
            let _ = myself.cast(PoisonMsg::Changed);
            answer(reply, result.map_err(PoisonFailure::from));
        });
    }

    /// Closes what is left of a message.
    fn forget(
        &mut self,
        id: MessageId,
        reply: RpcReplyPort<Result<(), PoisonFailure>>,
        myself: &ActorRef<PoisonMsg>,
    ) {
        let recipients = match self.find(id) {
            Ok(recipients) => recipients,
            Err(failure) => return answer(reply, Err(failure)),
        };
        self.suspects.forget(|known| *known == Subject::Message(id));
        let dropped = Reply::new(250, Enhanced(2, 0, 0), "dropped by an operator");
        let what = (0..recipients).map(|number| (number, Settle::Close(dropped.clone())));
        let closed = self.fence_for(id, |fence| {
            self.args.spool.settle(fence, id, what.collect())
        });
        let myself = myself.clone();
        closed.then(move |result| {
            if result.is_ok() {
                tracing::warn!(%id, "a message that was set aside is dropped");
            }
            let _ = myself.cast(PoisonMsg::Changed);
            answer(reply, result.map_err(PoisonFailure::from));
        });
    }

    /// How many recipients a message has that is aside.
    fn find(&self, id: MessageId) -> Result<u32, PoisonFailure> {
        match self.args.spool.get_aside(id)? {
            Some(aside) => Ok(aside.message.states.len() as u32),
            None => Err(missing(PoisonKey::Message(id))),
        }
    }

    fn fence_for(
        &self,
        id: MessageId,
        write: impl FnOnce(store::port::Fence) -> Pending<()>,
    ) -> Pending<()> {
        // The shard stands in the id.
        match self.args.leases.fence(Shard::nth((id.0 >> 64) as u64)) {
            Ok(fence) => write(fence),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    fn count(&mut self) {
        match self.counted() {
            Ok(count) => {
                self.set_aside = count;
                SET_ASIDE.set(count as f64, &[]);
            }
            Err(error) => tracing::error!(%error, "cannot count what is set aside"),
        }
    }

    fn counted(&self) -> Result<usize, StoreError> {
        let mut count = 0;
        let mut after = None;
        loop {
            let page = self.args.spool.aside(after, PAGE)?;
            count += page.len();
            if page.len() < PAGE {
                return Ok(count);
            }
            after = page.last().copied();
        }
    }

    fn report(&self) -> PoisonReport {
        PoisonReport {
            set_aside: self.set_aside,
            refused: self.args.book.len(),
            suspects: self.suspects.len(),
            crashes: self.suspects.notes().cloned().collect(),
        }
    }
}

fn missing(key: PoisonKey) -> PoisonFailure {
    PoisonFailure::Missing(key.to_string())
}

/// Whoever asked may have left.
fn answer<T: Send + 'static>(reply: RpcReplyPort<T>, value: T) {
    let _ = reply.send(value);
}

/// The pause between two attempts at a remote domain grows to hours: what crashes each delivery
/// has to be seen twice within it.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// How long after a count the next one begins: what is settled while it is aside tells nobody.
const COUNT_PAUSE: Duration = Duration::from_secs(60);

/// Messages counted with one look at the directory.
const PAGE: usize = 1000;
