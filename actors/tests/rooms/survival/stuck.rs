//! Sessions that do not return from a handler, and sessions that only wait for their client.

use std::time::Duration;

use tokio::time::sleep;

use super::{fuse::Harm, house::House, imap::Client, smtp::greeted};

/// A heartbeat and the half in which it is felt.
const NOTICED: Duration = Duration::from_secs(91);

#[tokio::test(start_paused = true)]
async fn a_session_that_is_stuck_is_followed_by_one_that_answers() {
    let house = House::watched().await;
    let mut wire = greeted(&house).await;
    house.strike_next(Harm::Stuck).await;
    wire.say("NOOP\r\n").await;
    sleep(NOTICED).await;
    assert!(wire.reply().await.unwrap().starts_with("451 4.3.0 "));
    wire.say("NOOP\r\n").await;
    assert_eq!(wire.reply().await.unwrap(), "250 2.0.0 ok");

    let mut client = Client::selected(&house).await;
    house.strike_next(Harm::Stuck).await;
    let (tag, line) = client.tagged("NOOP");
    client.wire.say(&line).await;
    sleep(NOTICED).await;
    let answer = client.finish(&tag, "NOOP").await;
    assert!(answer.word(2).starts_with("[SERVERBUG]"), "{answer:?}");
    assert_eq!(client.command("NOOP").await.word(1), "OK");

    let mut wire = house.pop3();
    assert!(wire.line().await.unwrap().starts_with("+OK "));
    house.strike_next(Harm::Stuck).await;
    wire.say("USER ann\r\n").await;
    sleep(NOTICED).await;
    assert!(wire.line().await.unwrap().starts_with("-ERR [SYS/TEMP]"));
    wire.say("USER ann\r\n").await;
    assert_eq!(wire.line().await.unwrap(), "+OK");
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_client_does_not_read_for_a_while_is_not_stuck() {
    let house = House::watched().await;
    let text = format!(
        "Subject: long\r\n\r\n{}",
        "0123456789abcde\n".repeat(64 * 1024)
    );
    for _ in 0..4 {
        house.put(&text).await;
    }
    let mut client = Client::selected(&house).await;
    let (tag, line) = client.tagged("FETCH 1:4 BODY.PEEK[]");
    client.wire.say(&line).await;
    sleep(NOTICED).await;
    assert_eq!(client.finish(&tag, "FETCH").await.word(1), "OK");
    assert_eq!(client.command("NOOP").await.word(1), "OK");
}
