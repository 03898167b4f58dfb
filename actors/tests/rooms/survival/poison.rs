//! A command that brings sessions down is refused, and everything else goes on.

use std::{sync::atomic::Ordering, time::Duration};

use heronry_actors::contract::{
    CommandId, PoisonFailure, PoisonKey, PoisonMsg, PoisonReport, RefusedCommand,
};

use super::{
    fragile::CURSED_OCTETS,
    house::{House, settle},
    imap::Client,
    smtp::greeted,
    wire::Wire,
};

impl House {
    async fn refused(&self) -> Vec<RefusedCommand> {
        settle().await; // who crashed has been told of
        self.poison.call(PoisonMsg::List, LONG).await.unwrap()
    }

    async fn report(&self) -> PoisonReport {
        settle().await;
        self.poison.call(PoisonMsg::Inspect, LONG).await.unwrap()
    }

    async fn retry(&self, id: CommandId) -> Result<(), PoisonFailure> {
        let key = PoisonKey::Command(id);
        let done = self.poison.call(|reply| PoisonMsg::Retry(key, reply), LONG);
        done.await.unwrap()
    }

    async fn forget(&self, id: CommandId) -> Result<(), PoisonFailure> {
        let key = PoisonKey::Command(id);
        let done = self.poison.call(|reply| PoisonMsg::Drop(key, reply), LONG);
        done.await.unwrap()
    }

    /// The one command that is refused.
    async fn poison(&self) -> RefusedCommand {
        let mut refused = self.refused().await;
        assert_eq!(refused.len(), 1, "{refused:?}");
        refused.remove(0)
    }
}

/// What a client of IMAP is answered: the status and the code.
async fn said(client: &mut Client, command: &str) -> String {
    let answer = client.command(command).await;
    settle().await;
    let (status, text) = (answer.word(1), answer.word(2));
    match text.split_once(']') {
        Some((code, _)) if text.starts_with('[') => format!("{status} {code}]"),
        _ => status.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn in_imap_the_third_time_is_refused_and_an_operator_may_have_it_tried_again() {
    const POISON: &str = "STATUS cursed (MESSAGES)";
    let house = House::watched().await;
    let mut client = Client::selected(&house).await;
    for _ in 0..2 {
        assert_eq!(said(&mut client, POISON).await, "NO [SERVERBUG]");
        assert_eq!(said(&mut client, "NOOP").await, "OK");
    }
    assert_eq!(said(&mut client, POISON).await, "NO [CANNOT]");
    for good in ["NOOP", "STATUS INBOX (MESSAGES)", "STATUS cursed (UNSEEN)"] {
        let expected = match good.contains("UNSEEN") {
            true => "NO [SERVERBUG]", // other words are another command
            false => "OK",
        };
        assert_eq!(said(&mut client, good).await, expected, "{good}");
    }
    let mut client = Client::selected(&house).await;
    assert_eq!(said(&mut client, POISON).await, "NO [CANNOT]");
    let known = house.poison().await;
    assert_eq!(
        (known.crashes, known.refusals, known.mark.protocol),
        (2, 2, "imap")
    );
    assert_eq!(known.mark.words, "STATUS cursed (MESSAGES), about INBOX");
    assert_eq!(
        known.mark.speaker.to_string(),
        format!("account {}", house.account)
    );
    assert!(
        known.report.contains("whoever touches this is cursed"),
        "{}",
        known.report
    );

    // The fault is still there: one crash more, and it is refused again.
    let id = known.mark.id;
    house.retry(id).await.unwrap();
    assert_eq!(said(&mut client, POISON).await, "NO [SERVERBUG]");
    assert_eq!(said(&mut client, POISON).await, "NO [CANNOT]");
    assert_eq!(house.poison().await.crashes, 3);

    // It is gone: the command is forgotten after one run that went well.
    house.cured.store(true, Ordering::Relaxed);
    assert_eq!(said(&mut client, POISON).await, "NO [CANNOT]");
    house.retry(id).await.unwrap();
    assert_eq!(said(&mut client, POISON).await, "NO [NONEXISTENT]");
    assert_eq!(said(&mut client, POISON).await, "NO [NONEXISTENT]");
    assert!(house.refused().await.is_empty());
    assert!(matches!(
        house.retry(id).await,
        Err(PoisonFailure::Missing(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn of_pipelined_commands_the_guilty_one_is_refused_and_no_other() {
    let house = House::watched().await;
    let mut client = Client::selected(&house).await;
    for round in 0..3 {
        let commands = ["CAPABILITY", "STATUS cursed (MESSAGES)", "LIST \"\" x"];
        let piped = commands.map(|command| client.tagged(command));
        let text: String = piped.iter().map(|(_, line)| &**line).collect();
        client.wire.say(&text).await;
        for (command, (tag, _)) in commands.into_iter().zip(piped) {
            let answer = client.finish(&tag, command).await;
            let is_guilty = command.starts_with("STATUS");
            let expected = if is_guilty { "NO" } else { "OK" };
            assert_eq!(answer.word(1), expected, "{round}: {command}");
        }
        settle().await;
    }
    assert!(house.poison().await.mark.words.starts_with("STATUS cursed"));
    assert_eq!(house.report().await.crashes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn in_smtp_the_third_time_is_554_for_this_client_and_this_recipient() {
    let house = House::watched().await;
    let mut wire = greeted(&house).await;
    let told = async |wire: &mut Wire, line: &str| {
        wire.say(&format!("{line}\r\n")).await;
        let reply = wire.reply().await.expect("the connection goes on");
        settle().await;
        reply
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(told(&mut wire, "EHLO a").await.starts_with("250-"));
    assert_eq!(told(&mut wire, "MAIL FROM:<>").await, "250 2.1.0");
    for expected in ["451 4.3.0", "451 4.3.0", "554 5.3.0", "554 5.3.0"] {
        assert_eq!(
            told(&mut wire, "RCPT TO:<cursed@house.test>").await,
            expected
        );
    }
    assert_eq!(
        told(&mut wire, "RCPT TO:<ann@house.test>").await,
        "250 2.1.5"
    );
    assert_eq!(told(&mut wire, "DATA").await.get(..3), Some("354"));
    assert_eq!(
        told(&mut wire, "Subject: x\r\n\r\nx\r\n.").await,
        "250 2.0.0"
    );
    let known = house.poison().await;
    assert_eq!(known.mark.words, "RCPT TO:<cursed@house.test>");
    assert_eq!(known.mark.speaker.to_string(), "client 192.0.2.1");

    // Who has logged in is somebody else.
    let mut wire = greeted(&house).await;
    told(&mut wire, "EHLO a").await;
    told(&mut wire, "MAIL FROM:<>").await;
    assert_eq!(
        told(&mut wire, "RCPT TO:<cursed@house.test>").await,
        "554 5.3.0"
    );
    assert_eq!(told(&mut wire, "RSET").await, "250 2.0.0");
    assert_eq!(
        told(&mut wire, "AUTH PLAIN AGFubgBzZWNyZXQ=").await,
        "235 2.7.0"
    );
    told(&mut wire, "MAIL FROM:<ann@house.test>").await;
    assert_eq!(
        told(&mut wire, "RCPT TO:<cursed@house.test>").await,
        "451 4.3.0"
    );

    house.cured.store(true, Ordering::Relaxed);
    house.forget(known.mark.id).await.unwrap();
    assert!(house.refused().await.is_empty());
    let mut wire = greeted(&house).await;
    told(&mut wire, "EHLO a").await;
    told(&mut wire, "MAIL FROM:<>").await;
    assert_eq!(
        told(&mut wire, "RCPT TO:<cursed@house.test>").await,
        "550 5.1.1"
    );
    assert!(matches!(
        house.forget(known.mark.id).await,
        Err(PoisonFailure::Missing(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn in_pop3_the_message_is_refused_by_whatever_number_it_has() {
    let house = House::watched().await;
    let cursed = format!("Subject: two\r\n\r\n{}", "x".repeat(50));
    assert_eq!(cursed.len() as u64, CURSED_OCTETS);
    for text in ["Subject: one\r\n\r\n1", &cursed, "Subject: three\r\n\r\n3"] {
        house.put(text).await;
    }
    let told = async |wire: &mut Wire, line: &str| {
        wire.say(&format!("{line}\r\n")).await;
        let reply = wire.line().await.expect("the connection goes on");
        settle().await;
        reply
    };
    let entered = async |wire: &mut Wire| {
        assert!(wire.line().await.unwrap().starts_with("+OK "));
        assert_eq!(told(wire, "USER ann").await, "+OK");
        assert!(told(wire, "PASS secret").await.starts_with("+OK "));
    };
    let mut wire = house.pop3();
    entered(&mut wire).await;
    for expected in ["[SYS/TEMP]", "[SYS/TEMP]", "[SYS/PERM]"] {
        let reply = told(&mut wire, "RETR 2").await;
        assert!(reply.starts_with(&format!("-ERR {expected} ")), "{reply}");
    }
    assert_eq!(told(&mut wire, "DELE 1").await, "+OK");
    assert!(told(&mut wire, "QUIT").await.starts_with("+OK"));

    let mut wire = house.pop3();
    entered(&mut wire).await;
    assert!(
        told(&mut wire, "RETR 2").await.starts_with("+OK "),
        "it is another one"
    );
    while wire.line().await.unwrap() != "." {}
    let known = house.poison().await;
    assert!(
        known.mark.words.starts_with("RETR 2, about "),
        "{}",
        known.mark.words
    );
    assert_eq!(house.report().await.crashes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kill_and_a_crash_over_no_command_accuse_nobody() {
    use super::fuse::Harm;
    let house = House::watched().await;
    for harm in [Harm::Panic, Harm::Error, Harm::Kill] {
        let mut client = Client::selected(&house).await;
        for _ in 0..3 {
            house.strike_next(harm).await;
            assert_eq!(said(&mut client, "NOOP").await, "NO [SERVERBUG]");
        }
        assert_eq!(said(&mut client, "NOOP").await, "OK");
    }
    assert!(house.refused().await.is_empty());
    let report = house.report().await;
    assert_eq!((report.suspects, report.crashes.len()), (0, 9));
}

const LONG: Duration = Duration::from_secs(30);
