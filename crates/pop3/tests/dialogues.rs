//! Golden transcripts: every file under `tests/dialogues/pop3` is spoken to the machine.
//!
//! `C:` is sent, `S:` is expected, `*` at the end matches the rest of a line, `\n`, `\r` and `\0`
//! are the octets, `#` names the requirement that the transcript proves. `S: ...` skips what is
//! left of a reply of several lines; `T:` is the TLS handshake; `X:` is the end of the connection.
//! The same files are spoken to the daemon's demo, so the verdicts here are the demo's.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;
use heronry_pop3::{Config, Question, Refusal, Server, Step};

#[test]
fn the_machine_speaks_every_transcript() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/dialogues/pop3");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        play(&file);
    }
}

fn play(path: &Path) {
    let transcript = fs::read_to_string(path).unwrap();
    let mut peer = Peer::new();
    for (number, line) in (1..).zip(transcript.lines()) {
        let at = format!("{}:{number}", path.display());
        if let Some(sent) = line.strip_prefix("C:") {
            peer.send(sent.strip_prefix(' ').unwrap_or(sent));
        } else if line == "S: ..." {
            while peer.line(&at) != "." {}
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
    fn new() -> Self {
        let mut config = Config::new("mx.example.test");
        config.tls_offered = true;
        config.plaintext_auth_allowed = true; // as the demo, from loopback
        config.implementation = Some("Heronry".to_owned());
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
                Step::Judge(Question::Login(who)) => {
                    let right =
                        who.authcid == "user9@example.test" && who.password.expose() == "secret";
                    if right {
                        self.server.logged_in(Vec::new());
                    } else {
                        self.server.refuse(Refusal::Credentials);
                    }
                }
                Step::Judge(Question::Message { .. } | Question::Remove { .. }) | Step::Piece => {
                    unreachable!("the maildrop is empty")
                }
                Step::Read => return,
                Step::Send(octets) => self.said += std::str::from_utf8(&octets).unwrap(),
                Step::StartTls => self.handshake = true,
            }
        }
    }
}
