//! The wrapping in which the frame runs an actor: catches its panics, keeps the cause of its end,
//! drops its state before anybody hears of the end, and seats it.

use std::sync::{Arc, OnceLock};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{
    cause::{ExitCause, PanicReport},
    flight::handles,
    panic_hook::{caught, caught_now},
    presence::Presence,
    seat::Seat,
    told::Told,
};

/// An actor inside the frame.
pub(crate) struct Nest<A: Actor> {
    actor: A,
    seat: Option<Seat<A::Msg>>,
    /// Who sits in the seat, if we do.
    sitter: OnceLock<ActorId>,
    presence: Arc<Presence>,
    /// Whether it is up as soon as it has started; a supervisor is up when its children are.
    up_at_start: bool,
}

/// The actor's state; taken out, and so dropped, at the end.
///
/// Only a kill between two messages leaves it in place, and then ractor carries it to the
/// supervisor, if it has one. So it holds the presence as well, which is told gone after the state is.
pub(crate) struct Held<S> {
    state: Option<S>,
    /// There, but for the time in which a handler is polled.
    presence: Option<Arc<Presence>>,
}

/// Runs one handler of the actor on its state, inside the wrapping.
macro_rules! within {
    ($nest:ident, $held:ident, $beat:expr, |$state:ident| $call:expr) => {{
        let mut guard = Guard {
            held: $held,
            keep: false,
        };
        let Held { state, presence } = &mut *guard.held;
        let Some($state) = state.as_mut() else {
            return Err($nest.ends(ExitCause::Killed)); // ractor calls nothing after an end
        };
        let _beat = $beat;
        // Boxed: ractor keeps room for this future in every actor for as long as it lives, and for
        // each layer around it again. An idle session would take 30 KiB more than it does.
        match flat(handles(presence, Box::pin($call)).await) {
            Ok(()) => {
                guard.keep = true;
                Ok(())
            }
            Err(cause) => {
                let error = $nest.ends(cause);
                drop(guard);
                Err(error)
            }
        }
    }};
}

impl<A: Actor<Msg: Told>> Actor for Nest<A> {
    type Msg = A::Msg;
    type State = Held<A::State>;
    type Arguments = A::Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<A::Msg>,
        args: A::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        flat(caught(async { self.actor.pre_start(myself, args).await }).await)
            .map(|state| Held {
                state: Some(state),
                presence: Some(Arc::clone(&self.presence)),
            })
            .map_err(|cause| self.ends(cause))
    }

    async fn post_start(
        &self,
        myself: ActorRef<A::Msg>,
        held: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if !self.presence.begins() {
            return Err(self.ends(ExitCause::ShutdownTimeout)); // too late: it was counted out
        }
        if let Some(seat) = &self.seat {
            let _ = self.sitter.set(myself.get_id()); // started once
            seat.seat(&myself, self.presence.flight().inbox().clone());
        }
        let cell = myself.get_cell();
        let started = within!(self, held, self.presence.flight().beats(), |state| self
            .actor
            .post_start(myself, state));
        if started.is_ok() && self.up_at_start {
            self.presence.up(&cell);
        }
        started
    }

    async fn handle(
        &self,
        myself: ActorRef<A::Msg>,
        message: A::Msg,
        held: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let flight = self.presence.flight();
        let (beat, began) = flight.begins(message.kind());
        within!(self, held, beat, |state| async move {
            flight.suffer().await?;
            self.actor.handle(myself, message, state).await?;
            self.presence.handled(began);
            Ok(())
        })
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<A::Msg>,
        event: SupervisionEvent,
        held: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        within!(self, held, self.presence.flight().beats(), |state| self
            .actor
            .handle_supervisor_evt(myself, event, state))
    }

    async fn post_stop(
        &self,
        myself: ActorRef<A::Msg>,
        held: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        self.rise();
        within!(self, held, self.presence.flight().beats(), |state| self
            .actor
            .post_stop(myself, state))?;
        // Sockets and permits go now: the supervision event would carry them along otherwise.
        match caught_now(|| drop(held.state.take())) {
            Ok(()) => {
                self.presence.ends(ExitCause::Normal);
                Ok(())
            }
            Err(report) => Err(self.ends(ExitCause::Panic(report))),
        }
    }
}

impl<A: Actor> Nest<A> {
    pub(crate) fn new(
        actor: A,
        seat: Option<Seat<A::Msg>>,
        presence: Arc<Presence>,
        up_at_start: bool,
    ) -> Self {
        Self {
            actor,
            seat,
            sitter: OnceLock::new(),
            presence,
            up_at_start,
        }
    }

    /// Notes the cause; what comes back is for ractor.
    fn ends(&self, cause: ExitCause) -> ActorProcessingErr {
        self.rise(); // at once: what is sent from now on would be lost
        self.presence.ends(cause.clone());
        cause.into()
    }

    fn rise(&self) {
        if let (Some(seat), Some(id)) = (&self.seat, self.sitter.get()) {
            seat.rise(*id);
        }
    }
}

impl<A: Actor> Drop for Nest<A> {
    fn drop(&mut self) {
        self.rise();
    }
}

impl<S> Drop for Held<S> {
    /// A panic of a state that was left in place brings nobody else down, wherever it is dropped.
    fn drop(&mut self) {
        if let (Some(state), Some(presence)) = (self.state.take(), &self.presence) {
            presence.lets_go(state);
        }
    }
}

/// Drops the state of an actor whose handler did not come to a good end, be it by a kill.
struct Guard<'a, S> {
    held: &'a mut Held<S>,
    keep: bool,
}

impl<S> Drop for Guard<'_, S> {
    fn drop(&mut self) {
        if !self.keep {
            drop(self.held.state.take());
        }
    }
}

fn flat<T>(outcome: Result<Result<T, ActorProcessingErr>, PanicReport>) -> Result<T, ExitCause> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ExitCause::from_error(error)),
        Err(report) => Err(ExitCause::Panic(report)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ractor::{ActorCell, ActorRuntime};
    use tokio::{sync::oneshot, time::timeout};

    use super::*;
    use crate::{flight::Last, name::Name, presence::Host};

    struct Idler;

    impl Actor for Idler {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    /// Needs much room while it works.
    struct Sprawler;

    impl Actor for Sprawler {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn handle(
            &self,
            _: ActorRef<()>,
            (): (),
            (): &mut (),
        ) -> Result<(), ActorProcessingErr> {
            let room = [1_u8; SPRAWL];
            tokio::task::yield_now().await;
            assert_eq!(room.last(), Some(&1));
            Ok(())
        }
    }

    const SPRAWL: usize = 16 * 1024;

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

    #[tokio::test]
    async fn an_actor_that_waits_keeps_no_room_for_its_work() {
        let (tell, _told) = oneshot::channel();
        let presence = Arc::new(Presence::new(Box::new(Teller(tell)), None));
        let nest = Nest::new(Sprawler, None, Arc::clone(&presence), true);
        let (myself, running) = Idler::spawn(None, Idler, ()).await.unwrap();
        let mut held = Held {
            state: Some(()),
            presence: Some(presence),
        };
        let work = nest.handle(myself.clone(), (), &mut held);
        assert!(size_of_val(&work) < SPRAWL / 8);
        work.await.unwrap();
        myself.stop(None);
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_counted_out_during_its_start_takes_nobody_s_seat() {
        let (tell, told) = oneshot::channel();
        let presence = Arc::new(Presence::new(Box::new(Teller(tell)), None));
        presence.abandon();
        let (seat, place) = (Seat::new("seat"), Seat::new("seat"));
        let (successor, _) = Idler::spawn(None, Idler, ()).await.unwrap();
        seat.sit(&successor);
        for seat in [&seat, &place] {
            let nest = Nest::new(Idler, Some(seat.clone()), Arc::clone(&presence), true);
            let (_, started) = ActorRuntime::spawn_instant(None, nest, ()).unwrap();
            let running = started.await.unwrap().unwrap();
            timeout(Duration::from_secs(3_600), running)
                .await
                .unwrap()
                .unwrap();
        }
        assert!(seat.is_occupied(), "its successor sits there");
        assert!(!place.is_occupied());
        drop(presence);
        assert_eq!(told.await.unwrap().kind(), "start_failed");
    }
}
