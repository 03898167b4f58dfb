//! What a peer offers.

use mail::Reply;

/// The reply to EHLO, as far as this client uses it (RFC 5321 §4.1.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Capabilities {
    pub(super) auth_login: bool,
    pub(super) auth_plain: bool,
    pub(super) chunking: bool,
    pub(super) dsn: bool,
    pub(super) eight_bit_mime: bool,
    pub(super) pipelining: bool,
    /// Longest message in octets; `None` if the peer names no limit (RFC 1870 §4).
    pub(super) size_max: Option<u64>,
    /// Whether SIZE is known at all.
    pub(super) size: bool,
    pub(super) starttls: bool,
}

impl Capabilities {
    /// Reads them; the first line is the peer's name.
    pub(super) fn read(reply: &Reply) -> Self {
        let mut all = Self::default();
        for line in reply.text().split('\n').skip(1) {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "8BITMIME" => all.eight_bit_mime = true,
                "AUTH" => words.for_each(|mechanism| {
                    all.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    all.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                }),
                "CHUNKING" => all.chunking = true,
                "DSN" => all.dsn = true,
                "PIPELINING" => all.pipelining = true,
                "SIZE" => {
                    all.size = true;
                    let size = words.next().and_then(|size| size.parse().ok());
                    all.size_max = size.filter(|&size| size > 0);
                }
                "STARTTLS" => all.starttls = true,
                _ => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_known_in_any_case_and_the_greeting_is_none() {
        let text = "pipelining greets you\nsize 1000\nSTARTTLS\nauth plain XOAUTH2\nX-ODD a b\n";
        let all = Capabilities::read(&Reply::new(250, None, text));
        let expected = Capabilities {
            auth_plain: true,
            size: true,
            size_max: Some(1000),
            starttls: true,
            ..Capabilities::default()
        };
        assert_eq!(all, expected);
    }
}
