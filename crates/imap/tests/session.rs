//! Sessions with the machine: what is said, what is asked of the store, and in what order.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::sync::Arc;

use bytes::Bytes;
use imap::{Checkpoint, Code, Command, Config, Limits, Reply, Server, Step};
use proptest::prelude::*;

/// Answers every step in one way and writes down what happened.
struct Play {
    server: Server,
    out: Vec<u8>,
    log: String,
}

impl Play {
    fn new(config: &Arc<Config>, tls: bool) -> Self {
        Self {
            server: Server::new(Arc::clone(config), tls),
            out: Vec::new(),
            log: String::new(),
        }
    }

    /// Logged in, with TLS.
    fn logged_in() -> Self {
        let mut play = Self::new(&small(), true);
        play.hear("l LOGIN ann secret\r\n");
        play.log.clear();
        play
    }

    fn selected() -> Self {
        let mut play = Self::logged_in();
        play.hear("s SELECT inbox\r\n");
        play.log.clear();
        play
    }

    fn hear(&mut self, text: &str) -> String {
        self.hear_octets(text.as_bytes())
    }

    fn hear_octets(&mut self, octets: &[u8]) -> String {
        // Whether somebody watches makes no difference.
        self.server.watch(octets.len().is_multiple_of(2));
        self.server.feed(Bytes::copy_from_slice(octets));
        while self.step() {}
        self.server.watch(false);
        std::mem::take(&mut self.log)
    }

    /// One step; whether another one may follow without more octets.
    fn step(&mut self) -> bool {
        let step = self.server.step(&mut self.out);
        self.log.push_str(&String::from_utf8_lossy(&self.out));
        self.out.clear();
        let reply = match step {
            Step::Read => return false,
            Step::Close => {
                self.log.push_str("<close>");
                return false;
            }
            Step::StartTls => {
                self.log.push_str("<tls>");
                self.server.tls_started();
                return true;
            }
            Step::Heard => {
                self.server.admit();
                return true;
            }
            Step::IdleBegin => {
                self.log.push_str("<idle>");
                return true;
            }
            Step::AppendBegin(append) if append.mailbox.as_str() == "full" => {
                Reply::no("full").with(Code::OverQuota)
            }
            Step::AppendBegin(append) => {
                self.log
                    .push_str(&format!("<append {} {}>", append.mailbox, append.octets));
                self.server.accept(&mut self.out);
                return true;
            }
            Step::AppendChunk(chunk) => {
                self.log.push_str(&String::from_utf8_lossy(&chunk));
                return true;
            }
            Step::AppendAbort => {
                self.log.push_str("<abort>");
                return true;
            }
            Step::AppendEnd => Reply::ok("appended"),
            Step::IdleEnd => Reply::ok("idled"),
            Step::Authenticate(who) if who.password.expose() == "secret" => Reply::ok("in"),
            Step::Authenticate(who) if who.password.expose() == "later" => {
                Reply::no("cannot check now").with(Code::Unavailable)
            }
            Step::Authenticate(_) => Reply::no("wrong").with(Code::AuthenticationFailed),
            Step::Run(Command::Select(name)) if name.as_str() == "no" => Reply::no("none"),
            Step::Run(command) => {
                let name = format!("{command:?}");
                let end = name.find(['(', ' ']).unwrap_or(name.len());
                self.log.push_str(&format!("<{}>", &name[..end]));
                Reply::ok("done")
            }
        };
        self.server.answer(reply, &mut self.out);
        true
    }
}

fn small() -> Arc<Config> {
    let mut config = Config::new("mx.test");
    Arc::make_mut(&mut config).limits = Limits {
        line_octets: 200,
        literal_octets: 80,
        append_octets: 1000,
        skip_octets: 100,
        bad_commands: 4,
        failed_logins: 2,
    };
    config
}

#[test]
fn the_greeting_says_what_can_be_done() {
    let mut out = Vec::new();
    Server::new(small(), false).greet(&mut out);
    let line = String::from_utf8(out).unwrap();
    assert!(line.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{line}");
    assert!(
        line.ends_with(" STARTTLS LOGINDISABLED] mx.test Heronry is ready\r\n"),
        "{line}"
    );
    let mut play = Play::new(&small(), true);
    let said = play.hear("a capability\r\n");
    assert!(said.contains(" AUTH=PLAIN AUTH=LOGIN\r\na OK"), "{said}");
    assert!(!said.contains("STARTTLS"), "{said}");
}

#[test]
fn no_password_is_taken_in_the_clear() {
    let mut play = Play::new(&small(), false);
    for line in [
        "a LOGIN ann secret",
        "a AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=",
        "a AUTHENTICATE LOGIN",
    ] {
        let said = play.hear(&format!("{line}\r\n"));
        assert!(said.starts_with("a NO [PRIVACYREQUIRED]"), "{said}");
    }
}

#[test]
fn starttls_forgets_and_nothing_may_follow_it() {
    let mut play = Play::new(&small(), false);
    assert_eq!(play.hear("a STARTTLS\r\n"), "a OK begin TLS now\r\n<tls>");
    assert!(play.server.is_tls());
    assert!(play.hear("b STARTTLS\r\n").starts_with("b BAD"));
    let mut play = Play::new(&small(), false);
    let said = play.hear("a STARTTLS\r\nb LOGIN ann secret\r\n");
    assert_eq!(said, "* BYE nothing may follow STARTTLS\r\n<close>");
}

#[test]
fn who_logs_in_may_do_so_in_each_of_these_ways() {
    for dialogue in [
        &["a LOGIN ann \"secret\""][..],
        &["a LOGIN {3+}\r\nann {6+}\r\nsecret"],
        &["a AUTHENTICATE plain AGFubgBzZWNyZXQ="],
        &["a AUTHENTICATE PLAIN", "AGFubgBzZWNyZXQ="],
        &["a AUTHENTICATE LOGIN", "YW5u", "c2VjcmV0"],
        &["a AUTHENTICATE LOGIN YW5u", "c2VjcmV0"],
    ] {
        let mut play = Play::new(&small(), true);
        let said: String = dialogue
            .iter()
            .map(|line| play.hear(&format!("{line}\r\n")))
            .collect();
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("a OK [CAPABILITY IMAP4rev1"), "{said}");
        assert_eq!(play.server.user(), Some("ann"));
        assert!(
            play.hear("b LOGIN ann secret\r\n")
                .starts_with("b BAD already")
        );
    }
}

#[test]
fn a_login_that_could_not_be_checked_has_not_failed() {
    let mut play = Play::new(&small(), true);
    for _ in 0..10 {
        let said = play.hear("a LOGIN ann later\r\n");
        assert!(said.starts_with("a NO [UNAVAILABLE]"), "{said}");
        assert!(!said.contains("BYE"), "{said}");
    }
    assert!(play.hear("b LOGIN ann secret\r\n").starts_with("b OK"));
}

#[test]
fn an_exchange_can_be_cancelled_or_fail() {
    let mut play = Play::new(&small(), true);
    assert_eq!(play.hear("a AUTHENTICATE PLAIN\r\n"), "+ \r\n");
    assert_eq!(play.hear("*\r\n"), "a BAD cancelled\r\n");
    assert!(
        play.hear("a AUTHENTICATE GSSAPI\r\n")
            .starts_with("a NO [CANNOT]")
    );
    assert!(play.hear("a AUTHENTICATE PLAIN !\r\n").starts_with("a BAD"));
    assert!(
        play.hear("a LOGIN ann x\r\n")
            .starts_with("a NO [AUTHENTICATIONFAILED]")
    );
    let said = play.hear("a LOGIN ann y\r\n");
    assert!(
        said.ends_with("* BYE too many failed logins\r\n<close>"),
        "{said}"
    );
}

#[test]
fn commands_are_allowed_where_they_make_sense() {
    let mut play = Play::new(&small(), true);
    assert_eq!(play.hear("a NOOP\r\n"), "a OK still here\r\n");
    assert_eq!(play.hear("a SELECT inbox\r\n"), "a BAD log in first\r\n");
    assert_eq!(
        play.hear("a APPEND inbox {10}\r\n"),
        "a BAD log in first\r\n"
    );
    let mut play = Play::logged_in();
    assert_eq!(
        play.hear("a FETCH 1 FLAGS\r\n"),
        "a BAD select a mailbox first\r\n"
    );
    assert_eq!(play.hear("a NOOP\r\n"), "a OK still here\r\n");
    assert_eq!(
        play.hear("a Examine inbox\r\n"),
        "<Examine>a OK [READ-ONLY] done\r\n"
    );
    for writes in ["STORE 1 FLAGS ()", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 x"] {
        assert!(
            play.hear(&format!("a {writes}\r\n"))
                .starts_with("a NO [READ-ONLY]")
        );
    }
    assert_eq!(
        play.hear("a SELECT inbox\r\n"),
        "<Select>a OK [READ-WRITE] done\r\n"
    );
    assert_eq!(play.hear("a STORE 1 FLAGS ()\r\n"), "<Store>a OK done\r\n");
    assert_eq!(play.hear("a SELECT no\r\n"), "a NO none\r\n");
    assert_eq!(play.hear("a CHECK\r\n"), "a BAD select a mailbox first\r\n");
    play.hear("a SELECT inbox\r\n");
    assert_eq!(play.hear("a CLOSE\r\n"), "<Close>a OK done\r\n");
    assert!(play.server.selected().is_none());
}

#[test]
fn what_the_machine_knows_it_says_by_itself() {
    let mut play = Play::selected();
    assert!(
        play.hear("a NAMESPACE\r\n")
            .starts_with("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na OK")
    );
    assert!(
        play.hear("a ENABLE CONDSTORE\r\n")
            .starts_with("* ENABLED\r\na OK")
    );
    assert!(
        play.hear("a ID (\"name\" NIL)\r\n")
            .starts_with("* ID (\"name\" \"Heronry\")\r\na OK")
    );
    assert!(play.hear("a ID NIL\r\n").contains("a OK"));
    assert!(play.hear("a ID (\"name\")\r\n").contains("a BAD"));
    assert_eq!(
        play.hear("a LOGOUT\r\nb NOOP\r\n"),
        "* BYE see you\r\na OK logged out\r\n<close>"
    );
}

#[test]
fn idling_ends_with_done_and_with_nothing_else() {
    let mut play = Play::selected();
    assert_eq!(play.hear("a IDLE\r\n"), "+ idling\r\n<idle>");
    assert_eq!(play.hear("done\r\n"), "a OK idled\r\n");
    assert_eq!(
        play.hear("a IDLE\r\nNOOP\r\n"),
        "+ idling\r\n<idle>a BAD DONE is expected\r\n"
    );
    assert_eq!(play.hear("a NOOP\r\n"), "<Noop>a OK done\r\n");
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let mut play = Play::selected();
    assert_eq!(
        play.hear("a NOOP\r\nb CHECK\nc IDLE\r\nDONE\r\nd FOO\r\n"),
        "<Noop>a OK done\r\n<Check>b OK done\r\n+ idling\r\n<idle>c OK idled\r\n\
         d BAD the command is unknown\r\n"
    );
}

#[test]
fn a_message_streams_by() {
    let mut play = Play::logged_in();
    assert_eq!(
        play.hear("a APPEND {1+}\r\nx (\\Seen) {5}\r\n"),
        "<append x 5>+ OK\r\n"
    );
    assert_eq!(play.hear("ab"), "ab");
    assert_eq!(play.hear("cde\r\n"), "cdea OK appended\r\n");
    assert_eq!(
        play.hear("a APPEND x \" 1-Jan-2000 00:00:00 +0000\" {3+}\r\na\r\n\r\nb NOOP\r\n"),
        "<append x 3>a\r\na OK appended\r\nb OK still here\r\n"
    );
    let said = play.hear("a APPEND x {1+}\r\nm {3+}\r\nabc\r\nb NOOP\r\n");
    assert_eq!(
        said,
        "<append x 1>ma BAD the line must end behind the message\r\n<abort>b OK still here\r\n"
    );
}

#[test]
fn a_message_can_be_refused_before_it_is_sent_and_when_it_comes_all_the_same() {
    let mut play = Play::logged_in();
    assert_eq!(
        play.hear("a APPEND full {5}\r\n"),
        "a NO [OVERQUOTA] full\r\n"
    );
    assert_eq!(
        play.hear("a APPEND full {5+}\r\nabcde\r\nb NOOP\r\n"),
        "a NO [OVERQUOTA] full\r\nb OK still here\r\n"
    );
    assert!(
        play.hear("a APPEND x {4294967296}\r\n")
            .starts_with("a NO [TOOBIG]")
    );
    assert!(play.hear("a APPEND x {0}\r\n").starts_with("a NO [CANNOT]"));
    assert!(
        play.hear("a APPEND x {0+}\r\n\r\nb NOOP\r\n")
            .ends_with("b OK still here\r\n")
    );
    let said = play.hear("a APPEND x {4294967296+}\r\n");
    assert_eq!(said, "* BYE the literal is too large\r\n<close>");
}

#[test]
fn literals_are_bounded_before_they_are_read() {
    let mut play = Play::logged_in();
    assert!(play.hear("a SELECT {81}\r\n").starts_with("a NO [TOOBIG]"));
    assert!(
        play.hear("a CREATE {4294967296}\r\n")
            .starts_with("a NO [TOOBIG]")
    );
    let long = "x".repeat(90);
    let said = play.hear(&format!(
        "a CREATE {{90+}}\r\n{long} {{3+}}\r\nabc\r\nb NOOP\r\n"
    ));
    assert!(
        said.starts_with("a NO [TOOBIG]") && said.ends_with("b OK still here\r\n"),
        "{said}"
    );
    assert_eq!(
        play.hear("a FOO {70}\r\n"),
        "a BAD the command is unknown\r\n"
    );
    assert_eq!(
        play.hear("a FOO {3+}\r\nabc\r\nb NOOP\r\n")
            .matches("OK")
            .count(),
        1
    );
    let said = play.hear("a SELECT {99999999999999999999999+}\r\n");
    assert_eq!(said, "* BYE the literal is too large\r\n<close>");
    let mut play = Play::new(&small(), true);
    assert!(
        play.hear("a LOGIN {11}\r\n").starts_with("a NO [TOOBIG]"),
        "less before login"
    );
}

#[test]
fn lines_are_bounded_and_the_rest_of_them_is_read_past() {
    let mut play = Play::logged_in();
    let long = "x".repeat(10_000);
    let said = play.hear(&format!("a SELECT {long}\r\nb NOOP\r\n"));
    assert_eq!(said, "a BAD the command is too long\r\nb OK still here\r\n");
    let said = play.hear(&format!("a SELECT {long} {{4+}}\r\nabcd\r\nb NOOP\r\n"));
    assert_eq!(said, "a BAD the command is too long\r\nb OK still here\r\n");
}

#[test]
fn who_says_nothing_but_nonsense_is_shown_the_door() {
    let mut play = Play::new(&small(), true);
    let said = play.hear("GET / HTTP/1.1\r\n+ x\r\n\r\na\r\nb NOOP\r\n");
    assert_eq!(
        said,
        "GET BAD the command is unknown\r\n* BAD a command begins with a tag\r\n\
         * BAD a command begins with a tag\r\na BAD a command is expected behind the tag\r\n\
         * BYE too many bad commands\r\n<close>"
    );
}

#[test]
fn odd_names_are_refused_and_not_misunderstood() {
    let mut play = Play::logged_in();
    assert!(
        play.hear("a SELECT !#$&'+,-.:;<=>?@^_`|[}\r\n")
            .starts_with("a NO [CANNOT]")
    );
    assert_eq!(play.hear("a LIST \"\" ~foo\r\n"), "<List>a OK done\r\n");
    assert_eq!(
        play.hear("a SELECT ~foo\r\n"),
        "<Select>a OK [READ-WRITE] done\r\n"
    );
    assert!(
        play.hear("a SEARCH CHARSET x ALL\r\n")
            .starts_with("a NO [BADCHARSET")
    );
}

#[test]
fn a_successor_answers_for_the_dead_and_goes_on() {
    let mut play = Play::selected();
    play.server
        .feed(Bytes::from_static(b"a FETCH 1 FLAGS\r\nb NOOP\r\n"));
    assert!(matches!(play.server.step(&mut play.out), Step::Run(_)));
    let checkpoint: Checkpoint = play.server.checkpoint();
    play.server = Server::resume(checkpoint, Bytes::new(), &mut play.out);
    let said = play.hear("");
    assert!(said.starts_with("a NO [SERVERBUG]"), "{said}");
    assert!(said.ends_with("<Noop>b OK done\r\n"), "{said}");
    assert_eq!(play.server.user(), Some("ann"));
}

#[test]
fn a_successor_reads_past_what_the_dead_was_being_sent() {
    for half in ["a APPEND x {9+}\r\nabc", "a APPEND x {3+}\r\nabcdefghi"] {
        let mut play = Play::selected();
        play.server.feed(Bytes::copy_from_slice(half.as_bytes()));
        loop {
            match play.server.step(&mut play.out) {
                Step::AppendBegin(_) => play.server.accept(&mut play.out),
                Step::AppendChunk(_) => {}
                Step::Read => break,
                step => panic!("{step:?}"),
            }
        }
        play.out.clear();
        let checkpoint = play.server.checkpoint();
        play.server = Server::resume(checkpoint, Bytes::new(), &mut play.out);
        let said = play.hear("defghi\r\nb NOOP\r\n");
        assert!(said.starts_with("a NO [SERVERBUG]"), "{said}");
        assert!(said.ends_with("<Noop>b OK done\r\n"), "{said}");
    }
}

#[test]
fn what_a_successor_hears_of_what_the_dead_did_not_keep_is_answered_and_not_done() {
    for (before, heard, answered) in [
        ("", "a FETCH 1 FLAGS\r\n", "a NO"),
        ("", "a FET", ""),
        ("a FET", "CH 1 FLAGS\r\n", "a NO"),
        ("", "a LOGIN {3+}\r\nann {1+}\r\nx\r\n", "a NO"),
        ("a SELECT {9}\r\nabc", "", ""),
        ("a SELECT {9}\r\nabc", "defghi\r\n", "a NO"),
        ("a BAD\r\na APPEND x {9}\r\n", "", "a NO"),
        ("a IDLE\r\n", "", ""),
        ("a IDLE\r\n", "DONE\r\n", "a NO"),
        ("", "\r\n", "* NO"),
    ] {
        let mut play = Play::selected();
        play.server.feed(Bytes::copy_from_slice(before.as_bytes()));
        while !matches!(
            play.server.step(&mut play.out),
            Step::Read | Step::AppendBegin(_)
        ) {}
        play.out.clear();
        let checkpoint = play.server.checkpoint();
        let heard = Bytes::copy_from_slice(heard.as_bytes());
        play.server = Server::resume(checkpoint, heard, &mut play.out);
        let said = String::from_utf8(std::mem::take(&mut play.out)).unwrap();
        let is_done = said.is_empty() == answered.is_empty() && said.starts_with(answered);
        assert!(
            is_done && said.matches("\r\n").count() <= 1,
            "{before:?}: {said}"
        );
        let said = play.hear(match before {
            "a IDLE\r\n" if answered.is_empty() => "DONE\r\nb NOOP\r\n",
            "a SELECT {9}\r\nabc" if answered.is_empty() => "defghi\r\nb NOOP\r\n",
            _ if answered.is_empty() => "CH 1 FLAGS\r\nb NOOP\r\n",
            _ => "b NOOP\r\n",
        });
        let both = answered.is_empty() || !said.contains("a ");
        let ends = match (before, answered) {
            ("a SELECT {9}\r\nabc", "a NO") => "b OK still here\r\n", // nothing is open now
            _ => "<Noop>b OK done\r\n",
        };
        assert!(both && said.ends_with(ends), "{before:?}: {said}");
    }
}

#[test]
fn a_select_that_nobody_carried_out_closes_what_was_open() {
    let mut play = Play::selected();
    let checkpoint = play.server.checkpoint();
    let heard = Bytes::from_static(b"a SELECT other\r\n");
    play.server = Server::resume(checkpoint, heard, &mut play.out);
    assert!(play.out.starts_with(b"a NO [SERVERBUG]"));
    play.out.clear();
    assert_eq!(play.hear("b CHECK\r\n"), "b BAD select a mailbox first\r\n");
}

#[test]
fn a_crash_is_no_wrong_password() {
    let mut play = Play::new(&small(), true);
    for _ in 0..10 {
        play.server
            .feed(Bytes::from_static(b"a LOGIN ann secret\r\n"));
        while !matches!(play.server.step(&mut play.out), Step::Authenticate(_)) {}
        let checkpoint = play.server.checkpoint();
        play.server = Server::resume(checkpoint, Bytes::new(), &mut play.out);
    }
    assert_eq!(
        play.hear("b NOOP\r\n").matches("NO [SERVERBUG]").count(),
        10
    );
}

/// Lines that lead far into the machine, and octets that do not.
fn words() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("a LOGIN ann secret\r\n"),
        Just("a LOGIN {3}\r\nann {6+}\r\nsecret\r\n"),
        Just("b AUTHENTICATE PLAIN\r\nAGFubgBzZWNyZXQ=\r\n"),
        Just("b AUTHENTICATE LOGIN YW5u\r\n"),
        Just("c SELECT inbox\r\n"),
        Just("c NOOP\r\n"),
        Just("d IDLE\r\n"),
        Just("DONE\r\n"),
        Just("e APPEND x {5+}\r\nab\r\nc\r\n"),
        Just("e APPEND full {5+}\r\nab\r\nc\r\n"),
        Just("e APPEND x {5+}\r\nab\r\nc {2+}\r\nab\r\n"),
        Just("e APPEND x {2000+}\r\n"),
        Just("f FETCH 1:* (FLAGS BODY[1.TEXT]<0.5>)\r\n"),
        Just("f SEARCH OR FROM {3+}\r\nabc NOT (SEEN 1:3)\r\n"),
        Just("f FOO {50+}\r\n"),
        Just("f CREATE {99+}\r\n"),
        Just("g STARTTLS\r\n"),
        Just("{7+}\r\n"),
        Just("\n"),
    ];
    let noise = "[ -~\r\n\u{0}\u{e4}]{0,20}|x{190,250}";
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => noise]
}

fn said(octets: &[u8], cuts: &[usize]) -> String {
    let mut play = Play::new(&small(), true);
    let mut log = String::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([octets.len()]) {
        let cut = cut.clamp(from, octets.len());
        log.push_str(&play.hear_octets(&octets[from..cut]));
        from = cut;
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_slicing_of_what_is_heard_gives_the_same_session(
        text in proptest::collection::vec(words(), 0..12),
        mut cuts in proptest::collection::vec(0..400_usize, 0..12),
    ) {
        let text = text.concat();
        let whole = said(text.as_bytes(), &[]);
        cuts.sort_unstable();
        let every: Vec<usize> = (0..text.len()).collect();
        for cuts in [cuts, every] {
            // Where a connection is closed, what follows is not heard, however often.
            let sliced = said(text.as_bytes(), &cuts);
            let end = |log: &str| log.find("<close>").unwrap_or(log.len());
            prop_assert_eq!(&sliced[..end(&sliced)], &whole[..end(&whole)]);
        }
    }

    #[test]
    fn no_octets_make_the_machine_panic(octets: Vec<u8>) {
        said(&octets, &[]);
        let mut play = Play::selected();
        play.hear_octets(&octets);
    }
}
