//! Which host gets a message when another one does not take it.

use store::port::State;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{house::House, peer::Heard};

const LARGE: usize = 3_000_000;

/// A house that knows the domain `d.test` with two hosts.
async fn house() -> House {
    let house = House::new().await;
    house.dns.mx("d.test", &[(10, "a.test"), (20, "b.test")]);
    house.dns.addresses("a.test", &["192.0.2.1"]);
    house.dns.addresses("b.test", &["192.0.2.2"]);
    house
}

/// How often a peer has heard a command so far.
fn count(heard: &mut UnboundedReceiver<Heard>, command: &str) -> usize {
    std::iter::from_fn(|| heard.try_recv().ok())
        .filter(|(_, line)| line.starts_with(command))
        .count()
}

#[tokio::test(start_paused = true)]
async fn who_is_deferred_by_one_host_goes_to_the_next_and_nobody_else() {
    let house = house().await;
    let mut a = house.peer("192.0.2.1", |line, _| match line {
        "RCPT TO:<two@d.test>" => "450 4.2.0 not now",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |_, _| "");
    let id = house.send(100, &["one@d.test", "two@d.test"]).await;
    assert_eq!(house.ends(id).await, []);
    assert_eq!(count(&mut a, "."), 1);
    let heard: Vec<String> = std::iter::from_fn(|| b.try_recv().ok())
        .map(|(_, line)| line)
        .filter(|line| line.starts_with("RCPT") || line == ".")
        .collect();
    assert_eq!(heard, ["RCPT TO:<two@d.test>", "."]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_breaks_off_before_the_end_is_not_the_last() {
    let house = house().await;
    let _a = house.peer("192.0.2.1", |line, _| match line {
        "DATA" => "-",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |_, _| "");
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, []);
    assert_eq!(count(&mut b, "."), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_the_whole_message_may_be_a_yes_and_nobody_else_is_asked_now() {
    let house = house().await;
    let mut a = house.peer("192.0.2.1", |line, _| match line {
        "." => "-",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |_, _| "");
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, [State::Open]);
    assert_eq!((count(&mut a, "."), count(&mut b, "")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_no_of_a_backup_bounces_nothing_that_the_first_host_may_take_later() {
    let house = house().await;
    let _a = house.peer("192.0.2.1", |line, _| match line {
        "RCPT TO:<one@d.test>" => "450 4.2.0 greylisted",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |line, _| match line {
        "RCPT TO:<one@d.test>" => "550 5.7.1 no relaying",
        _ => "",
    });
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, [State::Open]);
    assert_eq!(count(&mut b, "RCPT"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_does_not_exist_bounces_nothing_while_the_first_host_is_down() {
    let house = House::new().await;
    house.dns.mx("d.test", &[(10, "a.test"), (20, "gone.test")]);
    house.dns.addresses("a.test", &["192.0.2.1"]);
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, [State::Open]);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_in_the_middle_of_a_message_counts() {
    let house = house().await;
    let _a = house.peer("192.0.2.1", |line, _| match line {
        "DATA..." => "-552 5.3.4 that is too much",
        _ => "",
    });
    let id = house.send(LARGE, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, [State::Failed]);
}

#[tokio::test(start_paused = true)]
async fn who_offers_tls_and_hangs_up_is_spoken_to_in_the_clear() {
    let house = House::new().await;
    house.dns.mx("d.test", &[(10, "a.test")]);
    house.dns.addresses("a.test", &["192.0.2.1"]);
    let mut a = house.peer("192.0.2.1", |line, _| match line {
        "EHLO mx.house.test" => "250-peer.test\r\n250 STARTTLS",
        "STARTTLS" => "-",
        _ => "",
    });
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, []);
    assert_eq!(count(&mut a, "."), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_enough_of_a_connection_gets_another_one() {
    for tired in [
        "-421 4.7.0 enough for one connection",
        "-",
        "450 4.7.0 enough",
    ] {
        let house = House::new().await;
        house.dns.mx("d.test", &[(10, "a.test")]);
        house.dns.addresses("a.test", &["192.0.2.1"]);
        let carried = std::sync::atomic::AtomicUsize::new(0);
        let mut a = house.peer("192.0.2.1", move |line, connection| {
            use std::sync::atomic::Ordering::Relaxed;
            if line == "." {
                carried.store(connection + 1, Relaxed);
            }
            let is_used = carried.load(Relaxed) == connection + 1;
            if is_used && line.starts_with("MAIL") {
                tired
            } else {
                ""
            }
        });
        let first = house.send(100, &["one@d.test"]).await;
        let second = house.send(100, &["two@d.test"]).await;
        assert_eq!(house.ends(first).await, [], "{tired}");
        assert_eq!(house.ends(second).await, [], "{tired}");
        assert_eq!(count(&mut a, "."), 2, "{tired}");
    }
}
