//! What the machine is carrying out, and how its owner may forbid it.

use std::borrow::Cow;

use mail::{CommandLine, Reply, Shown, Spoken};

use super::machine::{Phase, Server};

impl Server {
    /// Whether commands are shown by [`Step::Heard`](super::Step::Heard) before they are read;
    /// those that have nothing of their own are not, see [`Server::in_hand`].
    pub const fn watch(&mut self, is_watched: bool) {
        self.is_watched = is_watched;
    }

    /// The command that is being read or carried out, or is shown.
    ///
    /// Commands that every client says alike are none: whatever comes of `NOOP` or of EHLO, its
    /// words are not to blame, and a client to whom they are refused can say nothing more. Nor
    /// are answers within AUTH, nor the octets of a message.
    #[must_use]
    pub fn in_hand(&self) -> Option<Spoken<'_>> {
        let line = match &self.phase {
            Phase::Heard(line) => line,
            _ => &self.hand,
        };
        self.spoken(line)
    }

    /// The command that was shown may be carried out.
    pub fn admit(&mut self) {
        if let Phase::Heard(line) = &mut self.phase {
            self.hand = std::mem::take(line);
            self.phase = Phase::Commands;
            let line = self.hand.clone();
            self.line(&line);
        }
    }

    /// The command that was shown is answered with `reply`, without having been read.
    pub fn refuse_command(&mut self, reply: &Reply) {
        if let Phase::Heard(_) = self.phase {
            self.phase = Phase::Commands;
            self.say(reply);
        }
    }

    pub(super) fn spoken<'a>(&self, line: &'a [u8]) -> Option<Spoken<'a>> {
        let line = CommandLine::of(line).filter(|line| !line.is_any_of(&COMMON))?;
        let about = if line.is_any_of(&["DATA"]) {
            Cow::Owned(self.transaction_in_words())
        } else {
            Cow::Borrowed("")
        };
        Some(line.spoken(SHOWN, about))
    }

    /// DATA is as good as its envelope.
    fn transaction_in_words(&self) -> String {
        let mut words = format!("from {} as ", self.hello().unwrap_or_default());
        match self.mail().and_then(|mail| mail.from.as_ref()) {
            Some(from) => words.push_str(&from.to_string()),
            None => words.push_str("<>"),
        }
        for rcpt in self.recipients().iter() {
            words.push_str(&format!(", to {}", rcpt.to));
        }
        words
    }
}

/// Said alike by every client.
const COMMON: [&str; 8] = [
    "EHLO", "HELO", "HELP", "LHLO", "NOOP", "QUIT", "RSET", "STARTTLS",
];

const SHOWN: Shown = Shown {
    word: &["AUTH"],
    whole: &["DATA", "MAIL", "RCPT", "VRFY"],
};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Family,
        server::{Config, Step},
    };

    fn server() -> Server {
        let config = Config::new("mx.heronry.test".parse().unwrap(), Family::Smtp);
        let mut server = Server::new(Arc::new(config));
        assert!(matches!(server.step(), Step::Send(_)));
        server
    }

    #[test]
    fn no_password_is_shown_however_it_is_said() {
        let server = server();
        for (line, shown) in [
            (&b"AUTH PLAIN AGFubgBzZWNyZXQ="[..], &b"AUTH"[..]),
            (b"auth plain AGFubgBzZWNyZXQ=", b"auth"),
            (b"AGFubgBzZWNyZXQ=", b""),
            (b"PASS secret", b""),
            (b"RCPT TO:<ann@house.test>", b"RCPT TO:<ann@house.test>"),
        ] {
            assert_eq!(server.spoken(line).unwrap().shown, shown);
        }
    }

    #[test]
    fn what_every_client_says_alike_is_no_command_of_its_own() {
        let server = server();
        for line in [&b"NOOP"[..], b"ehlo client.test", b"QUIT", b""] {
            assert_eq!(server.spoken(line), None);
        }
    }

    #[test]
    fn a_watched_command_is_shown_first_and_carried_out_or_refused_in_its_turn() {
        let mut server = server();
        server.watch(true);
        server.feed("NOOP\r\nVRFY a\r\nVRFY b\r\nNOOP\r\n".into());
        assert_eq!(server.step(), Step::Heard);
        assert_eq!(server.in_hand().unwrap().octets, b"VRFY a");
        assert_eq!(
            server.step(),
            Step::Heard,
            "until it is said what becomes of it"
        );
        let reply = Reply::new(554, None, "no");
        server.refuse_command(&reply);
        assert_eq!(server.step(), Step::Heard);
        assert_eq!(server.in_hand().unwrap().octets, b"VRFY b");
        server.admit();
        assert!(matches!(server.step(), Step::Judge(_)));
        assert_eq!(server.in_hand().unwrap().octets, b"VRFY b");
        server.yes();
        let Step::Send(said) = server.step() else {
            panic!("four answers have gathered")
        };
        let codes: Vec<_> = said
            .split(|octet| *octet == b'\n')
            .map(|line| line.get(..3))
            .collect();
        let expected = ["250", "554", "252", "250"].map(|code| Some(code.as_bytes()));
        assert_eq!(codes[..4], expected);
        assert_eq!(server.step(), Step::Read);
        assert_eq!(server.in_hand(), None);
    }

    #[test]
    fn a_command_that_was_shown_when_its_session_crashed_is_answered_once() {
        let mut server = server();
        server.watch(true);
        server.feed("VRFY a\r\n".into());
        assert_eq!(server.step(), Step::Heard);
        let trouble = Reply::new(451, None, "later");
        let mut server = Server::resume(server.checkpoint(), Vec::new().into(), trouble);
        assert!(matches!(server.step(), Step::Send(said) if said.starts_with(b"451 ")));
        assert_eq!(server.step(), Step::Read);
    }
}
