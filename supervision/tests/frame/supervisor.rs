//! Supervisors as a shell: order of start and stop, restarts, escalation, nesting.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{
    AutoShutdown, Backoff, CallError, ChildSpec, ExitCause, Heartbeat, Intensity, Restart, Root,
    Seat, Shutdown, Status, Strategy, Supervisor, Tree, actor,
};
use tokio::time::{Instant, sleep};

use super::common::{At, Diary, Do, LONG, ToldToFail, a_second_of_ones_own, puppet};

async fn start(supervisor: Supervisor) -> Root {
    supervisor.start().await.unwrap()
}

/// Lets everything happen that needs no time.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_the_reverse_order() {
    let diary = Diary::default();
    let mut root = Supervisor::new("root", Strategy::OneForOne);
    for name in ["a", "b", "c"] {
        root = root.child(puppet(name, &diary).0);
    }
    let root = start(root).await;
    assert_eq!(diary.take(), ["+a", "+b", "+c"]);
    assert!(matches!(root.stop().await, ExitCause::Normal));
    assert_eq!(diary.take(), ["-c", "-b", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_failed_child_and_those_after_it() {
    let diary = Diary::default();
    let (b, seat, _) = puppet("b", &diary);
    let root = Supervisor::new("root", Strategy::RestForOne)
        .child(puppet("a", &diary).0)
        .child(b)
        .child(puppet("c", &diary).0);
    let root = start(root).await;
    diary.take();
    seat.cast(Do::Panic).unwrap();
    settle().await;
    assert_eq!(diary.take(), ["-b", "-c", "+b", "+c"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_restarts_all_and_one_for_one_only_one() {
    for (strategy, after) in [
        (
            Strategy::OneForAll,
            vec!["-b", "-c", "-a", "+a", "+b", "+c"],
        ),
        (Strategy::OneForOne, vec!["-b", "+b"]),
    ] {
        let diary = Diary::default();
        let (b, seat, _) = puppet("b", &diary);
        let root = Supervisor::new("root", strategy)
            .child(puppet("a", &diary).0)
            .child(b)
            .child(puppet("c", &diary).0);
        let root = start(root).await;
        diary.take();
        seat.cast(Do::Fail).unwrap();
        settle().await;
        assert_eq!(diary.take(), after);
        root.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_root_that_gives_up_tells_the_typed_error_of_the_child() {
    let diary = Diary::default();
    let (spec, seat, _) = puppet("a", &diary);
    let root = start(Supervisor::new("root", Strategy::OneForOne).child(spec)).await;
    for _ in 0..3 {
        seat.cast(Do::Fail).unwrap();
        settle().await;
        assert_eq!(seat.call(|reply| Do::Echo(5, reply), LONG).await, Ok(5));
    }
    seat.cast(Do::Fail).unwrap();
    let cause = root.ended().await;
    assert_eq!(cause.error::<ToldToFail>(), Some(&ToldToFail));
    assert_eq!(cause.to_string(), "gave up on a: error: told to fail");
    assert!(!seat.is_occupied());
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_far_enough_apart_are_borne_for_ever() {
    let diary = Diary::default();
    let (spec, seat, _) = puppet("a", &diary);
    let intensity = Intensity {
        restarts_max: 1,
        window: Duration::from_secs(60),
    };
    let root = Supervisor::new("root", Strategy::OneForOne)
        .intensity(intensity)
        .child(spec);
    let root = start(root).await;
    for _ in 0..20 {
        seat.cast(Do::Panic).unwrap();
        sleep(Duration::from_secs(61)).await;
    }
    assert_eq!(diary.count("+a"), 21);
    assert!(matches!(root.stop().await, ExitCause::Normal));
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_fails_stops_what_had_started_and_is_told() {
    let diary = Diary::default();
    let (b, _, strings) = puppet("b", &diary);
    strings.set(At::FailInPreStart);
    let root = Supervisor::new("root", Strategy::OneForOne)
        .child(puppet("a", &diary).0)
        .child(b);
    let cause = root.start().await.unwrap_err();
    assert!(matches!(cause, ExitCause::StartFailed(_)));
    assert!(cause.error::<ToldToFail>().is_some(), "{cause}");
    assert_eq!(diary.take(), ["+a", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_gives_up_is_started_again_by_the_one_above() {
    let diary = Diary::default();
    let (a, seat, _) = puppet("a", &diary);
    let never = Intensity {
        restarts_max: 0,
        window: Duration::from_secs(1),
    };
    let inner = Supervisor::new("inner", Strategy::OneForOne)
        .intensity(never)
        .child(a)
        .child(puppet("b", &diary).0);
    let outer = Supervisor::new("outer", Strategy::OneForOne).child(ChildSpec::supervisor(inner));
    let root = start(outer).await;
    diary.take();
    seat.cast(Do::Fail).unwrap();
    settle().await;
    assert_eq!(diary.take(), ["-a", "-b", "+a", "+b"]);
    let tree = root.tree();
    assert_eq!(tree.children[0].restarts, 1);
    let last = tree.children[0].last_cause.as_deref();
    assert_eq!(last, Some("gave up on a: error: told to fail"));
    assert_eq!(
        tree.find(&["inner", "b"]).map(|tree| tree.status),
        Some(Status::Up)
    );
    assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_next_child_starts_only_when_a_supervisor_before_it_has_all_children_up() {
    let diary = Diary::default();
    let inner = Supervisor::new("inner", Strategy::OneForOne)
        .child(puppet("a", &diary).0)
        .child(puppet("b", &diary).0);
    let outer = Supervisor::new("outer", Strategy::OneForOne)
        .child(ChildSpec::supervisor(inner))
        .child(puppet("c", &diary).0);
    let root = start(outer).await;
    assert_eq!(diary.take(), ["+a", "+b", "+c"]);
    root.stop().await;
    assert_eq!(diary.take(), ["-c", "-b", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stop_in_time_is_killed_and_nothing_is_left_when_stop_returns() {
    let diary = Diary::default();
    let (a, _, strings) = puppet("a", &diary);
    strings.set(At::HangInPostStop);
    let (b, seat, _) = puppet("b", &diary);
    let inner = Supervisor::new("inner", Strategy::OneForOne)
        .child(a.with_shutdown(Shutdown::Stop(Duration::from_secs(3))))
        .child(b.with_shutdown(Shutdown::Stop(Duration::from_secs(4))));
    let root =
        start(Supervisor::new("outer", Strategy::OneForOne).child(ChildSpec::supervisor(inner)))
            .await;
    seat.cast(Do::Hang).unwrap();
    settle().await;
    let before = Instant::now();
    root.stop().await;
    assert_eq!(before.elapsed().as_secs(), 7);
    assert_eq!(diary.take(), ["+a", "+b", "-b", "-a"]);
    let tree = root.tree();
    let last = tree
        .find(&["inner", "a"])
        .and_then(|tree| tree.last_cause.as_deref());
    assert_eq!(last, Some("killed: it did not stop in time"));
}

#[tokio::test(start_paused = true)]
async fn a_subtree_that_is_killed_is_gone_to_the_last_grandchild_when_stop_returns() {
    let diary = Diary::default();
    let (a, seat, _) = puppet("a", &diary);
    let inner = Supervisor::new("inner", Strategy::OneForOne)
        .child(a.with_shutdown(Shutdown::Infinity))
        .child(puppet("b", &diary).0);
    let inner = ChildSpec::supervisor(inner).with_shutdown(Shutdown::Stop(Duration::from_secs(1)));
    let root = start(Supervisor::new("outer", Strategy::OneForOne).child(inner)).await;
    seat.cast(Do::Hang).unwrap();
    settle().await;
    root.stop().await;
    assert_eq!(diary.take(), ["+a", "+b", "-b", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn a_drained_child_handles_what_is_queued_and_a_stopped_one_does_not() {
    for (shutdown, notes) in [
        (Shutdown::Drain(LONG), vec!["+a", "a:1", "a:2", "-a"]),
        (Shutdown::Stop(LONG), vec!["+a", "-a"]),
        (Shutdown::Kill, vec!["+a", "-a"]),
    ] {
        let diary = Diary::default();
        let (spec, seat, _) = puppet("a", &diary);
        let root = Supervisor::new("root", Strategy::OneForOne);
        let root = start(root.child(spec.with_shutdown(shutdown))).await;
        let stopped = tokio::spawn({
            let root = root.clone();
            async move { root.stop().await }
        });
        seat.cast(Do::Note(1)).unwrap();
        seat.cast(Do::Note(2)).unwrap();
        stopped.await.unwrap();
        let told = diary.take();
        // A stop jumps the queue, but may find the first message in hand already.
        match shutdown {
            Shutdown::Drain(_) => assert_eq!(told, notes),
            _ => assert_eq!(
                (told.first(), told.last()),
                (Some(&"+a".to_owned()), Some(&"-a".to_owned()),)
            ),
        }
        let tree = root.tree();
        let last = tree.children[0].last_cause.as_deref();
        let cause = match shutdown {
            Shutdown::Drain(_) => "drained",
            Shutdown::Kill => "killed",
            _ => "normal",
        };
        assert_eq!(last, Some(cause));
    }
}

/// Takes its time between sitting down and being up.
struct Sleeper(Diary);

impl Actor for Sleeper {
    type Msg = Do;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Do>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn post_start(&self, _: ActorRef<Do>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Do>,
        message: Do,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Do::Panic => panic!("told to panic"),
            message => self.0.write(format!("{message:?}")),
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_drained_as_it_comes_up_handles_what_it_was_sent() {
    let (diary, seat) = (Diary::default(), Seat::new("sleeper"));
    let written = diary.clone();
    let start_it = actor(move || Sleeper(written.clone()), || (), &seat);
    let spec = ChildSpec::permanent("sleeper", start_it).with_shutdown(Shutdown::Drain(LONG));
    let root = start(Supervisor::new("root", Strategy::OneForOne).child(spec)).await;
    seat.cast(Do::Panic).unwrap();
    settle().await; // its successor sits, and is not up yet
    seat.cast(Do::Note(1)).unwrap();
    root.stop().await;
    assert_eq!(diary.take(), ["Note(1)"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_hangs_in_its_start_holds_up_no_restart_of_another() {
    let diary = Diary::default();
    let (a, hanging, strings) = puppet("a", &diary);
    let (b, seat, _) = puppet("b", &diary);
    let root = start(
        Supervisor::new("root", Strategy::OneForOne)
            .child(a)
            .child(b),
    )
    .await;
    strings.set(At::HangInPreStart);
    hanging.cast(Do::Panic).unwrap();
    settle().await;
    assert!(!hanging.is_occupied());
    seat.cast(Do::Panic).unwrap();
    settle().await;
    assert_eq!(seat.call(|reply| Do::Echo(3, reply), LONG).await, Ok(3));
    // And it is killed when its time to stop is over.
    root.stop().await;
    assert_eq!(diary.take(), ["+a", "+b", "-a", "-b", "+b", "-b"]);
}

#[tokio::test(start_paused = true)]
async fn a_seat_is_vacant_between_two_incarnations_and_gives_the_message_back() {
    let diary = Diary::default();
    let (spec, seat, _) = puppet("a", &diary);
    assert!(
        seat.cast(Do::Note(1))
            .is_err_and(|vacant| matches!(vacant.0, Do::Note(1)))
    );
    let spec = spec.with_backoff(Backoff {
        jitter: 0.0,
        ..Backoff::default()
    });
    let root = start(Supervisor::new("root", Strategy::OneForOne).child(spec)).await;
    let first = seat.call(Do::Who, LONG).await.unwrap();
    let (asked, ()) = tokio::join!(seat.call(|reply| Do::Echo(1, reply), LONG), async {});
    assert_eq!(asked, Ok(1));
    seat.cast(Do::Panic).unwrap();
    assert_eq!(
        seat.call(|reply| Do::Echo(1, reply), LONG).await,
        Err(CallError::Dropped)
    );
    settle().await;
    assert_eq!(
        seat.call(|reply| Do::Echo(1, reply), LONG).await,
        Err(CallError::Vacant)
    );
    sleep(Duration::from_millis(10)).await;
    assert_ne!(seat.call(Do::Who, LONG).await, Ok(first));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_no_longer_than_it_says() {
    let diary = Diary::default();
    let (spec, seat, _) = puppet("a", &diary);
    let root = start(Supervisor::new("root", Strategy::OneForOne).child(spec)).await;
    seat.cast(Do::Hang).unwrap();
    let asked = seat
        .call(|reply| Do::Echo(1, reply), Duration::from_secs(2))
        .await;
    assert_eq!(asked, Err(CallError::Timeout));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_ends_when_a_significant_child_has() {
    let diary = Diary::default();
    let (mut a, seat, _) = puppet("a", &diary);
    a.restart = Restart::Transient;
    let root = Supervisor::new("root", Strategy::OneForOne)
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(a.significant())
        .child(puppet("b", &diary).0);
    let root = start(root).await;
    seat.cast(Do::Panic).unwrap(); // not an end: it is started again
    settle().await;
    seat.cast(Do::Stop).unwrap();
    assert!(matches!(root.ended().await, ExitCause::Normal));
    assert_eq!(diary.take(), ["+a", "+b", "-a", "+a", "-a", "-b"]);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_while_a_child_keeps_failing() {
    let diary = Diary::default();
    let (spec, seat, strings) = puppet("a", &diary);
    let backoff = Backoff {
        base: Duration::from_secs(1),
        jitter: 0.0,
        ..Backoff::default()
    };
    let root = Supervisor::new("root", Strategy::OneForOne)
        .intensity(Intensity {
            restarts_max: 100,
            window: LONG,
        })
        .child(spec.with_backoff(backoff));
    let root = start(root).await;
    strings.set(At::FailInPreStart);
    seat.cast(Do::Panic).unwrap();
    sleep(Duration::from_secs(1 + 2 + 4 + 8 + 10 + 5)).await;
    assert_eq!(root.tree().children[0].restarts, 5);
    strings.set(At::Nothing);
    sleep(Duration::from_secs(6)).await;
    assert!(seat.is_occupied());
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_with_its_place_in_the_source() {
    let _alone = a_second_of_ones_own().await;
    let diary = Diary::default();
    let (spec, seat, _) = puppet("a", &diary);
    let never = Intensity {
        restarts_max: 0,
        window: Duration::from_secs(1),
    };
    let root = Supervisor::new("root", Strategy::OneForOne)
        .intensity(never)
        .child(spec);
    let root = start(root).await;
    seat.cast(Do::Panic).unwrap();
    let cause = root.ended().await;
    let report = cause.panic().unwrap();
    assert_eq!(report.message, "told to panic");
    assert!(
        report
            .location
            .as_deref()
            .is_some_and(|at| at.contains("common/mod.rs:"))
    );
    assert!(report.backtrace.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_child_is_killed_and_restarted_alone_if_its_spec_says_so() {
    let diary = Diary::default();
    let (mut spec, seat, _) = puppet("a", &diary);
    spec.restart = Restart::Transient;
    let heartbeat = Heartbeat {
        limit: Duration::from_secs(30),
        kill: true,
    };
    let root = Supervisor::new("root", Strategy::OneForOne)
        .child(spec.with_heartbeat(heartbeat))
        .child(puppet("b", &diary).0);
    let root = start(root).await;
    diary.take();
    seat.cast(Do::Hang).unwrap();
    sleep(Duration::from_secs(29)).await;
    assert_eq!(diary.take(), [""; 0]);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(
        diary.take(),
        ["-a", "+a"],
        "stuck, killed and restarted alone"
    );
    assert_eq!(
        root.tree().children[0].last_cause.as_deref(),
        Some("killed")
    );
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stuck_child_that_may_live_is_only_reported() {
    let diary = Diary::default();
    let (spec, seat, _) = puppet("a", &diary);
    let heartbeat = Heartbeat {
        limit: Duration::from_secs(30),
        kill: false,
    };
    let root = Supervisor::new("root", Strategy::OneForOne).child(spec.with_heartbeat(heartbeat));
    let root = start(root).await;
    seat.cast(Do::Hang).unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(root.tree().children[0].status, Status::Stuck);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_tree_tells_who_is_up_and_for_how_long() {
    let diary = Diary::default();
    let root = Supervisor::new("house", Strategy::OneForOne).child(puppet("a", &diary).0);
    let root = start(root).await;
    sleep(Duration::from_secs(90)).await;
    let Tree {
        status, children, ..
    } = root.tree();
    assert_eq!(status, Status::Up);
    assert_eq!(children[0].alive_seconds as u64, 90);
    assert_eq!(children[0].incarnation, 1);
    root.stop().await;
    assert_eq!(root.tree().status, Status::Down);
}

#[test]
fn no_handler_of_a_supervisor_awaits_anything() {
    for source in [
        include_str!("../../src/supervisor/actor.rs"),
        include_str!("../../src/family/shard.rs"),
        include_str!("../../src/family/shard/closing.rs"),
    ] {
        let (handlers, _) = source.split_once("mod tests {").unwrap_or((source, ""));
        assert!(!handlers.contains(".await"));
    }
}

#[test]
#[should_panic(expected = "root has two children named a")]
fn two_children_of_one_name_are_found_when_the_tree_is_put_together() {
    let diary = Diary::default();
    let root = Supervisor::new("root", Strategy::OneForOne).child(puppet("a", &diary).0);
    drop(root.child(puppet("a", &diary).0));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_rings_once_and_never_after_it_was_dropped() {
    let diary = Diary::default();
    let (spec, seat, strings) = puppet("a", &diary);
    let (tell, hear) = tokio::sync::oneshot::channel();
    *strings.myself.lock().unwrap() = Some(tell);
    let root = start(Supervisor::new("root", Strategy::OneForOne).child(spec)).await;
    let myself = hear.await.unwrap();
    let rings = supervision::alarm(Duration::from_secs(1), &myself, Do::Note(1));
    drop(supervision::alarm(
        Duration::from_secs(1),
        &myself,
        Do::Note(2),
    ));
    sleep(LONG).await;
    drop(rings);
    assert!(seat.is_occupied());
    root.stop().await;
    assert_eq!(diary.take(), ["+a", "a:1", "-a"]);
}
