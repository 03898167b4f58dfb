//! What a client notices when its session dies at an awkward moment, and that it is not left
//! waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use heronry_actors::contract::MailboxMsg;

use super::{
    house::{House, shown},
    warden::Fate,
};

#[tokio::test]
async fn a_session_that_dies_before_it_has_greeted_is_followed_by_one_that_greets() {
    let house = House::new().await;
    let mut client = house.stranger().await;
    house.revive(&mut client).await;
    assert_eq!(client.read().await.word(1), "OK");
    client.ok("LOGIN ann secret").await;
}

#[tokio::test]
async fn what_followed_a_message_is_heard_when_its_keeping_dies() {
    let (house, mut caught) = House::gated(|msg| match msg {
        MailboxMsg::Append(..) => Fate::Held,
        _ => Fate::Passed,
    })
    .await;
    let mut client = house.ann().await;
    let tag = client.begin("APPEND INBOX {5}").await;
    assert_eq!(client.read().await.tag(), "+");
    client.write(b"abcde\r\n").await;
    caught.recv().await.unwrap();
    house.revive(&mut client).await;
    let answer = client.finish(&tag).await;
    assert!(answer.text().starts_with("[SERVERBUG]"), "{answer:?}");
    client.ok("NOOP").await;
}

#[tokio::test]
async fn an_idle_that_dies_as_it_begins_goes_on_and_tells_nothing_twice() {
    let slow = Arc::new(AtomicBool::new(false));
    let is_slow = slow.clone();
    let (house, mut caught) = House::gated(move |msg| match msg {
        MailboxMsg::Recent(..) if is_slow.load(Ordering::Relaxed) => Fate::Held,
        _ => Fate::Passed,
    })
    .await;
    let (mut idle, mut other) = (house.ann().await, house.ann().await);
    idle.ok("SELECT INBOX").await;
    other.append("INBOX", "Subject: one\r\n\r\n1").await;
    slow.store(true, Ordering::Relaxed);
    let tag = idle.begin("IDLE").await;
    assert_eq!(idle.read().await.tag(), "+");
    assert_eq!(shown(&idle.read().await), "* 1 EXISTS");
    caught.recv().await.unwrap();
    slow.store(false, Ordering::Relaxed);
    house.revive(&mut idle).await;
    idle.write(b"DONE\r\n").await;
    let answer = idle.finish(&tag).await;
    assert_eq!(answer.tagged.word(1), "OK", "{answer:?}");
    assert!(
        !answer.lines().contains(&"* 1 EXISTS".to_owned()),
        "it was told: {answer:?}"
    );
}

#[tokio::test]
async fn answers_that_had_not_left_are_said_by_the_successor() {
    let (house, mut caught) = House::gated(|msg| match msg {
        MailboxMsg::Create(..) => Fate::Held,
        _ => Fate::Passed,
    })
    .await;
    let mut client = house.ann().await;
    client.write(b"a NOOP\r\nb CREATE x\r\nc NOOP\r\n").await;
    caught.recv().await.unwrap();
    house.revive(&mut client).await;
    for (tag, status) in [("a", "OK"), ("b", "NO"), ("c", "OK")] {
        let answer = client.read().await;
        assert_eq!((answer.tag(), answer.word(1)), (tag, status));
    }
}

#[tokio::test]
async fn a_successor_on_a_connection_that_is_over_ends() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.ok("SELECT INBOX").await;
    client.session.kill_and_wait(None).await.unwrap();
    client.leave().await;
    house.revive(&mut client).await;
    let ended = client.session.wait(Some(Duration::from_secs(10))).await;
    assert!(ended.is_ok(), "nobody will ever tell it anything");
}

#[tokio::test(start_paused = true)]
async fn who_got_no_answer_when_it_asked_for_hints_asks_again() {
    let is_first = AtomicBool::new(true);
    let (house, mut caught) = House::gated(move |msg| match msg {
        MailboxMsg::Watch(..) if is_first.swap(false, Ordering::Relaxed) => Fate::Held,
        _ => Fate::Passed,
    })
    .await;
    let (mut idle, mut other) = (house.ann().await, house.ann().await);
    let tag = idle.begin("SELECT INBOX").await;
    caught.recv().await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await; // longer than it waits
    assert_eq!(idle.finish(&tag).await.tagged.word(1), "OK");
    let tag = idle.begin("IDLE").await;
    assert_eq!(idle.read().await.tag(), "+");
    other.append("INBOX", "Subject: one\r\n\r\n1").await;
    assert_eq!(shown(&idle.read().await), "* 1 EXISTS");
    idle.write(b"DONE\r\n").await;
    assert_eq!(idle.finish(&tag).await.tagged.word(1), "OK");
}
