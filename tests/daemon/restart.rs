//! `kill -9` under load: what was answered 250 is there afterwards, with nobody's help.

use std::collections::HashMap;
use std::thread;

use testkit::{Daemon, Door, ImapClient, LONG, Recipe, SmtpClient, until, until_some};

use crate::common::{demo, inbox, user};

#[test]
fn after_kill_9_under_load_every_acknowledged_message_is_there_whole() {
    let mut recipe = demo();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let daemon = recipe.start();
        let (again, more) = killed_under_load(daemon, round);
        acknowledged.extend(more);
        recipe = again;
    }
    let daemon = recipe.start();
    everything_is_there(&daemon, &acknowledged);
}

#[test]
fn after_kill_9_remote_mail_is_still_in_its_queue() {
    let daemon = demo().argument("--trust").argument("127.0.0.0/8").start();
    let mut smtp = daemon.smtp();
    for number in 0..50 {
        let to = format!("a{number}@remote{}.test", number % 5);
        smtp.send("user0@example.test", &[&to], b"Subject: out\r\n\r\nx\r\n")
            .expect(250);
    }
    let daemon = daemon.kill9().start();
    until("fifty messages wait", LONG, || {
        let queue = daemon.command(&["queue", "list"], b"").ok();
        (0..50).all(|number| queue.contains(&format!("a{number}@remote{}.test", number % 5)))
    });
}

#[test]
fn after_kill_9_what_imap_answered_ok_still_holds() {
    let daemon = demo().start();
    let mut imap = daemon.imap("user0");
    imap.command("CREATE Archive/2026").ok();
    imap.command("SUBSCRIBE Archive/2026").ok();
    for number in 0..20 {
        let message = format!("Subject: {number}\r\n\r\nx\r\n");
        imap.append("INBOX", r"\Flagged $Todo", message.as_bytes())
            .ok();
    }
    imap.command("SELECT INBOX").ok();
    imap.command("COPY 1:5 Archive/2026").ok();
    imap.command("MOVE 6:10 Archive/2026").ok();
    imap.command(r"STORE 1:3 +FLAGS (\Deleted)").ok();
    imap.command("EXPUNGE").ok();
    imap.command(r"STORE 1:2 FLAGS (\Seen)").ok();
    let before = view(&mut imap);
    let daemon = daemon.kill9().start();
    assert_eq!(view(&mut daemon.imap("user0")), before);
}

#[test]
fn numbers_never_go_back_after_kill_9() {
    let daemon = demo().start();
    let mut imap = daemon.imap("user1");
    for _ in 0..3 {
        imap.append("INBOX", "", b"Subject: x\r\n\r\nx\r\n").ok();
    }
    imap.command("SELECT INBOX").ok();
    imap.command(r"STORE 1:3 +FLAGS (\Deleted)").ok();
    imap.command("EXPUNGE").ok();
    let numbers = |imap: &mut ImapClient| {
        let answer = imap.command("STATUS INBOX (UIDNEXT UIDVALIDITY)").ok();
        answer.find("STATUS").unwrap()
    };
    let mut fresh = daemon.imap("user1");
    let before = numbers(&mut fresh);
    assert!(before.contains("UIDNEXT 4"), "{before}");
    let daemon = daemon.kill9().start();
    assert_eq!(numbers(&mut daemon.imap("user1")), before);
}

/// Sends on several connections, kills the daemon in the middle, returns what had been acknowledged.
fn killed_under_load(daemon: Daemon, round: usize) -> (Recipe, Vec<(usize, String)>) {
    let address = daemon.address(Door::Smtp);
    let clients: Vec<_> = (0..8)
        .map(|client| {
            thread::spawn(move || {
                let mut acknowledged = Vec::new();
                let mut smtp = SmtpClient::connect(address);
                smtp.ehlo();
                for number in 0.. {
                    let name = format!("r{round}c{client}n{number}");
                    let to = (client + number) % 4;
                    match smtp.try_send("a@b.test", &[&user(to)], &message(&name)) {
                        Ok(reply) => assert_eq!(reply.code, 250, "{reply}"),
                        Err(_) => break, // killed
                    }
                    acknowledged.push((to, name));
                }
                acknowledged
            })
        })
        .collect();
    let enough = 100 + 150 * round as u64;
    until("there is load", LONG, || accepted(&daemon) >= enough);
    let recipe = daemon.kill9();
    let acknowledged = clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
        .collect();
    (recipe, acknowledged)
}

/// How many messages have come so far, as a mailbox tells: the metrics are another test's.
fn accepted(daemon: &Daemon) -> u64 {
    let mut imap = daemon.imap("user0");
    u64::from(crate::common::messages(&mut imap)) * 4
}

fn everything_is_there(daemon: &Daemon, acknowledged: &[(usize, String)]) {
    assert!(
        acknowledged.len() >= 400,
        "there was load: {}",
        acknowledged.len()
    );
    let mut repeated = 0;
    for number in 0..4 {
        let name = format!("user{number}");
        let expected: Vec<&String> = acknowledged
            .iter()
            .filter(|(to, _)| *to == number)
            .map(|(_, name)| name)
            .collect();
        let found = until_some(format!("all mail of {name}"), LONG, || {
            let found = contents(&mut inbox(daemon, &name, expected.len() as u32));
            expected
                .iter()
                .all(|name| found.contains_key(*name))
                .then_some(found)
        });
        for (name, bodies) in found {
            repeated += bodies.len() - 1;
            let whole = message(&name);
            assert!(
                bodies.iter().all(|body| body.ends_with(&whole)),
                "{name} is torn"
            );
        }
    }
    // At worst one message for each connection and kill may have come twice (RFC 5321 §6.1).
    assert!(repeated <= 32, "{repeated} messages came twice");
}

/// The messages of the selected mailbox, by the name in their subject.
fn contents(imap: &mut ImapClient) -> HashMap<String, Vec<Vec<u8>>> {
    let mut found: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for response in imap.command("FETCH 1:* (BODY.PEEK[])").ok().untagged {
        for literal in response.literals {
            let text = String::from_utf8_lossy(&literal);
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
            let name = subject.expect("every message has a subject").to_owned();
            found.entry(name).or_default().push(literal);
        }
    }
    found
}

fn message(name: &str) -> Vec<u8> {
    let body = format!("{name} 0123456789abcdef\r\n").repeat(name.len() * 17);
    format!("Subject: {name}\r\n\r\n{body}end of {name}\r\n").into_bytes()
}

/// Everything of an account that IMAP shows.
fn view(imap: &mut ImapClient) -> Vec<String> {
    let mut view = Vec::new();
    let commands = [
        "LIST \"\" *",
        "LSUB \"\" *",
        "SELECT Archive/2026",
        "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])",
        "SELECT INBOX",
        "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])",
    ];
    for command in commands {
        let answer = imap.command(command).ok();
        let told = answer
            .untagged
            .iter()
            .map(|one| one.text().replace(r" \Recent", ""));
        view.extend(told.filter(|text| !text.contains("RECENT") && !text.contains("UNSEEN")));
    }
    view
}
