//! What the machine is carrying out, and how its owner may forbid it.

use std::borrow::Cow;

use mail::{CommandLine, Shown, Spoken};

use crate::{Refusal, Server, server::Phase};

impl Server {
    /// Whether commands are shown by [`Step::Heard`](crate::Step::Heard) before they are read.
    pub const fn watch(&mut self, is_watched: bool) {
        self.is_watched = is_watched;
    }

    /// The command that is being read or carried out, or is shown. Answers within AUTH are none.
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

    /// The command that was shown is answered with `-ERR`, without having been read.
    pub fn refuse_command(&mut self, refusal: Refusal) {
        if let Phase::Heard(_) = self.phase {
            self.phase = Phase::Commands;
            self.say_no(refusal.text());
        }
    }

    /// A number is another message in the next session: the unique id says which one is meant.
    fn spoken<'a>(&'a self, line: &'a [u8]) -> Option<Spoken<'a>> {
        let line = CommandLine::of(line)?;
        let number = line.argument().and_then(|word| word.parse().ok());
        let found = number.filter(|_| line.is_any_of(&NUMBERED));
        let entry = found.and_then(|number| self.drop.as_ref()?.find(number));
        let about = entry.map_or("", |(_, entry)| &*entry.unique);
        Some(line.spoken(SHOWN, Cow::Borrowed(about)))
    }
}

const SHOWN: Shown = Shown {
    word: &["AUTH", "PASS"],
    whole: &[
        "CAPA", "DELE", "LIST", "NOOP", "QUIT", "RETR", "RSET", "STAT", "STLS", "TOP", "UIDL",
        "USER",
    ],
};

/// Which name a message by its number.
const NUMBERED: [&str; 5] = ["DELE", "LIST", "RETR", "TOP", "UIDL"];

#[cfg(test)]
mod tests {
    use crate::{Config, Entry, Question, Refusal, Server, Step};

    fn server() -> Server {
        let mut config = Config::new("mx.heronry.test");
        config.plaintext_auth_allowed = true;
        let mut server = Server::new(config.into());
        assert!(matches!(server.step(), Step::Send(_)));
        server
    }

    #[test]
    fn no_password_is_shown_however_it_is_said() {
        let server = server();
        for (line, shown) in [
            (&b"PASS secret"[..], &b"PASS"[..]),
            (b"auth PLAIN AGFubgBzZWNyZXQ=", b"auth"),
            (b"PASSsecret", b""),
            (b"secret", b""),
            (b"USER ann", b"USER ann"),
        ] {
            assert_eq!(server.spoken(line).unwrap().shown, shown);
        }
        assert_eq!(server.spoken(b""), None);
    }

    #[test]
    fn a_message_is_known_by_its_unique_id_and_a_refused_command_is_not_run() {
        let mut server = server();
        server.feed("USER ann\r\nPASS secret\r\n".into());
        while !matches!(server.step(), Step::Judge(Question::Login(_))) {}
        let entry = Entry {
            octets: 7,
            unique: "u-1".into(),
        };
        server.logged_in(vec![entry]);
        while server.step() != Step::Read {}
        server.watch(true);
        server.feed("RETR 1\r\nDELE 1\r\n".into());
        assert_eq!(server.step(), Step::Heard);
        let spoken = server.in_hand().unwrap();
        assert_eq!((spoken.octets, &*spoken.about), (&b"RETR 1"[..], "u-1"));
        server.refuse_command(Refusal::Permanent);
        assert_eq!(server.step(), Step::Heard);
        server.admit();
        let Step::Send(said) = server.step() else {
            panic!("both are answered")
        };
        assert!(said.starts_with(b"-ERR [SYS/PERM] "));
        assert!(said.ends_with(b"\r\n+OK\r\n"));
    }

    #[test]
    fn a_command_that_was_shown_when_its_session_crashed_is_answered_once() {
        let mut server = server();
        server.watch(true);
        server.feed("USER ann\r\n".into());
        assert_eq!(server.step(), Step::Heard);
        let mut server = Server::resume(server.checkpoint(), Vec::new().into());
        assert!(matches!(server.step(), Step::Send(said) if said.starts_with(b"-ERR [SYS/TEMP]")));
        assert_eq!(server.step(), Step::Read);
    }
}
