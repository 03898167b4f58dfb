//! The exchange of AUTH: challenges and answers in base64 (RFC 4954 §4).

use base64::{Engine, prelude::BASE64_STANDARD};
use mail::{Credentials, Secret};

use crate::Mechanism;

/// How far an exchange has come: what is awaited.
#[derive(Clone, Debug)]
pub(super) enum Exchange {
    /// The password of this user.
    LoginPassword(String),
    /// The user's name.
    LoginUser,
    /// The one message of PLAIN.
    Plain,
}

/// What follows from an answer.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Ask for more: the text of a 334 reply.
    Ask(&'static str),
    /// This is who wants in.
    Judge(Credentials),
    /// The answer is not base64, or not what the mechanism wants.
    Malformed,
}

impl Exchange {
    pub(super) const fn begin(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Login => Self::LoginUser,
            Mechanism::Plain => Self::Plain,
        }
    }

    /// The challenge for what is awaited first.
    pub(super) const fn challenge(&self) -> &'static str {
        match self {
            Self::LoginPassword(_) => PASSWORD,
            Self::LoginUser => USER_NAME,
            Self::Plain => "",
        }
    }

    /// Hears an answer, still in base64.
    pub(super) fn hear(&mut self, answer: &[u8]) -> Next {
        // RFC 4954 §4: `=` is an answer of no octets, where there must be something on the line.
        let answer = if answer == b"=" { b"" } else { answer };
        let Ok(answer) = BASE64_STANDARD.decode(answer) else {
            return Next::Malformed;
        };
        if matches!(self, Self::Plain) {
            return Credentials::from_plain(&answer).map_or(Next::Malformed, Next::Judge);
        }
        let Ok(text) = String::from_utf8(answer) else {
            return Next::Malformed;
        };
        if text.is_empty() || text.contains('\0') {
            return Next::Malformed;
        }
        match self {
            Self::LoginPassword(authcid) => Next::Judge(Credentials {
                authzid: None,
                authcid: std::mem::take(authcid),
                password: Secret::new(text),
            }),
            Self::LoginUser | Self::Plain => {
                *self = Self::LoginPassword(text);
                Next::Ask(self.challenge())
            }
        }
    }
}

/// `Username:` in base64, as every client of LOGIN expects it.
const USER_NAME: &str = "VXNlcm5hbWU6";

/// `Password:` in base64.
const PASSWORD: &str = "UGFzc3dvcmQ6";
