//! Supervisors as a shell: order of start and stop, restarts, escalation, nesting.

mod common;

use common::{Diary, Do, LONG, ToldToFail, puppet};
use supervision::{ExitCause, Strategy, Supervisor};

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_the_reverse_order() {
    let diary = Diary::default();
    let mut root = Supervisor::new("root", Strategy::OneForOne);
    for name in ["a", "b", "c"] {
        root = root.child(puppet(name, &diary).0);
    }
    let root = root.start().await.unwrap();
    assert_eq!(diary.take(), ["+a", "+b", "+c"]);
    assert!(matches!(root.stop().await, ExitCause::Normal));
    assert_eq!(diary.take(), ["-c", "-b", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn a_root_that_gives_up_tells_the_typed_error_of_the_child() {
    let diary = Diary::default();
    let (spec, seat, _) = puppet("a", &diary);
    let root = Supervisor::new("root", Strategy::OneForOne)
        .child(spec)
        .start()
        .await
        .unwrap();
    for _ in 0..3 {
        seat.cast(Do::Fail).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert_eq!(seat.call(|reply| Do::Echo(5, reply), LONG).await, Ok(5));
    }
    seat.cast(Do::Fail).unwrap();
    let cause = root.ended().await;
    assert_eq!(cause.error::<ToldToFail>(), Some(&ToldToFail));
    assert_eq!(cause.to_string(), "gave up on a: error: told to fail");
    assert!(!seat.is_occupied());
}
