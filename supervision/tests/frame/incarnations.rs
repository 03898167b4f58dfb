//! Families where one incarnation ends and the next begins: kills, pauses, hand-over.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, SharedString, Unit};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{
    Backoff, Context, Family, FamilySpec, Intensity, Reason, Shutdown, Strategy, Supervisor,
};
use tokio::time::sleep;

use super::common::{
    At, Diary, Do, Puppet, puppet,
    theatre::{Theatre, house, reason, settle},
};

#[tokio::test(start_paused = true)]
async fn a_member_that_is_given_up_for_ever_stays_away_and_its_shard_stays_well() {
    let theatre = Theatre::default();
    let mut spec = FamilySpec::transient("puppets")
        .with_intensity(Intensity {
            restarts_max: 0,
            window: Duration::MAX,
        })
        .with_quarantine(Duration::MAX);
    spec.shards = 1;
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.cast(&7, Do::Panic).unwrap();
    family.cast(&8, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(reason(family.cast(&7, Do::Note(1))), Some(Reason::GivenUp));
    assert_eq!(theatre.diary.count("+8"), 1, "the others go on");
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_killed_while_it_starts_has_crashed() {
    let theatre = Theatre::default();
    let given_up = Diary::default();
    let hook = given_up.clone();
    let once = FamilySpec::temporary("attempts")
        .on_give_up(move |key, cause| hook.write(format!("{key}: {cause}")));
    for (key, spec) in [(7, FamilySpec::transient("sessions").explicit()), (8, once)] {
        let family = theatre.family(spec);
        let root = house(&family).await;
        let (tell, hear) = tokio::sync::oneshot::channel();
        *theatre.strings(key).myself.lock().unwrap() = Some(tell);
        theatre.strings(key).set(At::HangInPreStart);
        family.start(&key).unwrap();
        let starting = hear.await.unwrap();
        theatre.strings(key).set(At::Nothing);
        starting.kill();
        settle().await;
        root.stop().await;
    }
    assert_eq!(theatre.diary.take(), ["+7", "-7"], "it was started again");
    assert_eq!(given_up.take(), ["8: start failed: killed"]);
}

/// An actor whose state cannot be dropped in peace.
struct Grenade;

struct Pin(Diary);

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.write("-");
        panic!("the pin is out");
    }
}

impl Actor for Grenade {
    type Msg = Do;
    type State = Pin;
    type Arguments = Diary;

    async fn pre_start(&self, _: ActorRef<Do>, diary: Diary) -> Result<Pin, ActorProcessingErr> {
        diary.write("+");
        Ok(Pin(diary))
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_panics_as_it_is_dropped_brings_nobody_else_down() {
    let diary = Diary::default();
    let mut spec = FamilySpec::transient("grenades");
    spec.shards = 1;
    let in_family = diary.clone();
    let family = Family::new(spec, move |_: &u64, _| (Grenade, in_family.clone()));
    let root = house(&family).await;
    for key in 0..3 {
        family.start(&key).unwrap();
    }
    settle().await;
    // Between two messages: its state is dropped with the news of its end.
    family.for_each(|key, actor| {
        if *key == 1 {
            actor.kill();
        }
    });
    settle().await;
    assert_eq!((diary.count("+"), diary.count("-")), (4, 1));
    root.stop().await;
    assert_eq!(diary.count("-"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_an_earlier_end_does_not_shorten_a_later_one() {
    let theatre = Theatre::default();
    let backoff = Backoff {
        base: Duration::from_secs(10),
        jitter: 0.0,
        cap: Duration::from_secs(100),
        ..Backoff::default()
    };
    let spec = FamilySpec::transient("puppets").with_backoff(backoff);
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.cast(&7, Do::Panic).unwrap();
    settle().await;
    sleep(Duration::from_secs(8)).await;
    // It is stopped during its pause, for which the message then does not wait.
    family.cast(&7, Do::Panic).unwrap();
    assert!(family.stop_entity(&7).await);
    settle().await;
    assert_eq!(theatre.diary.take(), ["+7", "-7", "+7", "-7"]);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(
        theatre.diary.take(),
        [""; 0],
        "the second pause is twice as long"
    );
    sleep(Duration::from_secs(5)).await;
    assert_eq!(theatre.diary.take(), ["+7"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_started_explicitly_and_stopped_as_it_starts_stays_away() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("sessions").explicit());
    let root = house(&family).await;
    family.start(&7).unwrap();
    family.cast(&7, Do::Note(1)).unwrap();
    assert!(family.stop_entity(&7).await);
    settle().await;
    assert!(!family.contains(&7));
    assert_eq!(theatre.diary.count("7:1"), 0);
    root.stop().await;
}

/// Counts by name.
#[derive(Default)]
struct Counted(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl metrics::Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(key.name().to_owned()).or_default();
        Counter::from_arc(Arc::clone(count))
    }

    fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_because_its_spec_says_so_is_not_counted_as_late() {
    let (counted, theatre) = (Counted::default(), Theatre::default());
    let _recording = metrics::set_default_local_recorder(&counted);
    for (shutdown, late) in [
        (Shutdown::Kill, 0),
        (Shutdown::Stop(Duration::from_secs(1)), 1),
    ] {
        let family = theatre.family(FamilySpec::transient("puppets").with_shutdown(shutdown));
        let root = house(&family).await;
        family.cast(&7, Do::Hang).unwrap();
        settle().await;
        root.stop().await;
        let counts = counted.0.lock().unwrap();
        let count = counts
            .get("heronry_supervision_shutdown_timeouts_total")
            .map_or(0, |count| count.load(Ordering::Relaxed));
        assert_eq!(count, late, "{shutdown:?}");
    }
}

/// Passivates itself and hands on what it still hears.
struct Leaver;

impl Actor for Leaver {
    type Msg = Do;
    type State = (Context<u64>, Diary, bool);
    type Arguments = (Context<u64>, Diary);

    async fn pre_start(
        &self,
        _: ActorRef<Do>,
        (context, diary): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        diary.write("+");
        Ok((context, diary, false))
    }

    async fn handle(
        &self,
        _: ActorRef<Do>,
        message: Do,
        (context, diary, leaving): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            message if *leaving => {
                if let Err(message) = context.hand_on(message) {
                    diary.write(format!("kept {message:?}"));
                }
            }
            Do::Stop => {
                *leaving = true;
                context.passivate();
                // While it is leaving, somebody else sends.
                sleep(Duration::from_secs(1)).await;
            }
            message => diary.write(format!("{message:?}")),
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_leaving_member_hands_on_comes_before_what_was_sent_later() {
    let diary = Diary::default();
    let in_family = diary.clone();
    let mut spec = FamilySpec::transient("leavers");
    spec.buffer_max = 3;
    let family = Family::new(spec, move |_: &u64, context| {
        (Leaver, (context, in_family.clone()))
    });
    let root = house(&family).await;
    family.start(&7).unwrap();
    settle().await;
    for message in [Do::Stop, Do::Note(1), Do::Note(2), Do::Note(3)] {
        family.cast(&7, message).unwrap();
    }
    settle().await;
    family.cast(&7, Do::Note(4)).unwrap();
    sleep(Duration::from_secs(2)).await;
    let told = ["+", "kept Note(3)", "+", "Note(1)", "Note(2)", "Note(4)"];
    assert_eq!(diary.take(), told);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_incarnation_hands_on_after_its_end_goes_to_whoever_is_there() {
    let theatre = Theatre::default();
    let contexts = Arc::new(Mutex::new(Vec::new()));
    let (keep, puppets) = (Arc::clone(&contexts), theatre.clone());
    let family = Family::new(FamilySpec::transient("puppets"), move |key, context| {
        keep.lock().unwrap().push(context);
        (Puppet, puppets.strings(*key))
    });
    let root = house(&family).await;
    family.cast(&7, Do::Panic).unwrap();
    settle().await;
    let first: Context<u64> = contexts.lock().unwrap()[0].clone();
    first.hand_on(Do::Note(1)).unwrap();
    assert!(first.hand_on("not of this family").is_err());
    settle().await;
    assert_eq!(theatre.diary.count("7:1"), 1);
    assert!(family.stop_entity(&7).await);
    assert!(first.hand_on(Do::Note(2)).is_err(), "nobody is there");
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_incarnation_from_before_the_family_was_restarted_has_no_say() {
    let theatre = Theatre::default();
    let contexts = Arc::new(Mutex::new(Vec::new()));
    let (keep, puppets) = (Arc::clone(&contexts), theatre.clone());
    let family = Family::new(FamilySpec::transient("puppets"), move |key, context| {
        keep.lock().unwrap().push(context);
        (Puppet, puppets.strings(*key))
    });
    let (store, seat, _) = puppet("store", &theatre.diary);
    let root = Supervisor::new("house", Strategy::RestForOne)
        .child(store)
        .child(family.child());
    let root = root.start().await.unwrap();
    family.start(&7).unwrap();
    settle().await;
    seat.cast(Do::Panic).unwrap();
    settle().await;
    family.start(&7).unwrap();
    settle().await;
    let first: Context<u64> = contexts.lock().unwrap()[0].clone();
    first.passivate();
    settle().await;
    assert!(family.contains(&7), "it is another incarnation");
    root.stop().await;
}
