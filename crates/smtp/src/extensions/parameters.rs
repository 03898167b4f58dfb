//! What an extension is, and how the parameters of `MAIL` and `RCPT` find theirs.

use mail::{Enhanced, Reply};

use crate::{Mail, Rcpt, server::Config};

use super::TABLE;

/// An extension of ESMTP.
pub(crate) struct Extension {
    /// Whether a session in that state may use it.
    pub(crate) offered: fn(&Offer<'_>) -> bool,
    /// Appends its line in the reply to EHLO, without code and CRLF.
    pub(crate) line: fn(&Offer<'_>, &mut Vec<u8>),
    /// The parameters that it brings to `MAIL`.
    pub(crate) mail: &'static [Parameter<Mail>],
    /// The parameters that it brings to `RCPT`.
    pub(crate) rcpt: &'static [Parameter<Rcpt>],
}

/// A parameter of a command.
pub(crate) struct Parameter<T> {
    /// Its keyword in upper case.
    pub(crate) keyword: &'static str,
    /// Takes its value into the command, or says what is wrong with it.
    pub(crate) take: fn(&mut T, Option<&str>, &Offer<'_>) -> Result<(), Reply>,
}

/// What decides which extensions a session is offered.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'a> {
    /// The listener's configuration.
    pub(crate) config: &'a Config,
    /// Whether TLS is active.
    pub(crate) tls: bool,
    /// Whether the client has logged in.
    pub(crate) authenticated: bool,
}

/// Reads what follows the path of `MAIL`.
pub(crate) fn read_mail(mail: &mut Mail, text: &[u8], offer: &Offer<'_>) -> Result<(), Reply> {
    read(mail, text, offer, |extension| extension.mail)
}

/// Reads what follows the path of `RCPT`.
pub(crate) fn read_rcpt(rcpt: &mut Rcpt, text: &[u8], offer: &Offer<'_>) -> Result<(), Reply> {
    read(rcpt, text, offer, |extension| extension.rcpt)
}

/// `esmtp-param *(SP esmtp-param)` (RFC 5321 §4.1.2).
fn read<T>(
    target: &mut T,
    text: &[u8],
    offer: &Offer<'_>,
    of: fn(&Extension) -> &'static [Parameter<T>],
) -> Result<(), Reply> {
    if text.is_empty() {
        return Ok(());
    }
    let text = std::str::from_utf8(text).map_err(|_| syntax())?;
    let mut seen = 0_u64;
    for word in text.split_ascii_whitespace() {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let mut known = TABLE
            .iter()
            .filter(|extension| (extension.offered)(offer))
            .flat_map(of)
            .enumerate();
        let (number, parameter) = known
            .find(|(_, parameter)| parameter.keyword.eq_ignore_ascii_case(keyword))
            .ok_or_else(unknown)?;
        if seen & 1 << number != 0 {
            return Err(syntax());
        }
        seen |= 1 << number;
        (parameter.take)(target, value, offer)?;
    }
    Ok(())
}

/// A known parameter whose value is wrong, or that is there twice (RFC 5321 §4.2.3).
pub(super) fn syntax() -> Reply {
    Reply::new(501, Enhanced(5, 5, 4), "parameter with a wrong value")
}

/// RFC 5321 §4.1.1.11.
fn unknown() -> Reply {
    Reply::new(555, Enhanced(5, 5, 4), "unknown parameter")
}
