//! One command line, read (RFC 1939 §9).

use mail::Credentials;

use base64::{Engine, prelude::BASE64_STANDARD};

/// A command with its arguments.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Command<'a> {
    /// The mechanism and the initial response.
    Auth(Option<&'a str>, Option<&'a str>),
    Capa,
    Dele(usize),
    List(Option<usize>),
    Noop,
    Pass(&'a str),
    Quit,
    Retr(usize),
    Rset,
    Stat,
    Stls,
    /// A known command with arguments that it does not take.
    Syntax,
    Top(usize, u64),
    Uidl(Option<usize>),
    Unknown,
    User(&'a str),
}

/// Reads a line without its end.
pub(crate) fn read(line: &[u8]) -> Command<'_> {
    let Ok(line) = std::str::from_utf8(line) else {
        return Command::Unknown;
    };
    if line.contains(char::is_control) {
        return Command::Syntax;
    }
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut upper = [0_u8; 4];
    let Some(upper) = upper.get_mut(..verb.len()) else {
        return Command::Unknown;
    };
    upper.copy_from_slice(verb.as_bytes());
    upper.make_ascii_uppercase();
    let mut words = rest.split_ascii_whitespace();
    let (first, second, third) = (words.next(), words.next(), words.next());
    let number = |word: &str| word.parse::<usize>().ok();
    let command = match (&*upper, first, second) {
        (b"AUTH", mechanism, initial) => Some(Command::Auth(mechanism, initial)),
        (b"CAPA", None, _) => Some(Command::Capa),
        (b"DELE", Some(n), None) => number(n).map(Command::Dele),
        (b"LIST", None, _) => Some(Command::List(None)),
        (b"LIST", Some(n), None) => number(n).map(|n| Command::List(Some(n))),
        (b"NOOP", None, _) => Some(Command::Noop),
        // RFC 1939 §7: a password may hold spaces.
        (b"PASS", Some(_), _) => return Command::Pass(rest),
        (b"QUIT", None, _) => Some(Command::Quit),
        (b"RETR", Some(n), None) => number(n).map(Command::Retr),
        (b"RSET", None, _) => Some(Command::Rset),
        (b"STAT", None, _) => Some(Command::Stat),
        (b"STLS", None, _) => Some(Command::Stls),
        (b"TOP", Some(n), Some(lines)) => number(n)
            .zip(lines.parse().ok())
            .map(|(n, lines)| Command::Top(n, lines)),
        (b"UIDL", None, _) => Some(Command::Uidl(None)),
        (b"UIDL", Some(n), None) => number(n).map(|n| Command::Uidl(Some(n))),
        (b"USER", Some(name), None) => Some(Command::User(name)),
        (b"DELE" | b"PASS" | b"RETR" | b"TOP" | b"USER", ..) => None,
        (b"CAPA" | b"LIST" | b"NOOP" | b"QUIT" | b"RSET" | b"STAT" | b"STLS" | b"UIDL", ..) => None,
        _ => return Command::Unknown,
    };
    command
        .filter(|_| third.is_none())
        .unwrap_or(Command::Syntax)
}

/// Reads the one message of PLAIN, in base64 (RFC 4616 §2, RFC 5034 §4).
pub(crate) fn read_plain(answer: &[u8]) -> Option<Credentials> {
    let message = BASE64_STANDARD.decode(answer).ok()?;
    Credentials::from_plain(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        assert_eq!(read(b"top 1 0"), Command::Top(1, 0));
        assert_eq!(read(b"PASS a b  c"), Command::Pass("a b  c"));
        assert_eq!(read(b"List"), Command::List(None));
        assert_eq!(read(b"UIDL 2"), Command::Uidl(Some(2)));
        assert_eq!(read(b"AUTH"), Command::Auth(None, None));
        assert_eq!(
            read(b"AUTH PLAIN AGE="),
            Command::Auth(Some("PLAIN"), Some("AGE="))
        );
    }

    #[test]
    fn wrong_arguments_and_unknown_commands_are_told_apart() {
        for wrong in [
            "RETR",
            "RETR x",
            "RETR -1",
            "DELE 1 2",
            "NOOP x",
            "TOP 1",
            "TOP 1 2 3",
            "USER",
        ] {
            assert_eq!(read(wrong.as_bytes()), Command::Syntax, "{wrong}");
        }
        for unknown in ["", "APOP a b", "XTND", "RETRIEVE 1", "\u{e9}"] {
            assert_eq!(read(unknown.as_bytes()), Command::Unknown, "{unknown}");
        }
        assert_eq!(read(b"\xff"), Command::Unknown);
        assert_eq!(read(b"USER a\0"), Command::Syntax);
        assert_eq!(read(b"RETR 99999999999999999999999"), Command::Syntax);
    }
}
