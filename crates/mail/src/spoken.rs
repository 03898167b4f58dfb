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
