//! Which host gets a message when another one does not take it.

use std::{iter, time::Duration};

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
    let heard = lines(heard);
    heard
        .iter()
        .filter(|line| line.starts_with(command))
        .count()
}

/// What a peer has heard so far.
fn lines(heard: &mut UnboundedReceiver<Heard>) -> Vec<String> {
    let heard = iter::from_fn(|| heard.try_recv().ok());
    heard.map(|(_, line)| line).collect()
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
    let mut heard = lines(&mut b);
    heard.retain(|line| line.starts_with("RCPT") || line == ".");
    assert_eq!(heard, ["RCPT TO:<two@d.test>", "."]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_offers_chunks_and_does_not_know_them_gets_the_message_after_data_at_once() {
    let house = house().await;
    let mut a = house.peer("192.0.2.1", |line, _| match line {
        "EHLO mx.house.test" => "250-peer.test\r\n250-PIPELINING\r\n250 CHUNKING",
        line if line.starts_with("BDAT") => "502 5.5.1 what is that",
        // It reads the message as commands, and has soon enough of them.
        line if line.starts_with("a line") => "-421 4.7.0 too many errors",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |_, _| "");
    for (octets, chunks) in [(LARGE, true), (100, false), (LARGE, false)] {
        let id = house.send(octets, &["one@d.test", "two@d.test"]).await;
        assert_eq!(house.ends(id).await, [], "both have it");
        let heard = lines(&mut a);
        let has_chunks = heard.iter().any(|line| line.starts_with("BDAT"));
        assert_eq!(has_chunks, chunks, "it is remembered: {heard:?}");
        assert_eq!(heard.iter().filter(|line| *line == ".").count(), 1);
    }
    assert_eq!(count(&mut b, ""), 0, "no other host is asked");
    // It may have learnt it.
    tokio::time::sleep(Duration::from_secs(60 * 60)).await;
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, []);
    assert_eq!((count(&mut a, "BDAT"), count(&mut b, "")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_closes_over_a_chunk_gets_the_message_after_data_at_once() {
    let house = house().await;
    let mut a = house.peer("192.0.2.1", |line, _| match line {
        "EHLO mx.house.test" => "250-peer.test\r\n250 CHUNKING",
        line if line.starts_with("BDAT") => "-",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |_, _| "");
    let id = house.send(LARGE, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, []);
    let heard = lines(&mut a);
    assert_eq!(heard.iter().filter(|line| *line == ".").count(), 1);
    assert_eq!(count(&mut b, ""), 0);
}

#[tokio::test(start_paused = true)]
async fn who_may_have_a_message_in_chunks_gets_it_after_data_later_and_not_at_once() {
    let house = house().await;
    let mut a = house.peer("192.0.2.1", |line, _| match line {
        "EHLO mx.house.test" => "250-peer.test\r\n250-PIPELINING\r\n250 CHUNKING",
        line if line.starts_with("BDAT") => "-",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |_, _| "");
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(house.ends(id).await, [State::Open]);
    let heard = lines(&mut a);
    assert_eq!(
        heard.iter().filter(|line| line.starts_with("BDAT")).count(),
        1
    );
    assert!(!heard.iter().any(|line| line == "DATA"), "it may have it");
    while a.recv().await.unwrap().1 != "." {}
    assert_eq!(count(&mut b, ""), 0);
}

#[tokio::test(start_paused = true)]
async fn who_was_deferred_by_a_host_without_chunks_bounces_at_no_other() {
    let house = house().await;
    let mut a = house.peer("192.0.2.1", |line, _| match line {
        "EHLO mx.house.test" => "250-peer.test\r\n250-PIPELINING\r\n250 CHUNKING",
        "RCPT TO:<two@d.test>" => "450 4.2.0 not now",
        line if line.starts_with("BDAT") => "500 5.5.2 what is that",
        _ => "",
    });
    let mut b = house.peer("192.0.2.2", |line, _| match line {
        line if line.starts_with("RCPT") => "550 5.7.1 no relaying",
        _ => "",
    });
    let id = house.send(100, &["one@d.test", "two@d.test"]).await;
    assert_eq!(house.ends(id).await, [State::Closed, State::Open]);
    assert_eq!(count(&mut a, "."), 1);
    assert_eq!(count(&mut b, "RCPT TO:<two@d.test>"), 1);
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
