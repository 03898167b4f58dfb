//! PLAIN and LOGIN, as exchanges of lines (RFC 4616, RFC 3501 §6.2.2, RFC 4959).

use base64::{Engine, engine::general_purpose::STANDARD};
use mail::{Credentials, Secret};

/// An exchange that is under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Exchange {
    LoginPassword { user: String },
    LoginUser,
    Plain,
}

/// What follows from a client's line.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// Ask this, in base64.
    Ask(Exchange, &'static str),
    /// It is no response of the mechanism.
    Bad(&'static str),
    Done(Credentials),
}

impl Exchange {
    /// The beginning of a mechanism of that name, in capitals, and its first question.
    pub(super) fn begin(mechanism: &str) -> Option<(Self, &'static str)> {
        match mechanism {
            "LOGIN" => Some((Self::LoginUser, USER)),
            "PLAIN" => Some((Self::Plain, "")),
            _ => None,
        }
    }

    /// Takes a line in base64. An initial response of `=` is an empty one (RFC 4959 §3).
    pub(super) fn hear(self, line: &[u8]) -> Heard {
        if line == b"*" {
            return Heard::Bad("cancelled"); // RFC 3501 §6.2.2
        }
        let line = if line == b"=" { b"" } else { line };
        let Ok(octets) = STANDARD.decode(line) else {
            return Heard::Bad("that is not base64");
        };
        if let Self::Plain = self {
            return match Credentials::from_plain(&octets) {
                Some(who) => Heard::Done(who),
                None => Heard::Bad("PLAIN wants three parts"),
            };
        }
        match (self, String::from_utf8(octets)) {
            (Self::LoginPassword { user }, Ok(password)) => Heard::Done(login(user, password)),
            (_, Ok(user)) => Heard::Ask(Self::LoginPassword { user }, PASSWORD),
            (_, Err(_)) => Heard::Bad("that is not UTF-8"),
        }
    }
}

/// A name and its password.
pub(super) fn login(user: String, password: String) -> Credentials {
    Credentials {
        authzid: None,
        authcid: user,
        password: Secret::new(password),
    }
}

/// `Username:`
const USER: &str = "VXNlcm5hbWU6";
/// `Password:`
const PASSWORD: &str = "UGFzc3dvcmQ6";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_has_three_parts() {
        let hear = |line: &str| Exchange::Plain.hear(line.as_bytes());
        let ann = login("ann".to_owned(), "secret".to_owned());
        assert_eq!(hear("AGFubgBzZWNyZXQ="), Heard::Done(ann));
        assert!(matches!(hear("YW5u"), Heard::Bad(_)));
        assert!(matches!(hear("!"), Heard::Bad(_)));
        assert!(matches!(hear("*"), Heard::Bad(_)));
        assert!(matches!(hear("="), Heard::Bad(_)));
    }

    #[test]
    fn login_asks_twice() {
        let Heard::Ask(exchange, PASSWORD) = Exchange::LoginUser.hear(b"YW5u") else {
            panic!("the password comes second")
        };
        let ann = login("ann".to_owned(), "secret".to_owned());
        assert_eq!(exchange.hear(b"c2VjcmV0"), Heard::Done(ann));
    }
}
