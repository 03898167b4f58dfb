//! One command line, read: the grammar of RFC 5321 §4.1.1 without any order or policy.

/// A command and what follows its verb.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Command<'a> {
    Auth(&'a [u8]),
    Data(&'a [u8]),
    Ehlo(&'a [u8]),
    /// A request of HTTP that has a body: somebody makes a browser say commands in it.
    Foreign,
    Helo(&'a [u8]),
    Help,
    Lhlo(&'a [u8]),
    /// What follows `FROM:`.
    Mail(&'a [u8]),
    Noop,
    Quit(&'a [u8]),
    /// What follows `TO:`.
    Rcpt(&'a [u8]),
    Rset(&'a [u8]),
    StartTls(&'a [u8]),
    /// `MAIL` or `RCPT` without its `FROM:` or `TO:`, or an octet that no command holds.
    Syntax,
    Unknown,
    /// Known from some RFC, and not spoken here.
    Unspoken,
    Vrfy(&'a [u8]),
}

/// Reads a line without its CRLF. Case means nothing in a verb (RFC 5321 §2.4).
pub(crate) fn read(line: &[u8]) -> Command<'_> {
    if line
        .iter()
        .any(|octet| octet.is_ascii_control() && *octet != b'\t')
    {
        return Command::Syntax;
    }
    let end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let (verb, rest) = (&line[..end], line[end..].trim_ascii());
    let mut upper = [0_u8; VERB_OCTETS_MAX];
    let Some(upper) = upper.get_mut(..verb.len()) else {
        return Command::Unknown;
    };
    upper.copy_from_slice(verb);
    upper.make_ascii_uppercase();
    match &*upper {
        b"AUTH" => Command::Auth(rest),
        b"DATA" => Command::Data(rest),
        b"EHLO" => Command::Ehlo(rest),
        b"HELO" => Command::Helo(rest),
        b"HELP" => Command::Help,
        b"LHLO" => Command::Lhlo(rest),
        b"MAIL" => after(rest, b"FROM:").map_or(Command::Syntax, Command::Mail),
        b"NOOP" => Command::Noop,
        b"QUIT" => Command::Quit(rest),
        b"RCPT" => after(rest, b"TO:").map_or(Command::Syntax, Command::Rcpt),
        b"RSET" => Command::Rset(rest),
        b"STARTTLS" => Command::StartTls(rest),
        b"VRFY" => Command::Vrfy(rest),
        b"BDAT" | b"ETRN" | b"EXPN" | b"SAML" | b"SEND" | b"SOML" | b"TURN" => Command::Unspoken,
        b"CONNECT" | b"POST" | b"PUT" => Command::Foreign,
        _ => Command::Unknown,
    }
}

/// What follows `keyword`, in any case.
fn after<'a>(text: &'a [u8], keyword: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then_some(rest)
}

/// The longest verb is `STARTTLS`.
const VERB_OCTETS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_known_in_any_case_and_arguments_lose_their_edges() {
        assert_eq!(
            read(b"mail FROM:<a@b> SIZE=1 "),
            Command::Mail(b"<a@b> SIZE=1")
        );
        assert_eq!(read(b"RCPT To: <a@b>"), Command::Rcpt(b" <a@b>"));
        assert_eq!(read(b"EHLO  x"), Command::Ehlo(b"x"));
        assert_eq!(read(b"rset"), Command::Rset(b""));
        assert_eq!(read(b"NOOP whatever"), Command::Noop);
    }

    #[test]
    fn what_is_no_command_is_told_apart() {
        assert_eq!(read(b""), Command::Unknown);
        assert_eq!(read(b"MAILFROM:<a@b>"), Command::Unknown);
        assert_eq!(read(b"MAIL <a@b>"), Command::Syntax);
        assert_eq!(read(b"NOOP \0"), Command::Syntax);
        assert_eq!(read(b"NOOP a\rb"), Command::Syntax);
        assert_eq!(read(b"EXPN staff"), Command::Unspoken);
        assert_eq!(read(b"POST / HTTP/1.1"), Command::Foreign);
    }
}
