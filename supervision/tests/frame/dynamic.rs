//! Children that come and go while their supervisor runs.

use std::time::Duration;

use supervision::{
    ChildSpec, ExitCause, Intensity, NotStarted, Root, Shutdown, Strategy, Supervisor,
};
use tokio::time::sleep;

use super::common::{At, Diary, Do, LONG, ToldToFail, puppet};

/// A house with two rooms: `a` in the first, nobody in the second.
async fn house(diary: &Diary, strategy: Strategy) -> Root {
    let first = Supervisor::new("first", strategy).child(puppet("a", diary).0);
    Supervisor::new("house", Strategy::OneForOne)
        .child(ChildSpec::supervisor(first))
        .child(ChildSpec::supervisor(Supervisor::new(
            "second",
            Strategy::OneForOne,
        )))
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_child_is_added_behind_the_others_and_stopped_before_them() {
    let diary = Diary::default();
    let root = house(&diary, Strategy::OneForOne).await;
    let (b, seat, _) = puppet("b", &diary);
    root.start_child("house/first", b).await.unwrap();
    assert_eq!(seat.call(|reply| Do::Echo(1, reply), LONG).await, Ok(1));
    assert_eq!(root.tree().children[0].children[1].name, "b");
    root.stop().await;
    assert_eq!(diary.take(), ["+a", "+b", "-b", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn an_added_child_is_restarted_with_its_group_and_a_removed_one_is_not() {
    let diary = Diary::default();
    let root = house(&diary, Strategy::OneForAll).await;
    let ((b, seat, _), (c, ..)) = (puppet("b", &diary), puppet("c", &diary));
    root.start_child("house/first", b).await.unwrap();
    root.start_child("house/first", c).await.unwrap();
    assert!(root.stop_child("house/first/c").await);
    assert_eq!(diary.take(), ["+a", "+b", "+c", "-c"]);
    seat.cast(Do::Panic).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(diary.take(), ["-b", "-a", "+a", "+b"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_given_once_and_again_when_its_child_is_gone() {
    let diary = Diary::default();
    let root = house(&diary, Strategy::OneForOne).await;
    let twice = root.start_child("house/first", puppet("a", &diary).0).await;
    assert!(matches!(twice, Err(NotStarted::Exists(name)) if &*name == "a"));
    assert!(root.stop_child("house/first/a").await);
    assert!(!root.stop_child("house/first/a").await, "its spec is gone");
    let again = root.start_child("house/first", puppet("a", &diary).0).await;
    again.unwrap();
    assert_eq!(diary.take(), ["+a", "-a", "+a"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_added_child_that_does_not_start_is_told_and_touches_nobody() {
    let diary = Diary::default();
    let root = house(&diary, Strategy::OneForAll).await;
    let (b, _, strings) = puppet("b", &diary);
    strings.set(At::FailInPreStart);
    let failed = root.start_child("house/first", b).await.unwrap_err();
    let NotStarted::Failed(cause) = failed else {
        panic!("{failed}");
    };
    assert!(cause.error::<ToldToFail>().is_some(), "{cause}");
    assert_eq!(diary.take(), ["+a"]);
    assert_eq!(root.tree().children[0].children.len(), 1);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_no_supervisor_takes_no_children() {
    let diary = Diary::default();
    let root = house(&diary, Strategy::OneForOne).await;
    for path in ["house/first/a", "house/third", "first", ""] {
        let refused = root.start_child(path, puppet("b", &diary).0).await;
        assert!(matches!(refused, Err(NotStarted::Missing(at)) if at == path));
        assert!(!root.stop_child(path).await || path == "house/first/a");
    }
    root.stop().await;
    let late = root.start_child("house/first", puppet("b", &diary).0).await;
    assert!(matches!(late, Err(NotStarted::Ending)));
}

#[tokio::test(start_paused = true)]
async fn a_removed_child_that_does_not_stop_is_killed_and_then_gone() {
    let diary = Diary::default();
    let root = house(&diary, Strategy::OneForOne).await;
    let (b, seat, _) = puppet("b", &diary);
    let b = b.with_shutdown(Shutdown::Stop(Duration::from_secs(2)));
    root.start_child("house/second", b).await.unwrap();
    seat.cast(Do::Hang).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert!(root.stop_child("house/second/b").await);
    assert_eq!(diary.take(), ["+a", "+b", "-b"]);
    assert_eq!(root.tree().children[1].children.len(), 0);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_falls_comes_back_with_the_children_that_it_had() {
    let diary = Diary::default();
    let never = Intensity {
        restarts_max: 0,
        window: Duration::from_secs(1),
    };
    let room = Supervisor::new("room", Strategy::OneForOne)
        .intensity(never)
        .child(puppet("a", &diary).0)
        .child(puppet("b", &diary).0);
    let root = Supervisor::new("house", Strategy::OneForOne)
        .child(ChildSpec::supervisor(room))
        .start()
        .await
        .unwrap();
    let (c, seat, _) = puppet("c", &diary);
    root.start_child("house/room", c).await.unwrap();
    assert!(root.stop_child("house/room/a").await);
    diary.take();
    seat.cast(Do::Fail).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(diary.take(), ["-c", "-b", "+b", "+c"]);
    assert!(matches!(root.stop().await, ExitCause::Normal));
}
