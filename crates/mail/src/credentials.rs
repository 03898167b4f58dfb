//! What a client proves itself by.

use std::fmt;

/// A text that is never shown: no log, no report and no crash dump holds it.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

/// Who wants in, and by which password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    /// As whom the client wants to act, if not as itself.
    pub authzid: Option<String>,
    /// Whose password it is.
    pub authcid: String,
    /// The password.
    pub password: Secret,
}

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Credentials {
    /// Reads the one message of the mechanism PLAIN, already freed of base64 (RFC 4616 §2):
    /// `[authzid] NUL authcid NUL password`. `None` if it is not one.
    #[must_use]
    pub fn from_plain(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let mut parts = text.split('\0');
        let (authzid, authcid, password) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || authcid.is_empty() || password.is_empty() {
            return None;
        }
        Some(Self {
            authzid: (!authzid.is_empty() && authzid != authcid).then(|| authzid.to_owned()),
            authcid: authcid.to_owned(),
            password: Secret::new(password),
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_plain_has_exactly_three_parts() {
        let ann = Credentials::from_plain(b"\0ann\0secret").unwrap();
        assert_eq!((ann.authcid.as_str(), ann.authzid), ("ann", None));
        assert_eq!(ann.password.expose(), "secret");
        let other = Credentials::from_plain(b"bob\0ann\0secret").unwrap();
        assert_eq!(other.authzid.as_deref(), Some("bob"));
        for wrong in [
            &b"ann"[..],
            b"\0ann",
            b"\0\0x",
            b"\0ann\0",
            b"\0a\0b\0c",
            b"\0\xff\0x",
        ] {
            assert_eq!(Credentials::from_plain(wrong), None);
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let ann = Credentials::from_plain(b"\0ann\0secret").unwrap();
        assert!(!format!("{ann:?}").contains("secret"));
    }
}
