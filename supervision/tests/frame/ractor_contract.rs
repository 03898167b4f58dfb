//! What ractor does, held fast: the frame is built on these facts. Run on every bump of ractor.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex},
    time::Duration,
};

use ractor::{
    Actor, ActorProcessingErr, ActorRef, ActorRuntime, ActorStatus, MessagingErr, RpcReplyPort,
    SpawnErr, SupervisionEvent, rpc::CallResult,
};
use tokio::sync::mpsc;

type Log = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
enum Probe {
    Ask(RpcReplyPort<u8>),
    Block(Arc<tokio::sync::Notify>),
    Fail,
    Hang,
    Note(u8),
    Panic,
    StopYourself,
}

/// Writes down its life.
struct Probed(Log);

struct Dropped(&'static str, Log);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(format!("drop {}", self.0));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Start {
    Hang,
    Panic,
    Well,
}

#[derive(Debug, thiserror::Error)]
#[error("typed")]
struct Typed;

impl Probed {
    fn new(log: &Log) -> Self {
        Self(log.clone())
    }

    fn note(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

impl Actor for Probed {
    type Msg = Probe;
    type State = Dropped;
    type Arguments = Start;

    async fn pre_start(
        &self,
        _: ActorRef<Probe>,
        start: Start,
    ) -> Result<Dropped, ActorProcessingErr> {
        match start {
            Start::Hang => pending::<()>().await,
            Start::Panic => panic!("in pre_start"),
            Start::Well => {}
        }
        Ok(Dropped("state", self.0.clone()))
    }

    async fn handle(
        &self,
        myself: ActorRef<Probe>,
        message: Probe,
        _: &mut Dropped,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Probe::Ask(reply) => drop(reply.send(1)),
            Probe::Block(until) => {
                until.notified().await;
                self.note("unblocked");
            }
            Probe::Fail => return Err(Typed.into()),
            Probe::Hang => pending::<()>().await,
            Probe::Note(number) => self.note(&number.to_string()),
            Probe::Panic => panic!("in handle"),
            Probe::StopYourself => myself.stop(None),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Probe>,
        _: &mut Dropped,
    ) -> Result<(), ActorProcessingErr> {
        self.note("post_stop");
        Ok(())
    }
}

/// A supervisor that hands on what it hears.
struct Ear;

impl Actor for Ear {
    type Msg = ();
    type State = mpsc::UnboundedSender<SupervisionEvent>;
    type Arguments = mpsc::UnboundedSender<SupervisionEvent>;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        tell: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(tell)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        tell: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let _ = tell.send(event); // the test may be over
        Ok(())
    }
}

struct Scene {
    log: Log,
    ear: ActorRef<()>,
    events: mpsc::UnboundedReceiver<SupervisionEvent>,
    probe: ActorRef<Probe>,
}

impl Scene {
    async fn set() -> Self {
        let (log, (tell, mut events)) = (Log::default(), mpsc::unbounded_channel());
        let (ear, _) = Ear::spawn(None, Ear, tell).await.unwrap();
        let cell = ear.get_cell();
        let (probe, _) = Probed::spawn_linked(None, Probed::new(&log), Start::Well, cell)
            .await
            .unwrap();
        assert!(matches!(
            events.recv().await,
            Some(SupervisionEvent::ActorStarted(_))
        ));
        Self {
            log,
            ear,
            events,
            probe,
        }
    }

    /// How the probe's end was told.
    async fn end(&mut self) -> String {
        match self.events.recv().await.unwrap() {
            SupervisionEvent::ActorTerminated(_, state, reason) => {
                let state = if state.is_some() { "with" } else { "without" };
                format!("terminated {state} state: {}", reason.unwrap_or_default())
            }
            SupervisionEvent::ActorFailed(_, error) => format!("failed: {error}"),
            event => format!("{event}"),
        }
    }

    async fn log(&self) -> Vec<String> {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.log.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn stop_jumps_the_queue_and_drops_what_is_queued() {
    let mut scene = Scene::set().await;
    let until = Arc::new(tokio::sync::Notify::new());
    scene.probe.cast(Probe::Block(until.clone())).unwrap();
    tokio::task::yield_now().await;
    scene.probe.cast(Probe::Note(1)).unwrap();
    scene.probe.stop(None);
    until.notify_one();
    assert_eq!(scene.end().await, "terminated with state: ");
    assert_eq!(scene.log().await, ["unblocked", "post_stop", "drop state"]);
}

#[tokio::test]
async fn drain_handles_what_is_queued_and_gives_later_messages_back() {
    let mut scene = Scene::set().await;
    scene.probe.cast(Probe::Note(1)).unwrap();
    scene.probe.cast(Probe::Note(2)).unwrap();
    scene.probe.drain().unwrap();
    let late = scene.probe.cast(Probe::Note(3));
    assert!(matches!(late, Err(MessagingErr::SendErr(Probe::Note(3)))));
    assert_eq!(scene.end().await, "terminated with state: Drained");
    assert_eq!(scene.log().await, ["1", "2", "post_stop", "drop state"]);
}

#[tokio::test]
async fn kill_drops_the_handler_s_future_and_looks_orderly() {
    let mut scene = Scene::set().await;
    scene.probe.cast(Probe::Hang).unwrap();
    tokio::task::yield_now().await;
    scene.probe.kill();
    assert_eq!(scene.end().await, "terminated with state: killed");
    assert_eq!(scene.log().await, ["drop state"]);
}

#[tokio::test]
async fn an_error_reaches_the_supervisor_with_its_type() {
    let mut scene = Scene::set().await;
    scene.probe.cast(Probe::Fail).unwrap();
    match scene.events.recv().await.unwrap() {
        SupervisionEvent::ActorFailed(_, error) => assert!(error.downcast_ref::<Typed>().is_some()),
        event => panic!("{event}"),
    }
}

#[tokio::test]
async fn a_panic_reaches_the_supervisor_as_text_only() {
    let mut scene = Scene::set().await;
    scene.probe.cast(Probe::Panic).unwrap();
    assert_eq!(scene.end().await, "failed: in handle");
}

#[tokio::test]
async fn a_panic_in_pre_start_is_told_to_the_spawner_and_not_to_the_supervisor() {
    let mut scene = Scene::set().await;
    let probe = Probed::new(&scene.log);
    let started = Probed::spawn_linked(None, probe, Start::Panic, scene.ear.get_cell()).await;
    assert!(matches!(started, Err(SpawnErr::StartupFailed(_))));
    tokio::task::yield_now().await;
    assert!(scene.events.try_recv().is_err());
}

#[tokio::test]
async fn a_start_can_be_killed_when_it_was_spawned_at_once() {
    let log = Log::default();
    let (probe, started) =
        ActorRuntime::spawn_instant(None, Probed::new(&log), Start::Hang).unwrap();
    tokio::task::yield_now().await;
    probe.kill();
    assert!(matches!(
        started.await.unwrap(),
        Err(SpawnErr::StartupFailed(_))
    ));
}

#[tokio::test]
async fn a_panic_before_the_future_exists_is_caught_inside_an_async_block_only() {
    // `fn` that is not `async fn`: the panic comes while the future is made.
    fn hasty() -> impl Future<Output = ()> {
        panic!("too early");
        #[allow(unreachable_code, reason = "gives the type")]
        async {}
    }
    let outside = std::panic::catch_unwind(|| drop(hasty()));
    assert!(outside.is_err());
    let inside = tokio::spawn(async { hasty().await }).await;
    assert!(inside.unwrap_err().is_panic());
}

#[tokio::test]
async fn after_its_end_an_actor_drops_calls_and_gives_casts_back() {
    let mut scene = Scene::set().await;
    scene.probe.cast(Probe::StopYourself).unwrap();
    let (port, queued) = tokio::sync::oneshot::channel();
    scene.probe.cast(Probe::Ask(port.into())).unwrap();
    scene.end().await;
    assert!(queued.await.is_err(), "a queued call is dropped");
    while scene.probe.get_status() != ActorStatus::Stopped {
        tokio::task::yield_now().await;
    }
    let cast = scene.probe.cast(Probe::Note(1));
    assert!(matches!(cast, Err(MessagingErr::SendErr(Probe::Note(1)))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_timed_out_is_handled_all_the_same() {
    let scene = Scene::set().await;
    let until = Arc::new(tokio::sync::Notify::new());
    scene.probe.cast(Probe::Block(until.clone())).unwrap();
    let called = scene
        .probe
        .call(Probe::Ask, Some(Duration::from_secs(1)))
        .await;
    assert!(matches!(called, Ok(CallResult::Timeout)));
    scene.probe.cast(Probe::Note(1)).unwrap();
    until.notify_one();
    assert_eq!(scene.log().await, ["unblocked", "1"]);
}

#[tokio::test]
async fn the_end_of_a_well_stopped_actor_carries_its_state() {
    let mut scene = Scene::set().await;
    scene.probe.stop(None);
    let event = scene.events.recv().await.unwrap();
    assert_eq!(scene.log().await, ["post_stop"]);
    drop(event);
    assert_eq!(scene.log().await, ["post_stop", "drop state"]);
}

#[tokio::test]
async fn the_end_of_a_killed_actor_carries_its_state_too() {
    let mut scene = Scene::set().await;
    scene.probe.kill();
    let event = scene.events.recv().await.unwrap();
    assert!(scene.log().await.is_empty());
    drop(event);
    assert_eq!(scene.log().await, ["drop state"]);
}

#[tokio::test]
async fn the_end_of_a_failed_actor_is_told_before_its_state_is_dropped() {
    struct Slow(std::sync::mpsc::Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    struct Fails;

    impl Actor for Fails {
        type Msg = ();
        type State = Slow;
        type Arguments = Slow;

        async fn pre_start(&self, _: ActorRef<()>, s: Slow) -> Result<Slow, ActorProcessingErr> {
            Ok(s)
        }

        async fn handle(
            &self,
            _: ActorRef<()>,
            (): (),
            _: &mut Slow,
        ) -> Result<(), ActorProcessingErr> {
            Err(Typed.into())
        }
    }

    // The state is dropped on the other runtime, and there only once the end has been told here.
    let (let_go, wait) = std::sync::mpsc::channel();
    let (tell, mut events) = mpsc::unbounded_channel();
    let (ear, _) = Ear::spawn(None, Ear, tell).await.unwrap();
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let cell = ear.get_cell();
    let started = other.spawn(async { Fails::spawn_linked(None, Fails, Slow(wait), cell).await });
    started.await.unwrap().unwrap().0.cast(()).unwrap();
    while !matches!(events.recv().await, Some(SupervisionEvent::ActorFailed(..))) {}
    let_go.send(()).unwrap();
    other.shutdown_background();
}

#[tokio::test]
async fn when_a_parent_stops_its_children_are_killed_without_post_stop() {
    let scene = Scene::set().await;
    scene.ear.stop(None);
    assert_eq!(scene.log().await, ["drop state"]);
}

#[tokio::test]
async fn supervision_events_come_before_messages() {
    struct Both(Log);

    impl Actor for Both {
        type Msg = u8;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<u8>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn handle(
            &self,
            _: ActorRef<u8>,
            _: u8,
            _: &mut (),
        ) -> Result<(), ActorProcessingErr> {
            self.0.lock().unwrap().push("message".to_owned());
            Ok(())
        }

        async fn handle_supervisor_evt(
            &self,
            _: ActorRef<u8>,
            _: SupervisionEvent,
            _: &mut (),
        ) -> Result<(), ActorProcessingErr> {
            self.0.lock().unwrap().push("event".to_owned());
            Ok(())
        }
    }

    let log = Log::default();
    let (both, _) = Both::spawn(None, Both(log.clone()), ()).await.unwrap();
    tokio::task::yield_now().await;
    let (other, _) = Both::spawn(None, Both(Log::default()), ()).await.unwrap();
    other.link(both.get_cell());
    both.cast(1).unwrap();
    other.notify_supervisor_and_monitors(SupervisionEvent::ActorStarted(other.get_cell()));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let log = log.lock().unwrap();
    assert_eq!(log.first().map(String::as_str), Some("event"));
    assert_eq!(log.last().map(String::as_str), Some("message"));
}

#[tokio::test]
async fn a_parent_that_does_not_say_otherwise_stops_when_a_child_ends() {
    struct Plain;

    impl Actor for Plain {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    let (parent, ended) = Plain::spawn(None, Plain, ()).await.unwrap();
    let (child, _) = Plain::spawn_linked(None, Plain, (), parent.get_cell())
        .await
        .unwrap();
    child.stop(None);
    ended.await.unwrap();
}

#[tokio::test]
async fn a_message_of_another_type_never_arrives() {
    let scene = Scene::set().await;
    let wrong: ActorRef<u64> = scene.probe.get_cell().into();
    assert_eq!(wrong.is_message_type_of::<u64>(), Some(false));
    assert!(matches!(wrong.cast(1), Err(MessagingErr::InvalidActorType)));
}
