//! Sessions outlive the mailbox actors under them.

use std::{sync::atomic::Ordering, time::Duration};

use proptest::prelude::*;

use super::{
    fuse::Harm,
    house::{House, cases, run},
    imap::Client,
};

fn harms() -> impl Strategy<Value = Vec<(u32, Harm)>> {
    let harm = prop_oneof![Just(Harm::Error), Just(Harm::Kill), Just(Harm::Panic)];
    prop::collection::vec((0_u32..6, harm), 0..20)
}

#[tokio::test(start_paused = true)]
async fn who_idles_watches_the_next_mailbox_actor_without_a_word_of_its_own() {
    let house = House::new().await;
    let (mut idle, mut other) = (
        Client::selected(&house).await,
        Client::selected(&house).await,
    );
    let tag = idle.idle().await.unwrap();
    for count in 1..=5 {
        assert!(house.mailboxes.stop_entity(&house.account).await);
        other.until_done("APPEND INBOX {5+}\r\nabcde").await;
        idle.hear_until(count).await;
    }
    assert_eq!(idle.done(&tag).await.word(1), "OK");
    assert!(idle.wire.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn who_idles_while_the_store_cannot_be_read_is_told_afterwards() {
    let house = House::new().await;
    let (mut idle, mut other) = (
        Client::selected(&house).await,
        Client::selected(&house).await,
    );
    let tag = idle.idle().await.unwrap();
    house.blind.store(true, Ordering::Relaxed);
    other.until_done("APPEND INBOX {5+}\r\nabcde").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(idle.exists, 0);
    house.blind.store(false, Ordering::Relaxed);
    idle.hear_until(1).await;
    assert_eq!(idle.done(&tag).await.word(1), "OK");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_delete_its_mailbox_has_it_open_still() {
    let house = House::new().await;
    let mut client = Client::selected(&house).await;
    client.until_done("CREATE box").await;
    client.until_done("SELECT box").await;
    house.mailbox_fuse.light([(0, Harm::Kill)]);
    assert_eq!(client.command("DELETE box").await.word(1), "NO");
    assert_eq!(client.command("CHECK").await.word(1), "OK");
    client.until_done("DELETE box").await;
    let answer = client.command("CHECK").await;
    assert_eq!(answer.word(2), "select a mailbox first");
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn who_idles_hears_of_each_message_once_however_often_the_mailbox_actor_crashes(
        plan in harms(),
        stops in prop::collection::vec(any::<bool>(), 1..12),
    ) {
        run(async {
            let house = House::new().await;
            let (mut idle, mut other) =
                (Client::selected(&house).await, Client::selected(&house).await);
            let tag = idle.idle().await.unwrap();
            house.mailbox_fuse.light(plan);
            for stops in stops {
                other.command("APPEND INBOX {5+}\r\nabcde").await;
                if stops {
                    house.mailboxes.stop_entity(&house.account).await;
                }
            }
            house.mailbox_fuse.put_out();
            idle.hear_until(house.count()).await;
            other.until_done("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
            other.until_done("EXPUNGE").await;
            idle.hear_until(0).await;
            assert_eq!(idle.done(&tag).await.word(1), "OK");
            assert!(idle.wire.is_quiet().await, "nothing is told twice");
        });
    }
}
