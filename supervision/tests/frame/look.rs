//! Looking at single actors of a running tree, harming them, and hearing of their crashes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{
    ChildSpec, Crash, FamilySpec, Fate, Harm, Heartbeat, Kind, Root, Seat, Status, Strategy,
    Supervisor, Told, Trial, actor, in_hand,
};
use tokio::time::sleep;

use super::common::{Diary, Do, LONG, a_second_of_ones_own, puppet, theatre::Theatre};

/// The crashes that the hook was told of.
#[derive(Clone, Default)]
struct Crashes(Arc<Mutex<Vec<Crash>>>);

impl Crashes {
    fn hook(&self) -> impl Fn(&Crash) + Send + Sync + 'static {
        let crashes = self.clone();
        move |crash| crashes.0.lock().unwrap().push(crash.clone())
    }

    fn take(&self) -> Vec<Crash> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// A house with a puppet in a room, and its seat.
async fn house(diary: &Diary, crashes: &Crashes) -> (Root, Seat<Do>) {
    let (a, seat, _) = puppet("a", diary);
    let room = Supervisor::new("room", Strategy::OneForOne).child(a);
    let root = Supervisor::new("house", Strategy::OneForOne)
        .on_crash(crashes.hook())
        .child(ChildSpec::supervisor(room))
        .start()
        .await
        .unwrap();
    (root, seat)
}

#[tokio::test(start_paused = true)]
async fn a_place_tells_who_stands_there_and_what_it_did_last() {
    let _alone = a_second_of_ones_own().await;
    let (diary, crashes) = (Diary::default(), Crashes::default());
    let (root, seat) = house(&diary, &crashes).await;
    seat.cast(Do::Note(1)).unwrap();
    seat.cast(Do::Panic).unwrap();
    settle().await;
    seat.cast(Do::Note(2)).unwrap();
    settle().await;
    let place = root.place("house/room/a").unwrap();
    let sight = place.look(LONG).await.unwrap();
    assert_eq!((sight.kind, sight.status), (Kind::Actor, Status::Up));
    assert_eq!((sight.incarnation, sight.restarts), (2, 1));
    assert_eq!(sight.report, Some(7.into()));
    assert_eq!(sight.recent[0].kind, "Note");
    assert_eq!(sight.causes.len(), 1);
    assert_eq!(sight.causes[0].kind, "panic");
    assert!(sight.causes[0].cause.contains("common/mod.rs:"));
    assert!(sight.causes[0].backtrace.is_some());
    assert!(root.place("house/room/b").is_none());
    assert!(root.place("house/room/a[1]").is_none());
    assert_eq!(root.paths(), ["house/room/a"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_and_a_supervisor_are_restarted_by_hand() {
    let (diary, crashes) = (Diary::default(), Crashes::default());
    let (root, seat) = house(&diary, &crashes).await;
    for path in ["house/room/a", "house/room"] {
        assert!(root.place(path).unwrap().restart().await, "{path}");
        settle().await;
        assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
        assert_eq!(diary.take().last().unwrap(), "+a");
    }
    assert!(crashes.take().is_empty(), "what was asked for is no crash");
    seat.cast(Do::Hang).unwrap();
    settle().await;
    assert!(root.place("house/room/a").unwrap().restart().await);
    settle().await;
    assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_harm_ends_an_incarnation_in_its_own_way() {
    let (diary, crashes) = (Diary::default(), Crashes::default());
    let (root, seat) = house(&diary, &crashes).await;
    let place = root.place("house/room/a").unwrap();
    let mut trial = Trial::new();
    for (number, harm, kind) in [
        (1, Harm::Error, "error"),
        (2, Harm::Kill, "killed"),
        (3, Harm::Panic, "panic"),
    ] {
        assert_eq!(trial.harm(&place, harm), Some(number));
        let _ = seat.cast(Do::Note(1)); // who is killed hears nothing
        settle().await;
        let kinds: Vec<_> = crashes.take().iter().map(|crash| crash.kind).collect();
        assert_eq!(kinds, [kind]);
        assert_eq!(trial.fates(), [(number, Fate::Struck)]);
        assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
    }
    assert_eq!(diary.count("a:1"), 0, "the message in hand is lost");
    let room = root.place("house/room").unwrap();
    assert_eq!(trial.harm(&room, Harm::Panic), None);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn harm_that_has_not_struck_when_its_trial_ends_never_does() {
    let (diary, crashes) = (Diary::default(), Crashes::default());
    let (root, seat) = house(&diary, &crashes).await;
    let place = root.place("house/room/a").unwrap();
    for harm in [Harm::Error, Harm::Panic, Harm::Stuck] {
        let mut trial = Trial::new();
        assert_eq!(trial.harm(&place, harm), Some(1));
        assert_eq!(trial.fates(), [], "it waits for a message");
        match harm {
            Harm::Error => assert_eq!(trial.end(), [(1, Fate::Lapsed)]),
            _ => drop(trial), // who held it has gone without a word
        }
        assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
    }
    assert!(crashes.take().is_empty());
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn harm_lapses_with_the_incarnation_that_it_was_meant_for_and_when_other_harm_follows() {
    let (diary, crashes) = (Diary::default(), Crashes::default());
    let (root, seat) = house(&diary, &crashes).await;
    let place = root.place("house/room/a").unwrap();
    let mut trial = Trial::new();
    for harm in [Harm::Stuck, Harm::Panic, Harm::Kill] {
        assert!(trial.harm(&place, harm).is_some());
    }
    settle().await;
    let fates = [(1, Fate::Lapsed), (2, Fate::Lapsed), (3, Fate::Struck)];
    assert_eq!(trial.fates(), fates);
    assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
    assert_eq!(trial.end(), []);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_was_made_to_hang_fails_when_the_trial_ends_and_is_started_again() {
    let (diary, crashes) = (Diary::default(), Crashes::default());
    let (root, seat) = house(&diary, &crashes).await; // no heartbeat: nobody would kill it
    let mut trial = Trial::new();
    let place = root.place("house/room/a").unwrap();
    assert!(trial.harm(&place, Harm::Stuck).is_some());
    seat.cast(Do::Note(1)).unwrap();
    sleep(Duration::from_secs(3_600)).await;
    assert!(crashes.take().is_empty());
    assert_eq!(trial.end(), [(1, Fate::Struck)]);
    settle().await;
    let kinds: Vec<_> = crashes.take().iter().map(|crash| crash.kind).collect();
    assert_eq!(kinds, ["error"]);
    assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_family_is_found_by_its_key() {
    let crashes = Crashes::default();
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    let root = Supervisor::new("house", Strategy::OneForOne)
        .on_crash(crashes.hook())
        .child(family.child())
        .start()
        .await
        .unwrap();
    family.cast(&17, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(root.paths(), ["house/puppets[17]"]);
    assert!(root.place("house/puppets[18]").is_none());
    let family_place = root.place("house/puppets").unwrap();
    assert!(family_place.is_family());
    let place = root.place("house/puppets[17]").unwrap();
    let sight = place.look(LONG).await.unwrap();
    assert_eq!((sight.kind, sight.status), (Kind::Actor, Status::Up));
    assert_eq!(sight.report, Some(7.into()));
    assert_eq!(sight.recent.last().unwrap().kind, "Note");
    let mut trial = Trial::new();
    assert!(trial.harm(&place, Harm::Panic).is_some());
    family.cast(&17, Do::Note(2)).unwrap();
    settle().await;
    let [crash] = &*crashes.take() else {
        panic!("one crash");
    };
    assert_eq!((&*crash.path, crash.kind), ("house/puppets[17]", "panic"));
    assert_eq!(crash.recent[0].kind, "Note");
    assert_eq!(crash.recent[0].took_seconds, None);
    assert!(place.restart().await);
    settle().await;
    let sight = place.look(LONG).await.unwrap();
    assert_eq!((sight.status, sight.restarts), (Status::Up, 2));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn members_of_a_family_are_harmed_at_once_from_any_of_them_on() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    let root = Supervisor::new("house", Strategy::OneForOne);
    let root = root.child(family.child()).start().await.unwrap();
    let (place, mut trial) = (root.place("house/puppets").unwrap(), Trial::new());
    assert_eq!(trial.harm_members(&place, 3, 9, Harm::Kill), []);
    for key in 1..=3 {
        family.cast(&key, Do::Note(key)).unwrap();
    }
    settle().await;
    let mut harmed = |nth, count| {
        let aimed = trial.harm_members(&place, nth, count, Harm::Error);
        let keys = aimed.iter().map(|(path, _)| &path["house/puppets".len()..]);
        keys.collect::<String>()
    };
    assert_eq!(harmed(4, 2), "[2][3]");
    assert_eq!(harmed(2, 9), "[3][1][2]", "nobody twice");
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_return_is_reported_killed_and_started_again_alone() {
    let crashes = Crashes::default();
    let theatre = Theatre::default();
    let spec = FamilySpec::transient("puppets").with_heartbeat(Heartbeat {
        limit: Duration::from_secs(10),
        kill: true,
    });
    let family = theatre.family(spec);
    let root = Supervisor::new("house", Strategy::OneForOne)
        .on_crash(crashes.hook())
        .child(family.child())
        .start()
        .await
        .unwrap();
    for key in [1, 2] {
        family.cast(&key, Do::Note(key)).unwrap();
    }
    settle().await;
    let (place, mut trial) = (root.place("house/puppets[1]").unwrap(), Trial::new());
    assert!(trial.harm(&place, Harm::Stuck).is_some());
    family.cast(&1, Do::Note(3)).unwrap();
    sleep(Duration::from_secs(60)).await;
    let kinds: Vec<_> = crashes.take().iter().map(|crash| crash.kind).collect();
    assert_eq!(kinds, ["stuck"]);
    let restarts = |key: u64| {
        let members = family.members();
        members
            .iter()
            .find(|member| member.key == key)
            .unwrap()
            .restarts
    };
    assert_eq!((restarts(1), restarts(2)), (1, 0));
    let echo = family.call(&1, |reply| Do::Echo(1, reply), LONG).await;
    assert_eq!(echo, Ok(1));
    root.stop().await;
}

/// Says what it has in hand, and cannot carry a seven.
struct Porter;

enum Load {
    Carry(u64),
}

impl Told for Load {}

impl Actor for Porter {
    type Msg = Load;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Load>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Load>,
        Load::Carry(number): Load,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if number > 0 {
            in_hand(format!("load {number}"));
        }
        tokio::task::yield_now().await;
        assert!(number != 7 && number != 0, "too heavy");
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_told_with_what_was_in_hand_then_and_not_before() {
    in_hand("nothing: nobody is here"); // and no harm is done
    let crashes = Crashes::default();
    let seat = Seat::new("porter");
    let root = Supervisor::new("house", Strategy::OneForOne)
        .on_crash(crashes.hook())
        .child(ChildSpec::permanent(
            "porter",
            actor(|| Porter, || (), &seat),
        ))
        .start()
        .await
        .unwrap();
    for number in [6, 7] {
        seat.cast(Load::Carry(number)).unwrap();
    }
    settle().await;
    for number in [6, 0] {
        seat.cast(Load::Carry(number)).unwrap();
    }
    settle().await;
    let crashes = crashes.take();
    let in_hand: Vec<_> = crashes
        .iter()
        .map(|crash| crash.in_hand.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(in_hand, [Some("load 7".to_owned()), None]);
    assert!(crashes.iter().all(|crash| crash.path == "house/porter"));
    assert!(crashes[0].cause.panic().unwrap().location.is_some());
    root.stop().await;
}
