//! Golden transcripts: every file under `tests/dialogues` that is SMTP's is spoken to the machine.
//!
//! `C:` is sent, `S:` is expected, `*` at the end matches the rest of a line, `\n`, `\r` and `\0`
//! are the octets, `#` names the requirement that the transcript proves. `S: ...` skips what is
//! left of a reply of several lines; `T:` is the TLS handshake; `X:` is the end of the connection.
//! The same files are spoken to the daemon's demo, so the verdicts here are the demo's.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;
use heronry_smtp::{
    Family, Mechanism,
    server::{Config, Question, Server, Step},
};
use mail::{Enhanced, Reply};

#[test]
fn the_machine_speaks_every_smtp_transcript() {
    play_all("smtp", Family::Smtp);
}

#[test]
fn the_machine_speaks_every_submission_transcript() {
    play_all("submission", Family::Submission);
}

#[test]
fn the_machine_speaks_every_lmtp_transcript() {
    play_all("lmtp", Family::Lmtp);
}

fn play_all(folder: &str, family: Family) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/dialogues");
    let mut files: Vec<_> = fs::read_dir(root.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        play(&file, family);
    }
}

fn play(path: &Path, family: Family) {
    let transcript = fs::read_to_string(path).unwrap();
    let mut peer = Peer::new(family);
    for (number, line) in (1..).zip(transcript.lines()) {
        let at = format!("{}:{number}", path.display());
        if let Some(sent) = line.strip_prefix("C:") {
            peer.send(sent.strip_prefix(' ').unwrap_or(sent));
        } else if line == "S: ..." {
            while peer.line(&at).as_bytes()[3] == b'-' {}
        } else if let Some(expected) = line.strip_prefix("S: ") {
            let said = peer.line(&at);
            let matches = match expected.strip_suffix('*') {
                Some(prefix) => said.starts_with(prefix),
                None => said == expected,
            };
            assert!(matches, "{at}: expected {expected:?}, got {said:?}");
        } else if line == "T:" {
            peer.go_on();
            assert!(peer.handshake, "{at}: no handshake is due");
            peer.handshake = false;
            peer.server.tls_started();
        } else if line == "X:" {
            peer.go_on();
            assert!(peer.closed && peer.said.is_empty(), "{at}: {:?}", peer.said);
        } else {
            assert!(
                line.starts_with('#') || line.is_empty(),
                "{at}: not a transcript line"
            );
        }
    }
    peer.go_on();
    assert_eq!(peer.said, "", "{}: more was said", path.display());
}

struct Peer {
    server: Server,
    said: String,
    closed: bool,
    handshake: bool,
}

impl Peer {
    fn new(family: Family) -> Self {
        let mut config = Config::new("mx.example.test".parse().unwrap(), family);
        config.tls_offered = true;
        config.dsn_offered = true;
        config.plaintext_auth_allowed = true; // as the demo, from loopback
        config.postmaster = "postmaster@example.test".parse().ok();
        if family == Family::Submission {
            config.mechanisms = vec![Mechanism::Plain, Mechanism::Login];
        }
        Self {
            server: Server::new(Arc::new(config)),
            said: String::new(),
            closed: false,
            handshake: false,
        }
    }

    fn send(&mut self, line: &str) {
        let line = line
            .replace("\\n", "\n")
            .replace("\\r", "\r")
            .replace("\\0", "\0");
        // Whether somebody watches makes no difference.
        self.server.watch(line.len().is_multiple_of(2));
        self.server.feed(Bytes::from(line + "\r\n"));
    }

    /// The next line that the machine says.
    fn line(&mut self, at: &str) -> String {
        self.go_on();
        let (line, rest) = self
            .said
            .split_once("\r\n")
            .unwrap_or_else(|| panic!("{at}: nothing was said"));
        let line = line.to_owned();
        self.said = rest.to_owned();
        line
    }

    /// Carries out steps until the machine waits.
    fn go_on(&mut self) {
        while !self.closed && !self.handshake {
            match self.server.step() {
                Step::Close => self.closed = true,
                Step::Heard => self.server.admit(),
                Step::Discard | Step::Store(_) => {}
                Step::Judge(question) => self.judge(&question),
                Step::Read => return,
                Step::Send(octets) => self.said += std::str::from_utf8(&octets).unwrap(),
                Step::StartTls => self.handshake = true,
            }
        }
    }

    fn judge(&mut self, question: &Question) {
        let known = |name: &str| {
            name.eq_ignore_ascii_case("postmaster")
                || name.strip_prefix("user").is_some_and(|n| n.len() == 1)
        };
        let no = match question {
            Question::Auth(_, credentials) => {
                let user = credentials.authcid.strip_suffix("@example.test");
                let right = credentials.password.expose() == "secret" && user.is_some_and(known);
                (!right).then(|| Reply::new(535, Enhanced(5, 7, 8), "wrong"))
            }
            Question::Rcpt(rcpt) if rcpt.to.domain().as_str() == "example.test" => {
                let there = known(rcpt.to.local());
                (!there).then(|| Reply::new(550, Enhanced(5, 1, 1), "no such user here"))
            }
            Question::Rcpt(_) => {
                let trusted = self.server.identity().is_some();
                (!trusted).then(|| Reply::new(550, Enhanced(5, 7, 1), "relaying denied"))
            }
            Question::BeginBody { .. }
            | Question::Mail(_)
            | Question::Take { .. }
            | Question::Vrfy(_) => None,
        };
        match no {
            Some(reply) => self.server.verdict(reply),
            None => self.server.yes(),
        }
    }
}
