//! IMAP sessions that sleep, and mailboxes that do: nobody notices, whoever crashes over it.

use proptest::prelude::*;

use super::{
    fuse::Harm,
    house::{House, cases, run},
    imap::Client,
    smtp::plans,
};
use heronry_actors::contract::SessionMsg;

#[tokio::test(start_paused = true)]
async fn who_idles_is_told_though_the_session_sleeps() {
    let house = House::new().await;
    let (mut idle, mut other) = (
        Client::selected(&house).await,
        Client::selected(&house).await,
    );
    let tag = idle.idle().await.unwrap();
    for number in 1..=3 {
        house.nightfall().await;
        assert_eq!((house.asleep(), house.mailbox_sleeps()), (2, Some(true)));
        let append = other.command("APPEND INBOX {5+}\r\nabcde").await;
        assert_eq!(append.word(1), "OK");
        idle.hear_until(number).await;
        assert!(idle.wire.is_quiet().await, "that is told once");
    }
    house.nightfall().await;
    assert_eq!(house.asleep(), 2);
    assert_eq!(idle.done(&tag).await.word(1), "OK");
    assert_eq!(idle.command("FETCH 3 FLAGS").await.word(1), "OK");
    assert_eq!(house.asleep(), 1, "the other one sleeps on");
    other.until_done("NOOP").await;
    assert_eq!(other.exists, 3);
}

#[tokio::test(start_paused = true)]
async fn who_sleeps_is_told_that_the_house_closes() {
    let house = House::new().await;
    let mut client = Client::selected(&house).await;
    client.idle().await.unwrap();
    house.nightfall().await;
    assert_eq!((house.asleep(), house.imap.len()), (1, 1));
    assert_eq!(house.imap.broadcast(|_| SessionMsg::Closing), 1);
    let last = client.wire.response().await.unwrap();
    assert_eq!(last.word(1), "BYE");
    assert!(client.wire.response().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_its_session_sleeps_leaves_nothing() {
    let house = House::new().await;
    let mut client = Client::selected(&house).await;
    client.idle().await.unwrap();
    house.nightfall().await;
    assert_eq!(house.asleep(), 1);
    assert_eq!(house.mailbox_sleeps(), Some(true));
    drop(client);
    house.nightfall().await;
    assert!(house.imap.is_empty());
    assert_eq!(
        house.mailbox_sleeps(),
        None,
        "who has left is not remembered"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_nobody_watches_and_one_whose_maildrop_is_taken_do_not_sleep() {
    let house = House::new().await;
    let mut client = Client::selected(&house).await;
    house.nightfall().await;
    assert_eq!(house.mailbox_sleeps(), None, "it is forgotten");
    let mut pop3 = house.pop3();
    assert!(pop3.line().await.unwrap().starts_with("+OK"));
    pop3.say("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n").await;
    assert!(pop3.line().await.unwrap().starts_with("+OK"));
    client.idle().await.unwrap();
    house.nightfall().await;
    assert_eq!(house.mailbox_sleeps(), Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_harmed_while_falling_asleep_or_waking_forgets_nobody() {
    for harm in [Harm::Panic, Harm::Error, Harm::Kill] {
        for moment in 0..6 {
            let house = House::new().await;
            let (mut idle, mut other) = (
                Client::selected(&house).await,
                Client::selected(&house).await,
            );
            let tag = idle.idle().await.unwrap();
            house.mailbox_fuse.light([(moment, harm)]);
            house.nightfall().await;
            house.nightfall().await;
            other.until_done("APPEND INBOX {5+}\r\nabcde").await;
            idle.hear_until(house.count()).await;
            house.mailbox_fuse.put_out();
            house.nightfall().await;
            assert!(idle.wire.is_quiet().await, "that is told once");
            let ended = idle.done(&tag).await;
            assert_eq!(ended.word(1), "OK", "{harm:?} after {moment}: {ended:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_stopped_in_its_sleep_is_missed() {
    let house = House::new().await;
    let (mut idle, mut other) = (
        Client::selected(&house).await,
        Client::selected(&house).await,
    );
    idle.idle().await.unwrap();
    house.nightfall().await;
    assert!(house.mailboxes.stop_entity(&house.account).await);
    house.nightfall().await;
    assert_eq!(house.mailbox_sleeps(), Some(true), "it is watched again");
    other.until_done("APPEND INBOX {5+}\r\nabcde").await;
    idle.hear_until(1).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_harmed_while_falling_asleep_or_waking_is_missed_by_nobody() {
    for harm in [Harm::Panic, Harm::Error, Harm::Kill] {
        for moment in 0..8 {
            let house = House::new().await;
            let (mut idle, mut other) = (
                Client::selected(&house).await,
                Client::selected(&house).await,
            );
            let tag = idle.idle().await.unwrap();
            house.session_fuse.light([(moment, harm)]);
            house.nightfall().await;
            house.put("Subject: one\r\n\r\n1").await;
            other.until_done("APPEND INBOX {5+}\r\nabcde").await;
            let count = house.count();
            idle.hear_until(count).await;
            house.session_fuse.put_out();
            house.nightfall().await;
            let ended = idle.done(&tag).await;
            assert_eq!(ended.word(1), "OK", "{harm:?} after {moment}: {ended:?}");
            assert_eq!(idle.exists, house.count());
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Append,
    Command(&'static str),
    Idle,
    Night,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Append),
        Just(Act::Command("NOOP")),
        Just(Act::Command("FETCH 1:* FLAGS")),
        Just(Act::Command("STORE 1:* +FLAGS (\\Deleted)")),
        Just(Act::Command("EXPUNGE")),
        Just(Act::Command("SELECT INBOX")),
        Just(Act::Idle),
        Just(Act::Night),
        Just(Act::Night),
    ];
    proptest::collection::vec(act, 1..20)
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn what_a_client_is_told_is_the_same_whether_its_session_sleeps_and_crashes_or_not(
        acts in acts(),
        plan in plans(20),
        of_the_mailbox in plans(10),
    ) {
        run(async {
            let house = House::new().await;
            let mut client = Client::selected(&house).await;
            let mut other = Client::selected(&house).await;
            house.session_fuse.light(plan);
            house.mailbox_fuse.light(of_the_mailbox);
            let mut idles: Option<String> = None;
            for act in acts {
                match act {
                    Act::Append => {
                        other.command("APPEND INBOX {5+}\r\nabcde").await;
                    }
                    Act::Command(command) => {
                        if let Some(tag) = idles.take() {
                            client.done(&tag).await;
                        }
                        client.command(command).await;
                    }
                    Act::Idle if idles.is_none() => idles = client.idle().await,
                    Act::Idle => {}
                    Act::Night => house.nightfall().await,
                }
            }
            house.session_fuse.put_out();
            house.mailbox_fuse.put_out();
            house.nightfall().await;
            other.until_done("APPEND INBOX {5+}\r\nabcde").await;
            if let Some(tag) = idles.take() {
                if client.selected {
                    client.hear_until(house.count()).await;
                }
                client.done(&tag).await;
            }
            if !client.selected {
                client.until_done("SELECT INBOX").await;
            }
            client.until_done("NOOP").await;
            assert_eq!(client.exists, house.count(), "all was told");
        });
    }
}
