//! SIGTERM: the doors close, what is under way ends, and everything that was done is kept.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use testkit::{Daemon, Door, LONG, SHORT, Signal, SmtpClient, until};

use crate::{
    common::{demo, inbox, letter, user},
    served::Served,
};

/// In the middle of a message to user 0.
fn in_data(daemon: &Daemon) -> SmtpClient {
    let mut client = daemon.smtp();
    client.command("MAIL FROM:<a@elsewhere.test>").expect(250);
    client.command(format!("RCPT TO:<{}>", user(0))).expect(250);
    client.command("DATA").expect(354);
    client.wire().send(b"Subject: half\r\n\r\n").unwrap();
    client
}

fn all_of(client: &mut SmtpClient) -> String {
    String::from_utf8_lossy(&client.wire().until_closed().unwrap()).into_owned()
}

#[test]
fn a_message_under_way_is_taken_while_nobody_else_comes_in() {
    let mut daemon = demo().start();
    let mut sending = in_data(&daemon);
    let (mut idle, mut imap) = (daemon.smtp(), daemon.imap("user1"));
    daemon.process().signal(Signal::TERM);
    assert!(all_of(&mut idle).starts_with("421 "));
    let said = imap.wire().until_closed().unwrap();
    assert!(said.starts_with(b"* BYE"), "{said:?}");
    for door in [Door::Smtp, Door::Imap, Door::Submission, Door::Pop3] {
        let address = daemon.address(door);
        until(format!("{door:?} is closed"), SHORT, || {
            TcpStream::connect(address).is_err()
        });
    }
    assert!(
        daemon.process().ended().is_none(),
        "somebody is still inside"
    );
    sending.wire().send(b"and the rest\r\n.\r\n").unwrap();
    sending.reply().expect(250);
    assert!(all_of(&mut sending).starts_with("421 "));
    assert!(daemon.process().wait(SHORT).success());
    let (_, recipe) = daemon.terminate();
    let daemon = recipe.start();
    let mut imap = inbox(&daemon, "user0", 1);
    let text = imap.fetch_literal("1", "BODY.PEEK[TEXT]");
    assert_eq!(text, b"and the rest\r\n");
}

#[test]
fn no_new_transaction_begins_on_an_old_connection() {
    let mut daemon = demo().start();
    let mut sending = in_data(&daemon);
    let mut idle = daemon.smtp();
    daemon.process().signal(Signal::TERM);
    all_of(&mut idle); // from here on the house closes
    let next = b".\r\nMAIL FROM:<b@elsewhere.test>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\n";
    sending.wire().send(next).unwrap();
    sending.reply().expect(250);
    let said = all_of(&mut sending);
    assert!(said.starts_with("421 "), "{said}");
    assert!(daemon.process().wait(SHORT).success());
}

#[test]
fn a_message_on_its_way_into_a_mailbox_arrives_there() {
    let mut daemon = demo().start();
    let mut imap = daemon.imap("user0");
    let message = letter("appended");
    let half = message.len() / 2;
    let command = format!("APPEND INBOX {{{}}}\r\n", message.len());
    imap.wire().send(format!("x {command}").as_bytes()).unwrap();
    assert!(imap.wire().line().unwrap().starts_with(b"+ "));
    imap.wire().send(&message[..half]).unwrap();
    let mut idle = daemon.smtp();
    daemon.process().signal(Signal::TERM);
    all_of(&mut idle);
    imap.wire().send(&message[half..]).unwrap();
    imap.wire().send(b"\r\n").unwrap();
    let said = String::from_utf8_lossy(&imap.wire().until_closed().unwrap()).into_owned();
    let taken = said.find("x OK").expect("it is taken");
    assert!(said[taken..].contains("* BYE"), "{said}");
    assert!(daemon.process().wait(SHORT).success());
    let (_, recipe) = daemon.terminate();
    let daemon = recipe.start();
    inbox(&daemon, "user0", 1);
}

#[test]
fn who_is_not_done_in_time_is_told_and_the_house_closes() {
    let mut house = Served::open("[stop]\nseconds = 1\n");
    let mut sending = in_data(&house.daemon);
    house.daemon.process().signal(Signal::TERM);
    let said = all_of(&mut sending);
    assert!(said.starts_with("421 4.3.2 "), "{said:?}");
    assert!(house.daemon.process().wait(SHORT).success());
    house.daemon.output().line_with("sent away", SHORT);
}

#[test]
fn a_second_signal_ends_at_once_and_nothing_acknowledged_is_lost() {
    let mut daemon = demo().start();
    daemon.accept(&[&user(1)], &letter("kept"));
    let _sending = in_data(&daemon);
    let mut idle = daemon.smtp();
    daemon.process().signal(Signal::TERM);
    all_of(&mut idle);
    daemon.process().signal(Signal::TERM);
    assert!(daemon.process().wait(SHORT).success());
    daemon.output().line_with("stopping at once", SHORT);
    let (_, recipe) = daemon.terminate();
    inbox(&recipe.start(), "user1", 1);
}

#[test]
fn a_delivery_under_way_is_ended_and_its_outcome_kept() {
    let next = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = next.local_addr().unwrap().to_string();
    let (arrived, has_arrived) = mpsc::channel();
    let (answer, may_answer) = mpsc::channel::<()>();
    let hop = thread::spawn(move || {
        let (stream, _) = next.accept().unwrap();
        take_one(stream, || {
            arrived.send(()).unwrap();
            may_answer.recv().unwrap();
        });
        // Whoever came a second time would bring the message twice.
        next.set_nonblocking(true).unwrap();
        next.accept().is_err()
    });
    let recipe = demo().argument("--trust").argument("127.0.0.0/8");
    let mut daemon = recipe.argument("--relay").argument(relay).start();
    let mut client = daemon.smtp();
    let message = letter("on its way");
    client
        .send(&user(0), &["b@remote.test"], &message)
        .expect(250);
    has_arrived.recv_timeout(LONG).unwrap();
    daemon.process().signal(Signal::TERM);
    all_of(&mut client);
    answer.send(()).unwrap();
    assert!(daemon.process().wait(SHORT).success());
    assert!(hop.join().unwrap(), "nobody came again");
    let (_, recipe) = daemon.terminate();
    let waiting = recipe.start().command(&["queue", "list"], b"").ok();
    assert!(!waiting.contains("b@remote.test"), "{waiting}");
}

/// The server of one message, which waits for `word` before it takes it.
pub(crate) fn take_one(stream: TcpStream, word: impl FnOnce()) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut stream = stream;
    let mut word = Some(word);
    stream.write_all(b"220 next.test\r\n").unwrap();
    let mut in_body = false;
    while let Some(Ok(line)) = lines.next() {
        let reply: &[u8] = match line.as_str() {
            "." if in_body => {
                in_body = false;
                if let Some(word) = word.take() {
                    word();
                }
                b"250 taken\r\n"
            }
            _ if in_body => continue,
            "DATA" => {
                in_body = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 next.test\r\n",
        };
        if stream.write_all(reply).is_err() {
            return;
        }
    }
}
