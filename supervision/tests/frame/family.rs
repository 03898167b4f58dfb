//! Families: started by a message, passivated, restarted alone, given up.

use std::{sync::Arc, time::Duration};

use supervision::{
    Backoff, CallError, Context, Family, FamilySpec, Intensity, Kind, Reason, Revive, Shutdown,
    Status, Strategy, Supervisor,
};
use tokio::time::{Instant, sleep};

use super::common::{
    At, Diary, Do, LONG, Puppet, Strings, puppet,
    theatre::{Theatre, house, reason, settle},
};

#[tokio::test(start_paused = true)]
async fn the_first_message_starts_a_member_and_reaches_it() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    assert_eq!(reason(family.cast(&7, Do::Note(0))), Some(Reason::Closed));
    let root = house(&family).await;
    family.cast(&7, Do::Note(1)).unwrap();
    assert_eq!(
        family.call(&7, |reply| Do::Echo(5, reply), LONG).await,
        Ok(5)
    );
    assert_eq!(theatre.diary.take(), ["+7", "7:1"]);
    assert_eq!((family.len(), family.keys()), (1, vec![7]));
    root.stop().await;
    assert_eq!(theatre.diary.take(), ["-7"]);
    assert_eq!(family.len(), 0);
    assert_eq!(reason(family.cast(&7, Do::Note(0))), Some(Reason::Closed));
}

#[tokio::test(start_paused = true)]
async fn families_that_send_to_each_other_are_made_one_after_the_other() {
    let theatre = Theatre::default();
    let (family, vacancy) = Family::vacant(FamilySpec::transient("puppets"));
    let root = house(&family).await;
    let (early, puppets) = (family.clone(), theatre.clone());
    vacancy.fill(move |key: &u64, _: Context<u64>| {
        // The address was there first: whoever is made may have it.
        assert_eq!(&**early.name(), "puppets");
        (Puppet, puppets.strings(*key))
    });
    family.cast(&7, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["+7", "7:1"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_family_that_nobody_has_filled_fails_to_start() {
    let (family, vacancy) = Family::vacant(FamilySpec::<u64, Do>::temporary("puppets"));
    drop(vacancy);
    let root = house(&family).await;
    let call = family.call(&7, |reply| Do::Echo(5, reply), LONG).await;
    assert!(call.is_err(), "{call:?}");
    assert_eq!(family.len(), 0);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_member_is_passivated_and_comes_back_with_the_next_message() {
    let theatre = Theatre::default();
    let spec = FamilySpec::transient("puppets").passivate_after(Duration::from_secs(60));
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.cast(&7, Do::Note(1)).unwrap();
    sleep(Duration::from_secs(50)).await;
    family.cast(&7, Do::Note(2)).unwrap();
    sleep(Duration::from_secs(50)).await;
    assert_eq!(theatre.diary.take(), ["+7", "7:1", "7:2"]);
    sleep(Duration::from_secs(50)).await;
    assert_eq!(theatre.diary.take(), ["-7"]);
    assert!(family.is_empty());
    family.cast(&7, Do::Note(3)).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["+7", "7:3"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_member_is_asked_again_and_again_until_it_goes() {
    let theatre = Theatre::default();
    let spec = FamilySpec::transient("puppets").ask_after(Duration::from_secs(80), |_| Do::Note(0));
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.start(&7).unwrap();
    sleep(Duration::from_secs(200)).await;
    assert_eq!(theatre.diary.take(), ["+7", "7:0", "7:0"]);
    family.cast(&7, Do::Stop).unwrap(); // a puppet of a family passivates itself
    settle().await;
    assert_eq!(theatre.diary.take(), ["-7"]);
    assert!(!family.contains(&7));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_used_stays_and_who_is_not_goes_however_many_there_are() {
    let theatre = Theatre::default();
    let spec = FamilySpec::transient("puppets").passivate_after(Duration::from_secs(80));
    let family = theatre.family(spec);
    let root = house(&family).await;
    for key in 0..100 {
        family.start(&key).unwrap();
        sleep(Duration::from_millis(500)).await;
    }
    for round in 0..10 {
        for key in (0..100).step_by(10) {
            family.cast(&key, Do::Note(round)).unwrap();
        }
        sleep(Duration::from_secs(30)).await;
    }
    let mut keys = family.keys();
    keys.sort_unstable();
    assert_eq!(keys, (0..100).step_by(10).collect::<Vec<_>>());
    sleep(Duration::from_secs(100)).await;
    assert!(family.is_empty());
    assert_eq!(theatre.diary.take().len(), 2 * 100 + 10 * 10);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_key_of_who_has_ended_is_kept_by_nobody() {
    let diary = Diary::default();
    let in_family = diary.clone();
    let spec = FamilySpec::transient("puppets").ask_after(LONG, |_| Do::Note(0));
    let family = Family::new(spec, move |_: &Arc<str>, _: Context<Arc<str>>| {
        (Puppet, Strings::new("member", &in_family))
    });
    let root = Supervisor::new("house", Strategy::OneForOne).child(family.child());
    let root = root.start().await.unwrap();
    let keys: Vec<Arc<str>> = (0..50).map(|key| key.to_string().into()).collect();
    for key in &keys {
        family.start(key).unwrap();
    }
    settle().await;
    assert!(keys.iter().all(|key| Arc::strong_count(key) > 1));
    for key in keys.iter().rev().step_by(2).chain(keys.iter().step_by(2)) {
        family.cast(key, Do::Stop).unwrap();
        settle().await;
        assert_eq!(Arc::strong_count(key), 1, "{key}");
    }
    assert_eq!(diary.count("-member"), 50);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_member_leaves_is_found_by_the_next_incarnation_of_it_alone() {
    let diary = Diary::default();
    let in_family = diary.clone();
    let family = Family::new(
        FamilySpec::transient("puppets"),
        move |key: &u64, context: Context<u64>| {
            let found = context.left::<String>();
            in_family.write(format!("{key} {}", found.unwrap_or_default()));
            let mut strings = Strings::new(&key.to_string(), &in_family);
            let left = format!("of {}", context.restarts());
            strings.passivate = Some(Arc::new(move || context.passivate_leaving(left.clone())));
            (Puppet, strings)
        },
    );
    let root = house(&family).await;
    family.cast(&7, Do::Stop).unwrap();
    family.cast(&8, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(family.len(), 2);
    let asleep = |key| {
        let members = family.members();
        let member = members.iter().find(|member| member.key == key).unwrap();
        member.status == Status::Asleep
    };
    assert!(asleep(7) && !asleep(8));
    diary.take();
    family.cast(&7, Do::Note(2)).unwrap();
    family.cast(&7, Do::Panic).unwrap(); // it was found: there is nothing for the next one
    settle().await;
    assert_eq!(diary.take(), ["7 of 0", "+7", "7:2", "-7", "7 ", "+7"]);
    family.cast(&7, Do::Stop).unwrap();
    settle().await;
    assert!(family.stop_entity(&7).await);
    family.cast(&7, Do::Note(3)).unwrap();
    settle().await;
    assert_eq!(diary.take(), ["-7", "7 ", "+7", "7:3"]);
    family.cast(&7, Do::Stop).unwrap();
    settle().await;
    root.stop().await;
    assert!(family.is_empty(), "who sleeps holds nobody up");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_sleeps_stays_in_the_books_until_it_is_woken_or_stopped() {
    let theatre = Theatre::default();
    let spec = FamilySpec::transient("puppets")
        .sleeping()
        .passivate_after(Duration::from_secs(60));
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.cast(&7, Do::Note(1)).unwrap();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(theatre.diary.take(), ["+7", "7:1", "-7"]);
    assert_eq!((family.len(), family.keys()), (1, vec![7]));
    assert_eq!(family.members()[0].status, Status::Asleep);
    family.tell(&7, Do::Note(2)).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["+7", "7:2"]);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(family.broadcast(|_| Do::Note(3)), 1);
    settle().await;
    assert_eq!(theatre.diary.take(), ["-7", "+7", "7:3"]);
    sleep(Duration::from_secs(100)).await;
    assert!(family.stop_entity(&7).await);
    assert!(family.is_empty() && !family.contains(&7));
    family.cast(&8, Do::Note(4)).unwrap();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(family.len(), 1);
    root.stop().await;
    assert!(family.is_empty(), "who sleeps holds nobody up");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_crashes_while_it_is_being_passivated_is_started_again() {
    for spec in [
        FamilySpec::transient("puppets"),
        FamilySpec::transient("puppets").sleeping(),
    ] {
        let theatre = Theatre::default();
        let family = theatre.family(spec);
        let root = house(&family).await;
        for message in [Do::Stop, Do::Panic, Do::Note(1)] {
            family.cast(&7, message).unwrap(); // the last one is lost with the crash
        }
        settle().await;
        assert_eq!(theatre.diary.take(), ["+7", "-7", "+7"]);
        assert_eq!(family.members()[0].restarts, 1);
        root.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_when_a_member_passivates_is_handled_and_what_comes_later_waits() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    let root = house(&family).await;
    for message in [Do::Note(1), Do::Stop, Do::Note(2), Do::Note(3)] {
        family.cast(&7, message).unwrap();
    }
    theatre.strings(7).set(At::HangInPostStop); // so that it is leaving for a while
    settle().await;
    family.cast(&7, Do::Note(4)).unwrap();
    family.cast(&7, Do::Note(5)).unwrap();
    assert_eq!(theatre.diary.take(), ["+7", "7:1", "7:2", "7:3"]);
    let member = family.members().remove(0);
    assert_eq!((member.status, member.waiting), (Status::Stopping, 2));
    sleep(Duration::from_secs(5)).await; // its time to stop
    theatre.strings(7).set(At::Nothing);
    settle().await;
    assert_eq!(theatre.diary.take(), ["-7", "+7", "7:4", "7:5"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crashed_member_is_restarted_at_once_and_alone() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    let root = house(&family).await;
    for key in 0..5 {
        family.start(&key).unwrap();
    }
    settle().await;
    theatre.diary.take();
    family.cast(&3, Do::Panic).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["-3", "+3"]);
    let member = family
        .members()
        .into_iter()
        .find(|member| member.key == 3)
        .unwrap();
    assert_eq!((member.status, member.restarts), (Status::Up, 1));
    assert!(member.last_cause.unwrap().contains("told to panic"));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_fails_too_often_is_given_up_and_the_hook_is_told() {
    let theatre = Theatre::default();
    let given_up = Diary::default();
    let hook = given_up.clone();
    let spec = FamilySpec::transient("puppets")
        .with_intensity(Intensity {
            restarts_max: 3,
            window: Duration::from_secs(60),
        })
        .with_quarantine(Duration::from_secs(600))
        .on_give_up(move |key, cause| hook.write(format!("{key}: {}", cause.kind())));
    let family = theatre.family(spec);
    let root = house(&family).await;
    for _ in 0..4 {
        assert!(given_up.read().is_empty());
        family.cast(&7, Do::Fail).unwrap();
        settle().await;
    }
    assert_eq!(given_up.take(), ["7: error"]);
    assert_eq!(theatre.diary.count("+7"), 4);
    assert_eq!(reason(family.cast(&7, Do::Note(1))), Some(Reason::GivenUp));
    assert!(family.is_empty());
    family.cast(&8, Do::Note(1)).unwrap(); // the others go on
    sleep(Duration::from_secs(600)).await;
    family.cast(&7, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(theatre.diary.count("7:1"), 1);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_tried_again_and_the_messages_wait() {
    let theatre = Theatre::default();
    let spec = FamilySpec::transient("puppets").with_backoff(Backoff::default());
    let family = theatre.family(spec);
    let root = house(&family).await;
    theatre.strings(7).set(At::PanicInPreStart);
    family.cast(&7, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(family.members()[0].status, Status::Starting);
    theatre.strings(7).set(At::Nothing);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(theatre.diary.take(), ["+7", "7:1"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_starts_slowly_holds_up_nobody_else() {
    let theatre = Theatre::default();
    let mut spec = FamilySpec::transient("puppets");
    (spec.shards, spec.buffer_max) = (1, 2);
    let family = theatre.family(spec);
    let root = house(&family).await;
    theatre.strings(7).set(At::HangInPreStart);
    family.cast(&7, Do::Note(1)).unwrap();
    family.cast(&7, Do::Note(2)).unwrap();
    assert_eq!(reason(family.cast(&7, Do::Note(3))), Some(Reason::Busy));
    assert_eq!(
        family.call(&8, |reply| Do::Echo(1, reply), LONG).await,
        Ok(1)
    );
    let before = Instant::now();
    root.stop().await;
    assert_eq!(before.elapsed().as_secs(), 5);
    assert_eq!(theatre.diary.take(), ["+8", "-8"]);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_member_has_one_incarnation_and_its_crash_is_told() {
    let theatre = Theatre::default();
    let given_up = Diary::default();
    let hook = given_up.clone();
    let spec = FamilySpec::temporary("attempts")
        .on_give_up(move |key, cause| hook.write(format!("{key}: {}", cause.kind())));
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.cast(&7, Do::Panic).unwrap();
    family.cast(&8, Do::Stop).unwrap();
    settle().await;
    assert_eq!(given_up.take(), ["7: panic"]);
    assert_eq!(
        (theatre.diary.count("+7"), theatre.diary.count("+8")),
        (1, 1)
    );
    assert!(family.is_empty());
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_started_explicitly_is_not_started_by_a_message() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("sessions").explicit());
    let root = house(&family).await;
    assert_eq!(reason(family.cast(&7, Do::Note(1))), Some(Reason::Absent));
    family.start(&7).unwrap();
    family.start(&7).unwrap();
    family.cast(&7, Do::Note(2)).unwrap();
    family.cast(&7, Do::Panic).unwrap();
    settle().await;
    family.cast(&7, Do::Note(3)).unwrap(); // started again after a crash
    family.cast(&7, Do::Stop).unwrap();
    settle().await;
    assert_eq!(reason(family.tell(&7, Do::Note(4))), Some(Reason::Absent));
    assert_eq!(theatre.diary.take(), ["+7", "7:2", "-7", "+7", "7:3", "-7"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_family_takes_nobody_in_until_somebody_has_left() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets").with_members_max(2));
    let root = house(&family).await;
    family.start(&1).unwrap();
    assert!(!family.is_crowded());
    family.start(&2).unwrap();
    assert!(family.is_crowded());
    assert_eq!(family.start(&3), Err(Reason::Full));
    assert_eq!(reason(family.cast(&3, Do::Note(1))), Some(Reason::Full));
    assert!(family.stop_entity(&1).await);
    assert!(!family.stop_entity(&1).await, "it is gone");
    family.cast(&3, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(theatre.diary.count("3:1"), 1);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_revived_by_a_message_stays_down_until_then() {
    let theatre = Theatre::default();
    let mut spec = FamilySpec::transient("puppets").with_intensity(Intensity {
        restarts_max: 1,
        window: Duration::from_secs(60),
    });
    spec.revive = Revive::OnMessage;
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.cast(&7, Do::Panic).unwrap();
    settle().await;
    assert!(family.is_empty());
    assert_eq!(reason(family.tell(&7, Do::Note(1))), Some(Reason::Absent));
    family.cast(&7, Do::Note(1)).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["+7", "-7", "+7", "7:1"]);
    assert_eq!(family.len(), 1);
    root.stop().await;
    assert_eq!(family.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn all_members_are_stopped_at_once_and_who_is_late_is_killed() {
    let theatre = Theatre::default();
    let spec =
        FamilySpec::transient("puppets").with_shutdown(Shutdown::Drain(Duration::from_secs(10)));
    let family = theatre.family(spec);
    let root = house(&family).await;
    for key in 0..100 {
        if key % 2 == 0 {
            theatre.strings(key).set(At::HangInPostStop);
        }
        family.cast(&key, Do::Note(1)).unwrap();
    }
    let before = Instant::now();
    settle().await;
    root.stop().await;
    assert_eq!(before.elapsed().as_secs(), 10);
    let diary = theatre.diary.take();
    assert_eq!(
        diary.iter().filter(|line| line.starts_with('-')).count(),
        100
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_for_all_reaches_all_who_are_up() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    let root = house(&family).await;
    for key in 0..10 {
        family.start(&key).unwrap();
    }
    settle().await;
    assert_eq!(family.broadcast(|key| Do::Note(*key)), 10);
    settle().await;
    assert!((0..10).all(|key| theatre.diary.count(&format!("{key}:{key}")) == 1));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_tree_shows_a_family_and_how_many_members_it_has() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    let root = house(&family).await;
    family.start(&1).unwrap();
    family.start(&2).unwrap();
    let tree = root.tree().children.remove(0);
    assert_eq!(
        (tree.kind, tree.members, tree.status),
        (Kind::Family, Some(2), Status::Up)
    );
    assert!(
        tree.children.is_empty(),
        "shards that are well are not shown"
    );
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_family_that_is_restarted_with_its_group_starts_empty() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("puppets"));
    let (store, seat, _) = puppet("store", &theatre.diary);
    let root = Supervisor::new("house", Strategy::RestForOne)
        .child(store)
        .child(family.child());
    let root = root.start().await.unwrap();
    family.cast(&7, Do::Note(1)).unwrap();
    settle().await;
    theatre.diary.take();
    seat.cast(Do::Panic).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["-store", "-7", "+store"]);
    family.cast(&7, Do::Note(2)).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["+7", "7:2"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_says_why() {
    let theatre = Theatre::default();
    let family = theatre.family(FamilySpec::transient("sessions").explicit());
    let root = house(&family).await;
    let asked = family.call(&7, |reply| Do::Echo(1, reply), LONG).await;
    assert_eq!(asked, Err(CallError::Refused(Reason::Absent)));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_given_up_session_is_not_started_by_a_late_message() {
    let theatre = Theatre::default();
    let spec = FamilySpec::transient("sessions")
        .explicit()
        .with_intensity(Intensity {
            restarts_max: 0,
            window: Duration::from_secs(60),
        })
        .with_quarantine(Duration::from_secs(1));
    let family = theatre.family(spec);
    let root = house(&family).await;
    family.start(&7).unwrap();
    family.cast(&7, Do::Panic).unwrap();
    settle().await;
    assert_eq!(reason(family.cast(&7, Do::Note(1))), Some(Reason::GivenUp));
    assert_eq!(family.start(&7), Err(Reason::GivenUp));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(reason(family.cast(&7, Do::Note(1))), Some(Reason::Absent));
    family.start(&7).unwrap();
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crashed_member_knows_how_often_and_why() {
    let theatre = Theatre::default();
    let told = theatre.diary.clone();
    let family = Family::new(FamilySpec::transient("puppets"), move |_: &u64, context| {
        let context: Context<u64> = context;
        let cause = context.last_cause().map_or("none", |cause| cause.kind());
        told.write(format!("{} {cause}", context.restarts()));
        (Puppet, Strings::new("7", &Diary::default()))
    });
    let root = house(&family).await;
    family.cast(&7, Do::Panic).unwrap();
    settle().await;
    assert_eq!(theatre.diary.take(), ["0 none", "1 panic"]);
    root.stop().await;
}
