//! What the server promises with messages in the maildrop, and beyond single transcripts.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use bytes::Bytes;
use heronry_pop3::{Config, Entry, Question, Refusal, Server, Step};
use proptest::prelude::*;

#[test]
fn a_session_reads_marks_and_removes() {
    let mut peer = Peer::logged_in(&["one\r\n", "A: 2\r\n\r\n.two\r\nthree\r\n"]);
    peer.hear("STAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 2\r\nRETR 2\r\nTOP 2 1\r\n");
    assert_eq!(
        peer.says(),
        "+OK 2 26\r\n+OK\r\n1 5\r\n2 21\r\n.\r\n+OK 2 21\r\n+OK\r\n1 u.0\r\n2 u.1\r\n.\r\n\
         +OK 2 u.1\r\n+OK 21 octets\r\nA: 2\r\n\r\n..two\r\nthree\r\n.\r\n\
         +OK\r\nA: 2\r\n\r\n..two\r\n.\r\n"
    );
    peer.hear("DELE 1\r\nSTAT\r\nLIST\r\nLIST 1\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n");
    let no = "-ERR no such message\r\n";
    let said = format!("+OK\r\n+OK 1 21\r\n+OK\r\n2 21\r\n.\r\n{no}{no}{no}+OK bye\r\n");
    assert_eq!(peer.says(), said);
    assert_eq!(peer.removed, Some(vec![0]));
    assert!(peer.closed);
}

#[test]
fn nothing_is_removed_after_a_reset_or_without_quit() {
    let mut peer = Peer::logged_in(&["one\r\n"]);
    peer.hear("DELE 1\r\nRSET\r\nSTAT\r\n");
    assert_eq!(
        peer.says(),
        "+OK\r\n+OK 1 messages, 5 octets\r\n+OK 1 5\r\n"
    );
    peer.hear("QUIT\r\n");
    assert_eq!((peer.removed, peer.closed), (None, true));

    let mut timed_out = Peer::logged_in(&["one\r\n"]);
    timed_out.hear("DELE 1\r\n");
    timed_out.server.shut();
    timed_out.go_on();
    assert_eq!((timed_out.removed, timed_out.closed), (None, true));
}

#[test]
fn what_cannot_be_removed_is_told() {
    let mut peer = Peer::logged_in(&["one\r\n"]);
    peer.refusal = Some(Refusal::Temporary);
    peer.hear("RETR 1\r\nDELE 1\r\nQUIT\r\n");
    assert_eq!(
        peer.says(),
        "-ERR [SYS/TEMP] local trouble, try again later\r\n+OK\r\n\
         -ERR [SYS/TEMP] some messages have not been removed\r\n"
    );
    assert!(peer.closed);
}

#[test]
fn a_taken_maildrop_is_told_and_the_session_goes_on() {
    let mut peer = Peer::new(&[]);
    peer.refusal = Some(Refusal::InUse);
    peer.hear("USER a\r\nPASS b\r\n");
    assert!(
        peer.says()
            .ends_with("-ERR [IN-USE] another session has the maildrop\r\n")
    );
    assert!(!peer.closed);
}

#[test]
fn failed_logins_and_wrong_commands_end_the_connection() {
    let mut peer = Peer::new(&[]);
    peer.refusal = Some(Refusal::Credentials);
    peer.hear(&"USER a\r\nPASS b\r\n".repeat(9));
    assert_eq!(peer.says().matches("[AUTH]").count(), 3);
    assert!(peer.closed);
    let mut peer = Peer::new(&[]);
    peer.hear(&"FROB\r\n".repeat(99));
    assert_eq!(peer.says().matches("-ERR").count(), 20);
    assert!(peer.closed);
}

#[test]
fn a_password_in_the_clear_is_refused_where_it_is_not_allowed() {
    let mut peer = Peer::with(Config::new("mx.test"), &[]);
    peer.hear("CAPA\r\nUSER a\r\nAUTH PLAIN AGEAYg==\r\nPASS b\r\n");
    let said = peer.says();
    assert!(!said.contains("\nUSER") && !said.contains("SASL"), "{said}");
    assert_eq!(said.matches("-ERR").count(), 3);
}

#[test]
fn octets_behind_stls_close_the_connection_without_being_heard() {
    let mut peer = Peer::new(&[]);
    peer.says();
    peer.hear("STLS\r\nUSER a\r\nPASS b\r\n");
    assert_eq!(peer.says(), "-ERR nothing may follow STLS in the clear\r\n");
    assert!(peer.closed && !peer.server.is_logged_in());
}

#[test]
fn a_message_without_a_last_line_end_gets_one_and_an_empty_one_is_only_a_dot() {
    let mut peer = Peer::logged_in(&["one", ""]);
    peer.hear("RETR 1\r\nRETR 2\r\n");
    assert_eq!(
        peer.says(),
        "+OK 3 octets\r\none\r\n.\r\n+OK 0 octets\r\n.\r\n"
    );
}

#[test]
fn many_small_messages_leave_in_one_piece_and_large_ones_are_not_copied() {
    let mut peer = Peer::logged_in(&["one\r\n"; 16]);
    peer.sends = 0;
    let all: String = (1..=16)
        .map(|number| format!("RETR {number}\r\n"))
        .collect();
    peer.hear(&all);
    assert_eq!(peer.sends, 1);

    let mut peer = Peer::logged_in(&["x"]);
    peer.server.feed(Bytes::from_static(b"RETR 1\r\n"));
    assert!(matches!(
        peer.server.step(),
        Step::Judge(Question::Message { index: 0 })
    ));
    peer.server.yes();
    assert_eq!(peer.server.step(), Step::Piece);
    let piece = Bytes::from(b"a line\r\n".repeat(2000));
    peer.server.piece(piece.clone());
    assert!(matches!(peer.server.step(), Step::Send(_)));
    let Step::Send(sent) = peer.server.step() else {
        panic!("the piece is due");
    };
    assert_eq!((sent.len(), sent.as_ptr()), (piece.len(), piece.as_ptr()));
    peer.server.end_message();
    assert_eq!(peer.server.step(), Step::Send(Bytes::from_static(b".\r\n")));
}

#[test]
fn a_long_list_is_written_in_portions() {
    let mut peer = Peer::logged_in(&vec!["one\r\n"; 20_000]);
    peer.says();
    peer.sends = 0;
    peer.hear("UIDL\r\n");
    assert!(
        peer.sends > 10 && peer.longest < 20_000,
        "{} {}",
        peer.sends,
        peer.longest
    );
    assert_eq!(peer.says().lines().count(), 20_002);
}

#[test]
fn a_session_that_crashed_over_a_question_goes_on() {
    let mut peer = Peer::logged_in(&["one\r\n"]);
    peer.hear("DELE 1\r\n");
    peer.says();
    peer.server
        .feed(Bytes::from_static(b"RSET\r\nRETR 1\r\nNOOP\r\n"));
    while !matches!(peer.server.step(), Step::Judge(_)) {}
    peer.server = Server::resume(peer.server.checkpoint(), Bytes::new());
    peer.go_on();
    let said = peer.says();
    assert!(
        said.contains("-ERR [SYS/TEMP]") && said.ends_with("+OK\r\n"),
        "{said}"
    );
    assert!(peer.server.is_logged_in() && !peer.closed);
}

#[test]
fn a_session_that_crashed_within_a_message_closes() {
    let mut peer = Peer::logged_in(&["one\r\n"]);
    peer.server.feed(Bytes::from_static(b"RETR 1\r\n"));
    assert!(matches!(peer.server.step(), Step::Judge(_)));
    peer.server.yes();
    assert_eq!(peer.server.step(), Step::Piece);
    peer.server = Server::resume(peer.server.checkpoint(), Bytes::new());
    peer.go_on();
    assert!(peer.closed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn slicing_changes_nothing(
        parts in prop::collection::vec(part(), 0..30),
        cuts in prop::collection::vec(1_usize..20, 0..60),
    ) {
        let whole = parts.concat();
        let mut at_once = Peer::logged_in(MESSAGES);
        at_once.hear(&whole);
        let mut sliced = Peer::logged_in(MESSAGES);
        let mut rest = &whole[..];
        for cut in cuts {
            let (slice, after) = rest.split_at(cut.min(rest.len()));
            sliced.hear(slice);
            rest = after;
        }
        sliced.hear(rest);
        prop_assert_eq!(sliced.says(), at_once.says());
        prop_assert_eq!(sliced.removed, at_once.removed);
    }

    #[test]
    fn no_octets_make_the_machine_panic(octets: Vec<u8>, logged_in: bool) {
        let mut peer = if logged_in { Peer::logged_in(MESSAGES) } else { Peer::new(MESSAGES) };
        peer.server.feed(octets.into());
        peer.go_on();
    }

    #[test]
    fn a_client_reads_what_was_stored(message in "[.a\r\n]{0,30}") {
        let mut peer = Peer::logged_in(&[&message]);
        peer.says();
        peer.hear("RETR 1\r\n");
        let said = peer.says();
        let (_, body) = said.split_once("\r\n").unwrap();
        let body = body.strip_suffix(".\r\n").unwrap();
        let ended = message.is_empty() || message.ends_with("\r\n");
        let wanted = if ended { message.clone() } else { message + "\r\n" };
        // Dots after a bare LF are doubled as well: see the machine.
        let undone: Vec<&str> = body
            .split('\n')
            .map(|line| line.strip_prefix('.').unwrap_or(line))
            .collect();
        prop_assert_eq!(undone.join("\n"), wanted);
    }
}

const MESSAGES: &[&str] = &["one\r\n", "A: 2\r\n\r\n.two\r\n"];

fn part() -> impl Strategy<Value = String> {
    let words: &[&str] = &[
        "STAT\r\n",
        "LIST\r\n",
        "UIDL 1\r\n",
        "RETR 1\r\n",
        "RETR 2\r\n",
        "TOP 2 0\r\n",
        "DELE 1\r\n",
        "RSET\r\n",
        "QUIT\r\n",
        "NOOP",
        "\r\n",
        "\n",
        " ",
        "1",
        "CAPA\r\n",
        "\r",
    ];
    prop::sample::select(words).prop_map(str::to_owned)
}

/// A client that says something, and an owner that says yes unless it has a refusal.
struct Peer {
    server: Server,
    messages: Vec<String>,
    /// The pieces of the message that is being read.
    reading: Vec<Bytes>,
    refusal: Option<Refusal>,
    removed: Option<Vec<usize>>,
    said: String,
    sends: usize,
    longest: usize,
    closed: bool,
}

impl Peer {
    fn new(messages: &[&str]) -> Self {
        let mut config = Config::new("mx.test");
        config.tls_offered = true;
        config.plaintext_auth_allowed = true;
        Self::with(config, messages)
    }

    fn with(config: Config, messages: &[&str]) -> Self {
        let mut peer = Self {
            server: Server::new(Arc::new(config)),
            messages: messages.iter().map(ToString::to_string).collect(),
            reading: Vec::new(),
            refusal: None,
            removed: None,
            said: String::new(),
            sends: 0,
            longest: 0,
            closed: false,
        };
        peer.go_on();
        peer.said.clear();
        peer
    }

    fn logged_in(messages: &[&str]) -> Self {
        let mut peer = Self::new(messages);
        peer.hear("USER a\r\nPASS b\r\n");
        assert!(peer.server.is_logged_in());
        peer.said.clear();
        peer
    }

    fn hear(&mut self, octets: &str) {
        self.server.feed(Bytes::copy_from_slice(octets.as_bytes()));
        self.go_on();
    }

    fn says(&mut self) -> String {
        std::mem::take(&mut self.said)
    }

    fn go_on(&mut self) {
        while !self.closed {
            match self.server.step() {
                Step::Close => self.closed = true,
                Step::Heard => unreachable!("nobody watches"),
                Step::Judge(question) => self.judge(question),
                Step::Piece => match self.reading.pop() {
                    Some(piece) => self.server.piece(piece),
                    None => self.server.end_message(),
                },
                Step::Read | Step::StartTls => return,
                Step::Send(octets) => {
                    self.sends += 1;
                    self.longest = self.longest.max(octets.len());
                    self.said += &String::from_utf8_lossy(&octets);
                }
            }
        }
    }

    fn judge(&mut self, question: Question) {
        if let Some(refusal) = self.refusal {
            return self.server.refuse(refusal);
        }
        match question {
            Question::Login(_) => {
                let messages = self.messages.iter().zip(0..);
                let entry = |(message, number): (&String, u32)| Entry {
                    octets: message.len() as u64,
                    unique: format!("u.{number}").into(),
                };
                return self.server.logged_in(messages.map(entry).collect());
            }
            Question::Message { index } => {
                let octets = self.messages[index].as_bytes();
                let pieces = octets.chunks(3).rev();
                self.reading = pieces.map(Bytes::copy_from_slice).collect();
            }
            Question::Remove { indices } => self.removed = Some(indices),
        }
        self.server.yes();
    }
}
