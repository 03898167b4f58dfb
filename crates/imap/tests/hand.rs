//! What the machine has in hand, and commands that are refused before they are read.

#![allow(clippy::unwrap_used, reason = "tests may")]

use bytes::Bytes;
use imap::{Code, Command, Config, Reply, Server, Step};

/// Logged in, with a mailbox open.
fn selected() -> Server {
    let (mut server, mut out) = (Server::new(Config::new("mx.test"), true), Vec::new());
    server.feed(Bytes::from_static(
        b"l LOGIN ann secret\r\ns SELECT inbox\r\n",
    ));
    loop {
        match server.step(&mut out) {
            Step::Read => return server,
            Step::Authenticate(_) | Step::Run(_) => server.answer(Reply::ok("done"), &mut out),
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_command_that_is_refused_is_not_read_and_what_follows_it_is() {
    for (command, refused, rest) in [
        ("a FETCH 1 FLAGS\r\n", 1, ""),
        ("a LOGIN {3+}\r\nann {1+}\r\nx\r\n", 1, ""),
        ("a NONSENSE {5+}\r\nINBOX\r\n", 1, ""),
        ("a APPEND x {5}\r\n", 1, ""),
        ("a APPEND x {5+}\r\nabcde\r\n", 1, ""),
        // Admitted up to its literal, and refused when all of it is there.
        ("a STATUS {5+}\r\nINBOX (MESSAGES)\r\n", 2, ""),
    ] {
        let (mut server, mut out) = (selected(), Vec::new());
        server.watch(true);
        let text = format!("{command}b NOOP\r\n{rest}");
        server.feed(Bytes::from(text));
        let (reply, mut shown) = (Reply::no("not that").with(Code::Cannot), 0);
        loop {
            match server.step(&mut out) {
                Step::Heard => {
                    shown += 1;
                    let spoken = server.in_hand().unwrap();
                    assert!(spoken.octets.len() < command.len() || shown > refused);
                    if shown == refused {
                        server.refuse_command(&reply, &mut out);
                    } else {
                        server.admit();
                    }
                }
                Step::Run(Command::Noop) => server.answer(Reply::ok("done"), &mut out),
                Step::Read => break,
                step => panic!("{command:?}: {step:?}"),
            }
        }
        let said = String::from_utf8(std::mem::take(&mut out)).unwrap();
        assert_eq!(
            said, "a NO [CANNOT] not that\r\nb OK done\r\n",
            "{command:?}"
        );
        assert_eq!(server.in_hand(), None);
    }
}

#[test]
fn a_command_is_in_hand_from_its_line_s_end_until_the_next_one_is_looked_for() {
    let (mut server, mut out) = (selected(), Vec::new());
    let text = "a FETCH 1 FLAGS\r\nb IDLE\r\n";
    server.feed(Bytes::copy_from_slice(text.as_bytes()));
    assert!(matches!(server.step(&mut out), Step::Run(_)));
    let spoken = server.in_hand().unwrap();
    assert_eq!(
        (spoken.octets, &*spoken.about),
        (&b"FETCH 1 FLAGS"[..], "INBOX")
    );
    server.answer(Reply::ok("done"), &mut out);
    assert!(matches!(server.step(&mut out), Step::IdleBegin));
    assert_eq!(server.in_hand().unwrap().octets, b"IDLE");
    assert!(matches!(server.step(&mut out), Step::Read));
    assert_eq!(
        server.in_hand(),
        None,
        "what comes of news is no fault of it"
    );
}
