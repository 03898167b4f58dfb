//! What SMTP sessions keep to whatever a client does, and what they remember after a crash.

use mail::Address;
use policy::admit::Door;
use store::port::{BodyRef, MailStore};
use supervision::Budget;

use super::{
    client::{Client, NETWORK, QUEUE, settle},
    house::{House, SmtpClient},
};

#[tokio::test]
async fn no_command_goes_unanswered_when_its_session_dies_over_it() {
    let house = House::new().await;
    let mut client = Client::new(NETWORK, QUEUE);
    house.smtp(&mut client, Door::Smtp).await;
    begin(&mut client);
    // The greeting and these replies fill the network; their end waits in the queue.
    client.write(&b"NOOP\r\n".repeat(8)).await;
    settle().await;
    assert!((1..QUEUE).contains(&client.connection.queued()));
    // The replies to these find no room there: the session waits when it dies.
    client.write(&b"NOOP\r\n".repeat(20)).await;
    settle().await;
    client.kill().await;
    house.smtp(&mut client, Door::Smtp).await;
    assert!(client.line().await.unwrap().starts_with("220 "));
    for _ in 0..8 {
        assert_eq!(client.line().await.unwrap(), "250 2.0.0 ok");
    }
    assert!(client.line().await.unwrap().starts_with("451 4.3.0 "));
    for _ in 1..20 {
        assert_eq!(client.line().await.unwrap(), "250 2.0.0 ok");
    }
}

#[tokio::test]
async fn a_session_that_dies_between_recipients_knows_those_before_it() {
    let house = House::new().await;
    let mut client = greeted(&house, Door::Smtp).await;
    for command in ["EHLO a", "MAIL FROM:<>", "RCPT TO:<ann@house.test>"] {
        assert!(client.command(command).await.starts_with("250"));
    }
    client.kill().await;
    house.smtp(&mut client, Door::Smtp).await;
    let second = client.command("RCPT TO:<ann+two@house.test>").await;
    assert_eq!(second, "250 2.1.5 ok");
    assert!(send(&mut client, "x\r\n").await.starts_with("250 "));
    assert_eq!(recipients(&house), ["ann@house.test", "ann+two@house.test"]);
}

#[tokio::test]
async fn mail_for_accounts_of_the_house_is_in_their_mailboxes_when_it_is_acknowledged() {
    let house = House::new().await;
    let mut client = greeted(&house, Door::Smtp).await;
    for (number, to) in (1..).zip(["ann@house.test", "ann+nobox@house.test"]) {
        for command in ["EHLO a", "MAIL FROM:<>", &format!("RCPT TO:<{to}>")] {
            assert!(client.command(command).await.starts_with("250"));
        }
        assert!(send(&mut client, "x\r\n").await.starts_with("250 "));
        assert_eq!(house.kept().len(), number);
        assert!(house.spooled().is_empty());
    }
}

#[tokio::test]
async fn mail_for_somebody_who_lives_elsewhere_too_waits_for_all_in_the_spool() {
    let house = House::new().await;
    let targets = ["ann@house.test", "bob@else.test"];
    let targets = targets.map(|target| target.parse().unwrap());
    house.alias("both", targets.to_vec()).await;
    let mut client = greeted(&house, Door::Smtp).await;
    for command in ["EHLO a", "MAIL FROM:<>", "RCPT TO:<both@house.test>"] {
        assert!(client.command(command).await.starts_with("250"));
    }
    assert!(send(&mut client, "x\r\n").await.starts_with("250 "));
    assert_eq!(recipients(&house), ["ann@house.test", "bob@else.test"]);
    assert!(house.kept().is_empty());
}

#[tokio::test]
async fn an_alias_for_many_cannot_be_asked_for_again_and_again() {
    let mut house = House::new().await;
    house.recipients_max = 100;
    let target = |n: usize| -> Address { format!("u{n}@else.test").parse().unwrap() };
    house.alias("all", (0..60).map(target).collect()).await;
    let mut client = greeted(&house, Door::Smtp).await;
    for command in ["EHLO a", "MAIL FROM:<>"] {
        client.command(command).await;
    }
    let mut codes = Vec::new();
    for spelling in ["all", "All", "aLL", "all+1"] {
        let reply = client
            .command(&format!("RCPT TO:<{spelling}@house.test>"))
            .await;
        codes.push(reply[..9].to_owned());
    }
    assert_eq!(
        codes,
        ["250 2.1.5", "250 2.1.5", "452 4.5.3", "452 4.5.3"],
        "a hundred final recipients have been reached with the second"
    );
    assert!(send(&mut client, "x\r\n").await.starts_with("250 "));
    assert_eq!(recipients(&house).len(), 60);
}

#[tokio::test]
async fn whoever_is_named_twice_gets_the_message_once() {
    let house = House::new().await;
    let ann: Address = "ann@house.test".parse().unwrap();
    house.alias("boss", vec![ann]).await;
    let mut client = greeted(&house, Door::Smtp).await;
    for command in ["EHLO a", "MAIL FROM:<>"] {
        client.command(command).await;
    }
    for spelling in ["ann", "ANN", "\"ann\"", "boss", "ann+box", "Ann+box"] {
        let command = format!("RCPT TO:<{spelling}@house.test>");
        assert_eq!(client.command(&command).await, "250 2.1.5 ok");
    }
    assert!(send(&mut client, "x\r\n").await.starts_with("250 "));
    assert_eq!(recipients(&house), ["ann@house.test", "ann+box@house.test"]);
}

#[tokio::test]
async fn who_declares_little_and_sends_much_takes_no_memory_that_is_not_there() {
    let mut house = House::new().await;
    house.budget = Budget::new(100 * 1024);
    let mut client = greeted(&house, Door::Smtp).await;
    for command in ["EHLO a", "MAIL FROM:<> SIZE=1", "RCPT TO:<ann@house.test>"] {
        assert!(client.command(command).await.starts_with("250"));
    }
    let reply = send(&mut client, &"a line of text\r\n".repeat(20_000)).await;
    assert!(reply.starts_with("452 4.3.1 "), "{reply}");
    assert_eq!(house.budget.used(), 0);
    // The session goes on, and a message that has room is taken.
    for command in ["MAIL FROM:<>  SIZE=1", "RCPT TO:<ann@house.test>"] {
        assert!(client.command(command).await.starts_with("250"));
    }
    assert!(send(&mut client, "x\r\n").await.starts_with("250 "));
    assert_eq!(house.budget.used(), 0);
}

#[tokio::test]
async fn the_bare_postmaster_is_reached_also_where_that_is_elsewhere() {
    let mut house = House::new().await;
    house.rules.postmaster = "ops@else.test".parse().ok();
    let mut client = greeted(&house, Door::Smtp).await;
    for command in ["EHLO a", "MAIL FROM:<>"] {
        client.command(command).await;
    }
    let reply = client.command("RCPT TO:<ops@else.test>").await;
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    let reply = client.command("RCPT TO:<PostMaster>").await;
    assert_eq!(reply, "250 2.1.5 ok");
    assert!(send(&mut client, "x\r\n").await.starts_with("250 "));
    assert_eq!(recipients(&house), ["ops@else.test"]);
}

#[tokio::test]
async fn a_header_too_long_to_look_through_gets_no_second_date() {
    let house = House::new().await;
    for (filler, added) in [(1_000, 1), (4_000, 0)] {
        let mut client = greeted(&house, Door::Submission).await;
        for command in [
            "EHLO a",
            "AUTH PLAIN AGFubgBzZWNyZXQ=",
            "MAIL FROM:<ann@house.test>",
            "RCPT TO:<ann@house.test>",
        ] {
            assert!(client.command(command).await.starts_with('2'), "{command}");
        }
        let field = "X-Filler: forty octets of nothing whatsoever\r\n";
        let message = format!("{}Date: x\r\n\r\nbody\r\n", field.repeat(filler));
        assert!(send(&mut client, &message).await.starts_with("250 "));
        let text = text(&house, &house.latest());
        assert_eq!(text.matches("\r\nDate: ").count(), 1, "{filler}");
        assert_eq!(text.matches("\r\nMessage-ID: ").count(), added, "{filler}");
    }
}

/// A client that has been greeted.
async fn greeted(house: &House, door: Door) -> SmtpClient {
    let mut client = Client::new(1024 * 1024, 256 * 1024);
    house.smtp(&mut client, door).await;
    begin(&mut client);
    assert!(client.line().await.unwrap().starts_with("220 "));
    client
}

fn begin(client: &mut SmtpClient) {
    let session = client.session.as_ref().unwrap();
    session
        .cast(heronry_actors::contract::SessionMsg::Begin)
        .unwrap();
}

/// Sends a message; the reply to it.
async fn send(client: &mut SmtpClient, message: &str) -> String {
    assert!(client.command("DATA").await.starts_with("354 "));
    client.command(&format!("{message}.")).await
}

/// The final recipients of the only message.
fn recipients(house: &House) -> Vec<String> {
    let spooled = house.spooled();
    let [message] = &spooled[..] else {
        panic!("{} messages", spooled.len());
    };
    let recipients = message.envelope.recipients.iter();
    recipients.map(|one| one.address.to_string()).collect()
}

fn text(house: &House, body: &BodyRef) -> String {
    let body = MailStore::read(&house.store, body).unwrap();
    let (mut text, mut at) = (Vec::new(), 0);
    loop {
        let part = body.read_at(at, 64 * 1024).unwrap();
        if part.is_empty() {
            return String::from_utf8(text).unwrap();
        }
        at += part.len() as u64;
        text.extend_from_slice(&part);
    }
}
