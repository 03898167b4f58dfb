//! What the machine is carrying out, and how its owner may forbid it.

use std::borrow::Cow;

use bytes::Bytes;
use mail::Spoken;

use super::{Selected, Server, input::Line, machine::Phase};
use crate::{codec::Verb, reply::Reply};

/// The command that is being carried out, and whether commands are shown before they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Hand {
    /// The command with its tag, without the line's end; empty: none is.
    command: Bytes,
    is_admitted: bool,
    is_watched: bool,
}

impl Hand {
    /// A command has been read and is carried out from here on.
    pub(super) fn take(&mut self, command: Bytes) {
        self.command = command;
    }

    /// Nothing is carried out.
    pub(super) fn put_down(&mut self) {
        if !self.command.is_empty() {
            self.command = Bytes::new();
        }
    }

    /// Whether the owner has to be asked first; once it has said yes, it is not asked again.
    pub(super) const fn asks(&mut self) -> bool {
        let is_admitted = std::mem::replace(&mut self.is_admitted, false);
        self.is_watched && !is_admitted
    }
}

impl Server {
    /// Whether each command is shown by [`Step::Heard`](super::Step::Heard) before it is read.
    /// Lines within AUTHENTICATE and IDLE are none.
    pub const fn watch(&mut self, is_watched: bool) {
        self.hand.is_watched = is_watched;
    }

    /// The command that is being read or carried out, or is shown.
    #[must_use]
    pub fn in_hand(&self) -> Option<Spoken<'_>> {
        let command = match self.phase {
            Phase::Command if self.hand.command.is_empty() => self.input.current()?,
            _ => &self.hand.command,
        };
        (!command.is_empty()).then(|| spoken(command, self.selected.as_ref()))
    }

    /// The command that was shown may be carried out.
    pub const fn admit(&mut self) {
        self.hand.is_admitted = true;
    }

    /// The command that was shown is answered with `reply`, without having been read.
    pub fn refuse_command(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        match self.input.line(self.config.limits.line_octets) {
            Line::Ends(text, next) => self.pass_over(text, next, reply, out),
            Line::Open | Line::TooLong => debug_assert!(false, "what was shown is a whole line"),
        }
    }
}

/// A tag is another one each time, so it is left out. A command that is unknown may hold a
/// password that was said too early; of those that are meant to hold one, the name is shown.
fn spoken<'a>(command: &'a [u8], selected: Option<&'a Selected>) -> Spoken<'a> {
    let tag = memchr::memchr(b' ', command).map_or(0, |at| at + 1);
    let octets = &command[tag..];
    let is_letter = |octet: &u8| octet.is_ascii_alphabetic();
    let name = &octets[..octets.iter().take_while(|octet| is_letter(octet)).count()];
    let verb = std::str::from_utf8(name).ok().and_then(Verb::named);
    let (shown, selected) = match verb {
        None => (&[][..], selected),
        Some(Verb::Authenticate | Verb::Login) => (name, None),
        // These close the mailbox that is open.
        Some(Verb::Examine | Verb::Select) => (octets, None),
        Some(_) => (octets, selected),
    };
    let about = selected.map_or("", |selected| selected.mailbox.as_str());
    Spoken {
        octets,
        shown,
        about: Cow::Borrowed(about),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::MailboxName;

    #[test]
    fn a_command_is_known_again_by_its_octets_without_the_tag_and_by_the_open_mailbox() {
        let inbox = Selected {
            mailbox: MailboxName::inbox(),
            read_only: false,
        };
        let (one, other) = (
            spoken(b"a FETCH 1 FLAGS", Some(&inbox)),
            b"bb FETCH 1 FLAGS",
        );
        assert_eq!(one, spoken(other, Some(&inbox)));
        assert_eq!(
            (one.octets, one.shown),
            (&b"FETCH 1 FLAGS"[..], &b"FETCH 1 FLAGS"[..])
        );
        assert_eq!((&*one.about, &*spoken(other, None).about), ("INBOX", ""));
        assert_eq!(spoken(b"a SELECT x", Some(&inbox)).about, "");
    }

    #[test]
    fn no_password_is_shown_however_it_is_said() {
        for (command, shown) in [
            (&b"a LOGIN ann secret"[..], &b"LOGIN"[..]),
            (b"a login {3}\r\nann {6}\r\nsecret", b"login"),
            (b"a AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=", b"AUTHENTICATE"),
            (b"LOGIN ann secret", b""),
            (b"a LOGON ann secret", b""),
            (b"secret", b""),
            (b"", b""),
            (b" ", b""),
        ] {
            assert_eq!(spoken(command, None).shown, shown);
        }
    }
}
