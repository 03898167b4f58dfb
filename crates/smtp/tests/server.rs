//! What the server promises beyond single transcripts: limits, slicing, crashes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use bytes::Bytes;
use heronry_smtp::{
    Family, Mail, Rcpt,
    server::{Config, Question, Server, Step},
};
use mail::{Enhanced, Notify, Reply, Ret};
use proptest::prelude::*;

#[test]
fn a_message_too_long_is_read_to_its_end_and_then_refused() {
    let mut config = config(Family::Smtp);
    config.size_max = 100;
    let mut peer = Peer::new(config);
    peer.hear(BEGIN);
    peer.said.clear();
    peer.hear(&[&b"x".repeat(200)[..], b"\r\nRSET\r\n"].concat());
    assert_eq!(peer.happened, ["mail", "rcpt", "begin None", "discard"]);
    assert_eq!(peer.said, "");
    peer.hear(b".\r\nNOOP\r\n");
    assert_eq!(peer.codes(), ["552 5.3.4", "250 2.0.0"]);
}

#[test]
fn a_message_of_exactly_the_longest_length_is_taken() {
    let mut config = config(Family::Smtp);
    config.size_max = 6;
    let mut peer = Peer::new(config);
    peer.hear(BEGIN);
    peer.hear(b"..23\r\n.\r\n"); // the doubled dot does not count
    assert_eq!(peer.stored, b".23\r\n");
    assert_eq!(peer.happened.last().unwrap(), "take 5");
    peer.hear(BEGIN);
    peer.hear(b"12345\r\n.\r\n");
    assert_eq!(peer.happened.last().unwrap(), "discard");
}

#[test]
fn more_than_a_hundred_received_fields_are_a_loop() {
    for (count, code) in [(100, "250 2.0.0"), (101, "554 5.4.6")] {
        let mut peer = Peer::new(config(Family::Smtp));
        peer.hear(BEGIN);
        peer.said.clear();
        let field = b"rEceived: from a by b;\r\n\tagain\r\n";
        peer.hear(
            &[
                &field.repeat(count)[..],
                b"\r\n",
                &field.repeat(200),
                b".\r\n",
            ]
            .concat(),
        );
        assert_eq!(peer.codes(), [code], "{count}");
    }
}

#[test]
fn a_line_longer_than_the_bound_is_refused_and_a_long_one_is_not() {
    let mut config = config(Family::Smtp);
    config.line_octets_max = 5000;
    let mut peer = Peer::new(config);
    peer.hear(BEGIN);
    peer.hear(&[&b"x".repeat(5000)[..], b"\r\n.\r\n"].concat());
    peer.hear(BEGIN);
    peer.said.clear();
    peer.hear(&[&b"x".repeat(5001)[..], b"\r\n.\r\n"].concat());
    assert_eq!(peer.codes(), ["554 5.6.0"]);
    assert_eq!(peer.stored.len(), 5002);
}

#[test]
fn recipients_beyond_the_limit_are_asked_to_come_later_and_are_no_errors() {
    let mut config = config(Family::Smtp);
    config.recipients_max = 100;
    let mut peer = Peer::new(config);
    peer.hear(b"EHLO a\r\nMAIL FROM:<a@b.test>\r\n");
    peer.said.clear();
    peer.hear(&b"RCPT TO:<user1@example.test>\r\n".repeat(10_000));
    peer.hear(b"DATA\r\n");
    let codes = peer.codes();
    assert_eq!(
        codes.iter().filter(|code| *code == "250 2.1.5").count(),
        100
    );
    assert_eq!(
        codes.iter().filter(|code| *code == "452 4.5.3").count(),
        9_900
    );
    assert_eq!(codes.last().unwrap(), "354 end");
}

#[test]
fn octets_behind_starttls_close_the_connection_without_being_heard() {
    let mut peer = Peer::new(config(Family::Smtp));
    peer.hear(b"EHLO a\r\n");
    peer.said.clear();
    peer.hear(b"STARTTLS\r\nMAIL FROM:<a@b.test>\r\n");
    assert_eq!(peer.codes(), ["503 5.5.1"]);
    assert!(peer.closed && peer.happened.is_empty());

    let mut late = Peer::new(config(Family::Smtp));
    late.hear(b"STARTTLS\r\n");
    assert!(late.handshake);
    late.handshake = false;
    late.hear(b"MAIL FROM:<a@b.test>\r\n");
    assert!(late.closed && late.happened.is_empty());
}

#[test]
fn where_tls_is_required_nothing_is_done_before_it() {
    let mut config = config(Family::Submission);
    config.tls_required = true;
    config.mechanisms = vec![heronry_smtp::Mechanism::Plain];
    let mut peer = Peer::new(config);
    peer.hear(b"EHLO a\r\n");
    assert!(!peer.said.contains("AUTH"), "{}", peer.said);
    peer.said.clear();
    peer.hear(b"MAIL FROM:<a@b.test>\r\nAUTH PLAIN AGEAYg==\r\nVRFY x\r\nNOOP\r\n");
    assert_eq!(
        peer.codes(),
        ["530 5.7.0", "530 5.7.0", "530 5.7.0", "250 2.0.0"]
    );
    peer.said.clear();
    peer.hear(b"STARTTLS\r\n");
    peer.secure();
    peer.hear(b"EHLO a\r\n");
    assert!(peer.said.contains("AUTH PLAIN") && !peer.said.contains("STARTTLS"));
    peer.hear(b"AUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b.test>\r\n");
    assert_eq!(peer.happened, ["auth a", "mail"]);
    assert_eq!(peer.server.protocol(), "ESMTPSA");
}

#[test]
fn a_password_in_the_clear_is_refused_where_it_is_not_allowed() {
    let mut config = config(Family::Submission);
    config.mechanisms = vec![heronry_smtp::Mechanism::Plain];
    let mut peer = Peer::new(config);
    peer.hear(b"EHLO a\r\n");
    peer.said.clear();
    peer.hear(b"AUTH PLAIN AGEAYg==\r\nAUTH FROB\r\n");
    assert_eq!(peer.codes(), ["538 5.7.11", "504 5.5.4"]);
}

#[test]
fn failed_logins_end_the_connection() {
    let mut config = config(Family::Submission);
    config.mechanisms = vec![heronry_smtp::Mechanism::Plain];
    config.tls_active = true;
    let mut peer = Peer::new(config);
    peer.refuse = Some(Reply::new(535, Enhanced(5, 7, 8), "no"));
    peer.hear(b"EHLO a\r\n");
    peer.said.clear();
    peer.hear(&b"AUTH PLAIN AGEAYg==\r\n".repeat(9));
    assert_eq!(peer.codes(), ["535 5.7.8"; 3]);
    assert!(peer.closed);
}

#[test]
fn errors_are_forgiven_with_each_message_that_is_taken() {
    let mut config = config(Family::Smtp);
    config.errors_max = 3;
    let mut peer = Peer::new(config);
    for _ in 0..9 {
        peer.hear(b"FROB\r\nFROB\r\n");
        peer.hear(BEGIN);
        peer.hear(b"x\r\n.\r\n");
    }
    assert!(!peer.closed && peer.taken.len() == 9);
    peer.hear(&b"FROB\r\n".repeat(3));
    assert!(peer.closed && peer.said.contains("421 4.7.0"));
}

#[test]
fn logins_that_could_not_be_checked_are_not_failed_ones() {
    let mut config = config(Family::Submission);
    config.mechanisms = vec![heronry_smtp::Mechanism::Plain];
    config.tls_active = true;
    let mut peer = Peer::new(config);
    peer.refuse = Some(Reply::new(454, Enhanced(4, 7, 0), "later"));
    peer.hear(b"EHLO a\r\n");
    peer.said.clear();
    peer.hear(&b"AUTH PLAIN AGEAYg==\r\n".repeat(9));
    assert_eq!(peer.codes(), ["454 4.7.0"; 9]);
    assert!(!peer.closed);
}

#[test]
fn a_verdict_of_421_closes_the_connection() {
    let mut peer = Peer::new(config(Family::Smtp));
    peer.refuse = Some(Reply::new(421, Enhanced(4, 7, 0), "enough"));
    peer.hear(b"EHLO a\r\nMAIL FROM:<a@b.test>\r\nNOOP\r\n");
    assert!(peer.closed && peer.said.ends_with("421 4.7.0 enough\r\n"));
}

#[test]
fn dsn_parameters_are_read_where_dsn_is_offered_and_unknown_elsewhere() {
    let commands = b"EHLO a\r\nMAIL FROM:<a@b.test> RET=HDRS ENVID=x+2By\r\n\
        RCPT TO:<user1@example.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;Ann+40b.test\r\n\
        RCPT TO:<user2@example.test> NOTIFY=NEVER\r\n\
        RCPT TO:<user3@example.test> NOTIFY=NEVER,DELAY\r\n\
        RCPT TO:<user3@example.test> ORCPT=ann\r\n";
    let mut with = config(Family::Smtp);
    with.dsn_offered = true;
    let mut peer = Peer::new(with);
    peer.hear(commands);
    let mail = peer.server.mail().unwrap();
    assert_eq!(
        (mail.ret, mail.envid.as_deref()),
        (Some(Ret::Headers), Some("x+y"))
    );
    let recipients: Vec<_> = peer.server.recipients().iter().collect();
    let [one, two] = recipients[..] else {
        panic!("{}", peer.said);
    };
    let notify = Notify {
        delay: true,
        failure: false,
        success: true,
    };
    assert_eq!((one.notify, two.notify), (notify, Notify::NEVER));
    assert_eq!(one.original_address(), "Ann@b.test".parse().ok());

    let mut peer = Peer::new(config(Family::Smtp));
    peer.hear(commands);
    assert!(peer.said.contains("555 5.5.4"));
    assert!(peer.server.mail().is_none());
}

#[test]
fn pipelined_commands_are_answered_in_one_piece() {
    let mut server = Server::new(Arc::new(config(Family::Smtp)));
    assert!(matches!(server.step(), Step::Send(_)));
    server.feed(Bytes::from_static(b"HELO a\r\nNOOP\r\nRSET\r\nNOOP\r\n"));
    let Step::Send(octets) = server.step() else {
        panic!("replies are due");
    };
    assert_eq!(octets.iter().filter(|&&octet| octet == b'\n').count(), 4);
    assert_eq!(server.step(), Step::Read);
}

#[test]
fn replies_that_nobody_reads_are_bounded() {
    let mut server = Server::new(Arc::new(config(Family::Smtp)));
    server.feed(Bytes::from(b"HELP\r\n".repeat(100_000)));
    loop {
        match server.step() {
            Step::Send(octets) => assert!(octets.len() < 20_000),
            Step::Read => break,
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn pieces_of_a_message_are_not_copied() {
    let mut peer = Peer::new(config(Family::Smtp));
    peer.hear(BEGIN);
    let chunk = Bytes::from(b"a line\r\n".repeat(8000));
    peer.server.feed(chunk.clone());
    let Step::Store(piece) = peer.server.step() else {
        panic!("a piece is due");
    };
    assert_eq!((piece.len(), piece.as_ptr()), (chunk.len(), chunk.as_ptr()));
}

#[test]
fn a_message_that_cannot_be_stored_is_refused_at_its_end() {
    let mut peer = Peer::new(config(Family::Smtp));
    peer.hear(BEGIN);
    peer.hear(b"one\r\n");
    peer.server
        .refuse_body(Reply::new(452, Enhanced(4, 3, 1), "full"));
    peer.said.clear();
    peer.hear(b"two\r\n.\r\nNOOP\r\n");
    assert_eq!(peer.codes(), ["452 4.3.1", "250 2.0.0"]);
    assert_eq!(peer.stored, b"one\r\n");
    assert!(
        !peer
            .happened
            .iter()
            .any(|what| what == "discard" || what.starts_with("take"))
    );
}

#[test]
fn in_lmtp_each_recipient_has_its_own_answer() {
    let mut peer = Peer::new(config(Family::Lmtp));
    peer.hear(b"LHLO a\r\nMAIL FROM:<>\r\n");
    peer.hear(&b"RCPT TO:<user1@example.test>\r\n".repeat(2));
    peer.hear(b"DATA\r\n");
    peer.said.clear();
    peer.server.feed(Bytes::from_static(b"x\r\n.\r\n"));
    assert!(matches!(peer.server.step(), Step::Store(_)));
    assert!(matches!(
        peer.server.step(),
        Step::Judge(Question::Take { octets: 3 })
    ));
    let later = Reply::new(452, Enhanced(4, 2, 2), "full");
    peer.server
        .verdicts(&[Reply::new(250, Enhanced(2, 0, 0), "ok"), later]);
    peer.go_on();
    assert_eq!(peer.codes(), ["250 2.0.0", "452 4.2.2"]);
}

#[test]
fn a_session_that_crashed_over_a_question_goes_on_after_a_451() {
    let mut peer = Peer::new(config(Family::Smtp));
    peer.hear(b"EHLO a\r\nMAIL FROM:<a@b.test>\r\n");
    peer.said.clear();
    let commands = b"RCPT TO:<user1@example.test>\r\nRCPT TO:<user2@example.test>\r\n";
    peer.server.feed(Bytes::from_static(commands));
    assert!(matches!(peer.server.step(), Step::Judge(Question::Rcpt(_))));
    peer.crash();
    assert_eq!(peer.codes(), ["451 4.3.0", "250 2.1.5"]);
    assert_eq!(peer.server.recipients().len(), 1);
    assert_eq!(peer.server.hello(), Some("a"));
}

#[test]
fn a_session_that_crashed_in_a_message_reads_it_to_its_end_and_then_says_451() {
    let mut peer = Peer::new(config(Family::Smtp));
    peer.hear(BEGIN);
    peer.hear(b"one\r\n.");
    peer.said.clear();
    peer.crash();
    peer.hear(b"\r\nNOOP\r\n");
    assert_eq!(peer.codes(), ["451 4.3.0", "250 2.0.0"]);

    peer.hear(BEGIN);
    peer.said.clear();
    peer.server
        .feed(Bytes::from_static(b"one\r\n.\r\nNOOP\r\n"));
    while !matches!(peer.server.step(), Step::Judge(Question::Take { .. })) {}
    peer.crash();
    assert_eq!(peer.codes(), ["451 4.3.0", "250 2.0.0"]);
    assert!(peer.server.mail().is_none());
}

#[test]
fn a_session_that_crashed_over_a_command_answers_it_with_451() {
    let mut peer = Peer::new(config(Family::Smtp));
    peer.hear(b"");
    peer.said.clear();
    peer.server.feed(Bytes::from_static(b"NOOP\r\nHELP\r\n"));
    peer.crash();
    assert_eq!(peer.codes(), ["451 4.3.0", "214 2.0.0"]);
    peer.said.clear();
    peer.crash(); // an idle one owes nothing
    assert_eq!(peer.said, "");
}

#[test]
fn the_original_parameters_survive_in_the_question() {
    let mut server = Server::new(Arc::new(config(Family::Smtp)));
    server.feed(Bytes::from_static(
        b"EHLO a\r\nMAIL FROM:<> SIZE=7 BODY=8BITMIME\r\n",
    ));
    let mut expected = Mail::new(None);
    expected.size = Some(7);
    expected.body = mail::BodyType::EightBitMime;
    assert_eq!(server.step(), Step::Judge(Question::Mail(expected)));
    server.yes();
    server.feed(Bytes::from_static(b"RCPT TO:<postmaster>\r\n"));
    let to = "postmaster@mx.example.test".parse().unwrap();
    assert_eq!(server.step(), Step::Judge(Question::Rcpt(Rcpt::new(to))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn slicing_changes_nothing(
        parts in prop::collection::vec(part(), 0..30),
        cuts in prop::collection::vec(1_usize..40, 0..60),
        lmtp: bool,
    ) {
        let whole = parts.concat();
        let family = if lmtp { Family::Lmtp } else { Family::Smtp };
        let mut at_once = Peer::new(config(family));
        at_once.hear(&whole);
        let mut sliced = Peer::new(config(family));
        let mut rest = &whole[..];
        for cut in cuts {
            let (slice, after) = rest.split_at(cut.min(rest.len()));
            sliced.hear(slice);
            rest = after;
        }
        sliced.hear(rest);
        prop_assert_eq!(&sliced.said, &at_once.said);
        prop_assert_eq!(&sliced.happened, &at_once.happened);
        prop_assert_eq!(&sliced.taken, &at_once.taken);
    }

    #[test]
    fn no_octets_make_the_machine_panic(octets: Vec<u8>, begun: bool) {
        let mut peer = Peer::new(config(Family::Smtp));
        if begun {
            peer.hear(BEGIN);
        }
        peer.hear(&octets);
    }

    #[test]
    fn no_crash_loses_the_step_between_the_two_sides(
        parts in prop::collection::vec(part(), 0..12), crashes in prop::collection::vec(0..40_usize, 0..3),
    ) {
        let mut peer = Peer::new(config(Family::Smtp));
        peer.crash_at = crashes;
        peer.hear(&parts.concat());
        // A crash changes what is answered, and may change what follows from it; it never makes
        // the machine silent or talk on its own account.
        prop_assert!(peer.closed || peer.server.step() == Step::Read);
    }
}

/// Octets that mean something here, in any order.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"EHLO a\r\n",
        b"LHLO a\r\n",
        b"MAIL FROM:<a@b.test>\r\n",
        b"RCPT TO:<user1@example.test>\r\n",
        b"DATA\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        BEGIN,
        BEGIN,
        b"\r\n.\r\n",
        b".\r\n",
        b"..\r\n",
        b".",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"Received: x\r\n",
        b"Rec",
        b"eived:",
        b"text",
        b"\r\n\r\n",
        b".\r",
        b"\xff",
    ];
    prop::sample::select(words).prop_map(<[u8]>::to_vec)
}

fn config(family: Family) -> Config {
    let mut config = Config::new("mx.example.test".parse().unwrap(), family);
    config.tls_offered = true;
    config.errors_max = 200;
    config
}

/// A client that says something, and an owner that says yes.
struct Peer {
    server: Server,
    said: String,
    happened: Vec<String>,
    /// All that was stored.
    stored: Vec<u8>,
    /// What was stored of this message.
    body: Vec<u8>,
    /// The messages that ended whole.
    taken: Vec<Vec<u8>>,
    refuse: Option<Reply>,
    closed: bool,
    handshake: bool,
    crash_at: Vec<usize>,
    steps: usize,
}

impl Peer {
    fn new(config: Config) -> Self {
        Self {
            server: Server::new(Arc::new(config)),
            said: String::new(),
            happened: Vec::new(),
            stored: Vec::new(),
            body: Vec::new(),
            taken: Vec::new(),
            refuse: None,
            closed: false,
            handshake: false,
            crash_at: Vec::new(),
            steps: 0,
        }
    }

    fn hear(&mut self, octets: &[u8]) {
        self.server.feed(Bytes::copy_from_slice(octets));
        self.go_on();
    }

    fn crash(&mut self) {
        let trouble = Reply::new(451, Enhanced(4, 3, 0), "trouble");
        self.server = Server::resume(self.server.checkpoint(), Bytes::new(), trouble);
        self.go_on();
    }

    fn secure(&mut self) {
        assert!(std::mem::take(&mut self.handshake));
        self.server.tls_started();
        self.said.clear();
    }

    fn go_on(&mut self) {
        while !self.closed && !self.handshake {
            self.steps += 1;
            if self.crash_at.contains(&self.steps) {
                return self.crash();
            }
            match self.server.step() {
                Step::Close => self.closed = true,
                Step::Heard => self.server.admit(),
                Step::Discard => {
                    self.body.clear();
                    self.happened.push("discard".to_owned());
                }
                Step::Judge(question) => self.judge(question),
                Step::Read => return,
                Step::Send(octets) => self.said += std::str::from_utf8(&octets).unwrap(),
                Step::StartTls => self.handshake = true,
                Step::Store(piece) => {
                    self.stored.extend_from_slice(&piece);
                    self.body.extend_from_slice(&piece);
                }
            }
        }
    }

    fn judge(&mut self, question: Question) {
        self.happened.push(match question {
            Question::Auth(_, who) => format!("auth {}", who.authcid),
            Question::BeginBody { size } => format!("begin {size:?}"),
            Question::Mail(_) => "mail".to_owned(),
            Question::Rcpt(_) => "rcpt".to_owned(),
            Question::Take { octets } => {
                self.taken.push(std::mem::take(&mut self.body));
                format!("take {octets}")
            }
            Question::Vrfy(who) => format!("vrfy {who}"),
        });
        match &self.refuse {
            Some(reply) => self.server.verdict(reply.clone()),
            None => self.server.yes(),
        }
    }

    /// The replies, each by its first two words.
    fn codes(&self) -> Vec<String> {
        let words = |line: &str| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
        self.said.lines().map(words).collect()
    }
}

const BEGIN: &[u8] = b"EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\n";
