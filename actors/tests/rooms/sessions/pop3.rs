//! What POP3 sessions remember after a crash.

use heronry_actors::contract::SessionMsg;

use super::{
    client::{Client, NETWORK, QUEUE, settle},
    house::{House, Pop3Client},
};

#[tokio::test]
async fn a_session_that_goes_on_has_the_maildrop_to_itself_again() {
    let house = House::new().await;
    let mut first = logged_in(&house).await;
    first.kill().await;
    house.pop3(&mut first).await;
    assert!(first.command("STAT").await.starts_with("+OK 0 0"));
    let mut second = greeted(&house).await;
    assert!(second.command("USER ann").await.starts_with("+OK"));
    let reply = second.command("PASS secret").await;
    assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
    assert_eq!(first.command("QUIT").await, "+OK bye");
}

#[tokio::test]
async fn a_maildrop_is_nobody_elses_while_its_session_is_dead() {
    let house = House::new().await;
    let mut first = logged_in(&house).await;
    first.kill().await;
    let mut second = greeted(&house).await;
    assert!(second.command("USER ann").await.starts_with("+OK"));
    let reply = second.command("PASS secret").await;
    assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
    house.pop3(&mut first).await;
    assert!(first.command("STAT").await.starts_with("+OK 0 0"));
    assert_eq!(first.command("QUIT").await, "+OK bye");
    assert!(second.command("USER ann").await.starts_with("+OK"));
    let reply = second.command("PASS secret").await;
    assert!(reply.starts_with("+OK"), "{reply}");
}

#[tokio::test]
async fn a_maildrop_that_is_lost_with_its_mailbox_actor_is_taken_again_at_once() {
    let house = House::new().await;
    let mut first = logged_in(&house).await;
    assert!(house.mailboxes.stop_entity(&house.account).await);
    settle().await;
    let mut second = greeted(&house).await;
    assert!(second.command("USER ann").await.starts_with("+OK"));
    let reply = second.command("PASS secret").await;
    assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
    assert!(first.command("STAT").await.starts_with("+OK 0 0"));
}

#[tokio::test]
async fn a_session_whose_maildrop_was_taken_by_another_one_says_so_and_closes() {
    let house = House::new().await;
    let mut first = logged_in(&house).await;
    first.kill().await; // so that it cannot take it again
    assert!(house.mailboxes.stop_entity(&house.account).await);
    let mut second = logged_in(&house).await;
    house.pop3(&mut first).await;
    let said = first.line().await.unwrap();
    assert!(said.starts_with("-ERR [IN-USE]"), "{said}");
    assert_eq!(first.line().await, None);
    assert!(second.command("STAT").await.starts_with("+OK 0 0"));
}

#[tokio::test]
async fn no_command_goes_unanswered_when_its_session_dies_over_it() {
    let house = House::new().await;
    let mut client = Client::new(NETWORK, QUEUE);
    house.pop3(&mut client).await;
    begin(&client);
    // The greeting and these replies fill the network; their end waits in the queue.
    client.write(&b"AUTH\r\n".repeat(7)).await;
    settle().await;
    assert!((1..QUEUE).contains(&client.connection.queued()));
    // The replies to these find no room there: the session waits when it dies.
    client.write(&b"AUTH\r\n".repeat(20)).await;
    settle().await;
    client.kill().await;
    house.pop3(&mut client).await;
    assert!(client.line().await.unwrap().starts_with("+OK "));
    for number in 0..27 {
        if number == 7 {
            let trouble = client.line().await.unwrap();
            assert!(trouble.starts_with("-ERR [SYS/TEMP]"), "{trouble}");
            continue;
        }
        for line in ["+OK", "PLAIN", "."] {
            assert_eq!(client.line().await.unwrap(), line);
        }
    }
}

async fn greeted(house: &House) -> Pop3Client {
    let mut client = Client::new(1024 * 1024, 256 * 1024);
    house.pop3(&mut client).await;
    begin(&client);
    assert!(client.line().await.unwrap().starts_with("+OK "));
    client
}

async fn logged_in(house: &House) -> Pop3Client {
    let mut client = greeted(house).await;
    assert!(client.command("USER ann").await.starts_with("+OK"));
    let reply = client.command("PASS secret").await;
    assert!(reply.starts_with("+OK 0 messages"), "{reply}");
    client
}

fn begin(client: &Pop3Client) {
    let session = client.session.as_ref().unwrap();
    session.cast(SessionMsg::Begin).unwrap();
}
