//! A command as a client said it, for whoever must know it again.

use std::borrow::Cow;

/// A command of a client: what is the same when it is said again, and what of it may be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spoken<'a> {
    /// What was said, without a tag and without the line's end. It may hold a password: it is to
    /// be compared, and neither kept nor shown.
    pub octets: &'a [u8],
    /// What of it may be kept and shown: all of it, its first word, or nothing.
    pub shown: &'a [u8],
    /// What it was about besides: the mailbox that was open, the message that a number stood for.
    pub about: Cow<'a, str>,
}

/// A command line of a protocol in which the first word says what is meant (SMTP, POP3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CommandLine<'a> {
    octets: &'a [u8],
    verb: usize,
}

/// What of a command may be shown, by its first word. Of all others it is nothing: an unknown command
/// may hold a password that was said too early.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Those that hold a password: the word itself.
    pub word: &'static [&'static str],
    /// Those whose arguments anybody may see who may see the log: all of it.
    pub whole: &'static [&'static str],
}

impl<'a> CommandLine<'a> {
    /// A line without its end; none if there is nothing in it.
    #[must_use]
    pub fn of(octets: &'a [u8]) -> Option<Self> {
        let verb = octets.iter().position(|&octet| octet == b' ');
        let verb = verb.unwrap_or(octets.len());
        (!octets.is_empty()).then_some(Self { octets, verb })
    }

    /// Whether its first word is one of these, in any case.
    #[must_use]
    pub fn is_any_of(&self, names: &[&str]) -> bool {
        let verb = &self.octets[..self.verb];
        names
            .iter()
            .any(|name| name.as_bytes().eq_ignore_ascii_case(verb))
    }

    /// Its second word.
    #[must_use]
    pub fn argument(&self) -> Option<&'a str> {
        let word = self.octets[self.verb..]
            .split(|&octet| octet == b' ')
            .nth(1)?;
        std::str::from_utf8(word).ok()
    }

    /// As it is known again.
    #[must_use]
    pub fn spoken(self, shown: Shown, about: Cow<'a, str>) -> Spoken<'a> {
        let octets = self.octets;
        let shown = match () {
            () if self.is_any_of(shown.word) => &octets[..self.verb],
            () if self.is_any_of(shown.whole) => octets,
            () => &[],
        };
        Spoken {
            octets,
            shown,
            about,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: Shown = Shown {
        word: &["PASS"],
        whole: &["USER"],
    };

    #[test]
    fn a_command_shows_all_its_first_word_or_nothing() {
        for (line, shown) in [
            (&b"PASS secret"[..], &b"PASS"[..]),
            (b"pass", b"pass"),
            (b"User ann", b"User ann"),
            (b"secret", b""),
            (b"USERS", b""),
            (b" PASS secret", b""),
        ] {
            let spoken = CommandLine::of(line).unwrap().spoken(SHOWN, "".into());
            assert_eq!((spoken.octets, spoken.shown), (line, shown));
        }
        assert_eq!(CommandLine::of(b""), None);
    }

    #[test]
    fn the_second_word_is_what_a_command_is_about() {
        let argument = |line: &'static [u8]| CommandLine::of(line).unwrap().argument();
        assert_eq!(argument(b"RETR 1"), Some("1"));
        assert_eq!(argument(b"TOP 1 2"), Some("1"));
        assert_eq!(argument(b"RETR"), None);
        assert_eq!(argument(b"RETR \xFF"), None);
    }
}
