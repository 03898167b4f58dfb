//! What clients see of each other, of crashes and of limits.

use heronry_actors::contract::SessionMsg;
use imap::client::Value;
use store::port::Quota;

use super::house::House;

#[tokio::test]
async fn a_client_that_idles_is_told_at_once() {
    let house = House::new().await;
    let (mut idle, mut other) = (house.ann().await, house.ann().await);
    idle.ok("SELECT INBOX").await;
    let tag = idle.begin("IDLE").await;
    assert_eq!(idle.read().await.tag(), "+");
    other.append("INBOX", "Subject: one\r\n\r\n1").await;
    assert_eq!(super::house::shown(&idle.read().await), "* 1 EXISTS");
    assert_eq!(super::house::shown(&idle.read().await), "* 1 RECENT");
    other.ok("SELECT INBOX").await;
    other.ok("STORE 1 +FLAGS (\\Deleted $Junk)").await;
    let lines = [idle.read().await, idle.read().await, idle.read().await];
    assert!(
        super::house::shown(&lines[0]).starts_with("* FLAGS ("),
        "{lines:?}"
    );
    assert_eq!(
        super::house::shown(&lines[2]),
        "* 1 FETCH (FLAGS (\\Deleted $Junk \\Recent))"
    );
    other.ok("EXPUNGE").await;
    assert_eq!(super::house::shown(&idle.read().await), "* 1 EXPUNGE");
    idle.write(b"DONE\r\n").await;
    assert_eq!(idle.finish(&tag).await.tagged.word(1), "OK");
}

#[tokio::test]
async fn a_session_that_dies_is_followed_by_one_that_knows_what_the_client_knew() {
    let house = House::new().await;
    let (mut client, mut other) = (house.ann().await, house.ann().await);
    for _ in 0..3 {
        other.append("INBOX", "Subject: one\r\n\r\n1").await;
    }
    client.ok("SELECT INBOX").await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    house.revive(&mut client).await;
    let answer = client.ok("FETCH 3 UID").await;
    assert_eq!(
        answer.lines(),
        ["* 3 FETCH (UID 3)"],
        "the client still counts the first one"
    );
    assert_eq!(client.ok("NOOP").await.lines()[0], "* 1 EXPUNGE");
    let tag = client.begin("IDLE").await;
    assert_eq!(client.read().await.tag(), "+");
    house.revive(&mut client).await;
    other.append("INBOX", "Subject: one\r\n\r\n1").await;
    assert_eq!(super::house::shown(&client.read().await), "* 3 EXISTS");
    client.write(b"DONE\r\n").await;
    assert_eq!(client.finish(&tag).await.tagged.word(1), "OK");
}

#[tokio::test]
async fn the_death_of_a_mailbox_actor_makes_nobody_deaf() {
    let house = House::new().await;
    let (mut idle, mut other) = (house.ann().await, house.ann().await);
    idle.ok("SELECT INBOX").await;
    let tag = idle.begin("IDLE").await;
    assert_eq!(idle.read().await.tag(), "+");
    assert!(house.mailboxes.stop_entity(&house.account).await);
    other.append("INBOX", "Subject: one\r\n\r\n1").await;
    assert_eq!(super::house::shown(&idle.read().await), "* 1 EXISTS");
    idle.write(b"DONE\r\n").await;
    assert_eq!(idle.finish(&tag).await.tagged.word(1), "OK");
}

#[tokio::test]
async fn a_large_message_comes_whole_and_in_parts() {
    let house = House::new().await;
    let mut client = house.ann().await;
    let line = "0123456789abcdef".repeat(4) + "\r\n";
    let part = line.repeat(20_000);
    let message = format!(
        "Subject: big\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\n\r\nsmall\r\n--b\r\n\r\n{part}\r\n--b--\r\n"
    );
    client.append("INBOX", &message).await;
    client.ok("SELECT INBOX").await;
    let answer = client
        .ok("FETCH 1 (RFC822.SIZE BODY.PEEK[] BODY.PEEK[2])")
        .await;
    let item = |name: &str| answer.untagged[0].item(name).cloned();
    assert_eq!(
        item("RFC822.SIZE"),
        Some(Value::Atom(message.len().to_string()))
    );
    assert_eq!(
        item("BODY[]"),
        Some(Value::String(message.clone().into_bytes()))
    );
    assert_eq!(
        item("BODY[2]"),
        Some(Value::String(part.clone().into_bytes()))
    );
    let answer = client.ok("FETCH 1 BODY.PEEK[2]<100000.66>").await;
    let piece = answer.untagged[0].item("BODY[2]<100000>").cloned();
    assert_eq!(
        piece,
        Some(Value::String(part.as_bytes()[100_000..100_066].to_vec()))
    );
    let answer = client.ok("FETCH 1 BODY.PEEK[3]").await;
    assert_eq!(answer.untagged[0].item("BODY[3]"), Some(&Value::Nil));
}

#[tokio::test]
async fn an_account_that_is_full_takes_no_more() {
    let quota = Quota {
        octets: Some(100),
        messages: None,
    };
    let house = House::with_quota(quota).await;
    let mut client = house.ann().await;
    client.append("INBOX", &"x".repeat(80)).await;
    let answer = client.command("APPEND INBOX {80}").await;
    assert!(answer.text().starts_with("[OVERQUOTA]"), "{answer:?}");
    client.ok("CREATE other").await;
    client.ok("SELECT INBOX").await;
    let answer = client.command("COPY 1 other").await;
    assert!(answer.text().starts_with("[OVERQUOTA]"), "{answer:?}");
    client.ok("MOVE 1 other").await;
}

#[tokio::test]
async fn whoever_has_a_removed_mailbox_open_is_told_goodbye() {
    let house = House::new().await;
    let (mut one, mut other) = (house.ann().await, house.ann().await);
    one.ok("CREATE box").await;
    one.ok("SELECT box").await;
    other.ok("SELECT box").await;
    one.ok("DELETE box").await;
    let answer = one.command("FETCH 1 FLAGS").await;
    assert_eq!(answer.text(), "select a mailbox first");
    let tag = other.begin("NOOP").await;
    assert_eq!(other.read().await.word(1), "BYE");
    assert_eq!(other.read().await.tag(), tag);
    assert!(other.read_or_end().await.is_none());
}

#[tokio::test]
async fn what_a_command_with_uids_marks_is_told_with_its_uid() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append("INBOX", "Subject: one\r\n\r\n1").await;
    client.append("INBOX", "Subject: two\r\n\r\n2").await;
    client.ok("SELECT INBOX").await;
    let answer = client.ok("UID FETCH 1 BODY[TEXT]").await;
    assert_eq!(
        answer.lines()[1],
        "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))"
    );
    let answer = client.ok("FETCH 2 BODY[TEXT]").await;
    assert_eq!(answer.lines()[1], "* 2 FETCH (FLAGS (\\Seen \\Recent))");
}

#[tokio::test]
async fn a_house_that_closes_says_goodbye() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.session.cast(SessionMsg::Closing).unwrap();
    assert_eq!(client.read().await.word(1), "BYE");
    assert!(client.read_or_end().await.is_none());
}

#[tokio::test]
async fn mailboxes_are_listed_with_what_they_are() {
    let house = House::new().await;
    let mut client = house.ann().await;
    for name in ["a/b/c", "\"x y\"", "p&AOQA5A-"] {
        client.ok(&format!("CREATE {name}")).await;
    }
    client.ok("SUBSCRIBE a/b").await;
    let answer = client.ok("LIST \"\" % RETURN (STATUS (MESSAGES))").await;
    let lines = answer.lines();
    assert!(
        lines.contains(&"* LIST (\\HasChildren) \"/\" a".to_owned()),
        "{lines:#?}"
    );
    assert!(
        lines.contains(&"* STATUS \"x y\" (MESSAGES 0)".to_owned()),
        "{lines:#?}"
    );
    let answer = client.ok("LIST (SUBSCRIBED) \"\" *").await;
    assert_eq!(
        answer.lines(),
        ["* LIST (\\HasChildren \\Subscribed) \"/\" a/b"]
    );
    let answer = client.ok("LSUB \"\" %").await;
    assert_eq!(answer.lines(), ["* LSUB (\\Noselect) \"/\" a"]);
    for wrong in [
        "CREATE a//b",
        "CREATE INBOX",
        "DELETE INBOX",
        "RENAME a a/z",
        "RENAME no x",
        "DELETE no",
        "SELECT no",
    ] {
        let answer = client.command(wrong).await;
        assert_eq!(answer.tagged.word(1), "NO", "{wrong}");
    }
    client.ok("RENAME a z").await;
    assert_eq!(client.ok("LIST \"\" z*").await.untagged.len(), 3);
}
