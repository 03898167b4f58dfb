//! How a command ends: a status, a code for the client's program, a text for its user.

use std::borrow::Cow;

use mail::{Uid, UidValidity};

use crate::{Ranges, respond};

/// What is said at a command's end (RFC 3501 §7.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// Whether it was done.
    pub status: Status,
    /// What a program should know.
    pub code: Option<Code>,
    /// What a person should read. Line breaks are removed when it is written.
    pub text: Cow<'static, str>,
}

/// Whether a command was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Not understood, or not allowed now. Fault of the client.
    Bad,
    /// Understood, and refused or failed.
    No,
    /// Done.
    Ok,
}

/// A response code (RFC 3501 §7.1, RFC 5530 §3, RFC 4315 §3, RFC 4469 §4.2).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Code {
    /// The text must be shown to the user.
    Alert,
    /// The mailbox exists already.
    AlreadyExists,
    /// Where the appended messages are.
    AppendUid(UidValidity, Ranges),
    /// Who the client says it is could not be confirmed.
    AuthenticationFailed,
    /// The charset of a search is unknown; US-ASCII and UTF-8 are known.
    BadCharset,
    /// It can never be done.
    Cannot,
    /// What the server can do now; the machine fills it in.
    Capability(String),
    /// Where the copies are: the UIDs here, the UIDs there, in the same order.
    CopyUid(UidValidity, UidList, UidList),
    /// Some of it is damaged at our side.
    Corruption,
    /// Messages were named that another session has expunged.
    ExpungeIssued,
    /// The mailbox has children, and something must be done with them first.
    HasChildren,
    /// Someone else is using it.
    InUse,
    /// A limit of this server.
    Limit,
    /// There is no such mailbox.
    NonExistent,
    /// Not permitted.
    NoPerm,
    /// The account is full.
    OverQuota,
    /// Not without encryption.
    PrivacyRequired,
    /// The mailbox is open for reading.
    ReadOnly,
    /// The mailbox is open for reading and writing.
    ReadWrite,
    /// A bug of ours.
    ServerBug,
    /// Longer than we take.
    TooBig,
    /// The mailbox does not exist; creating it would help.
    TryCreate,
    /// It would work at another time.
    Unavailable,
}

/// UIDs in an order that means something (RFC 4315 §3): runs upwards are joined, no more.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UidList(pub Vec<Uid>);

impl Reply {
    /// Done.
    #[must_use]
    pub const fn ok(text: &'static str) -> Self {
        Self::new(Status::Ok, text)
    }

    /// Refused or failed.
    #[must_use]
    pub const fn no(text: &'static str) -> Self {
        Self::new(Status::No, text)
    }

    /// Not understood, or not allowed now.
    #[must_use]
    pub const fn bad(text: &'static str) -> Self {
        Self::new(Status::Bad, text)
    }

    const fn new(status: Status, text: &'static str) -> Self {
        Self {
            status,
            code: None,
            text: Cow::Borrowed(text),
        }
    }

    /// The same with a code.
    #[must_use]
    pub fn with(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// The same with another text.
    #[must_use]
    pub fn saying(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = text.into();
        self
    }

    /// Whether the command was done.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self.status, Status::Ok)
    }

    /// Appends the whole line; an empty `tag` is written as `*`.
    pub fn write_to(&self, tag: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(if tag.is_empty() { "*" } else { tag }.as_bytes());
        out.extend_from_slice(self.status.name().as_bytes());
        if let Some(code) = &self.code {
            out.push(b'[');
            code.write_to(out);
            out.extend_from_slice(b"] ");
        }
        respond::text(out, &self.text);
        out.extend_from_slice(b"\r\n");
    }
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Bad => " BAD ",
            Self::No => " NO ",
            Self::Ok => " OK ",
        }
    }
}

impl Code {
    fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::AppendUid(validity, uids) => {
                out.extend_from_slice(b"APPENDUID ");
                respond::number(out, u64::from(validity.get()));
                out.push(b' ');
                uids.write_to(out);
            }
            Self::Capability(list) => {
                out.extend_from_slice(b"CAPABILITY ");
                respond::text(out, list);
            }
            Self::CopyUid(validity, from, to) => {
                out.extend_from_slice(b"COPYUID ");
                respond::number(out, u64::from(validity.get()));
                out.push(b' ');
                from.write_to(out);
                out.push(b' ');
                to.write_to(out);
            }
            plain => out.extend_from_slice(plain.name().as_bytes()),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AppendUid(..) => "APPENDUID",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
            Self::Cannot => "CANNOT",
            Self::Capability(_) => "CAPABILITY",
            Self::CopyUid(..) => "COPYUID",
            Self::Corruption => "CORRUPTION",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

impl UidList {
    fn write_to(&self, out: &mut Vec<u8>) {
        let mut rest = self.0.as_slice();
        while let Some((first, _)) = rest.split_first() {
            let run = (0_u32..)
                .zip(rest)
                .take_while(|(n, uid)| first.get().checked_add(*n) == Some(uid.get()))
                .count();
            respond::range(out, first.get(), rest[run - 1].get());
            rest = &rest[run..];
            if !rest.is_empty() {
                out.push(b',');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tag: &str, reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(tag, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replies_are_one_line_whatever_their_text_holds() {
        let reply = Reply::no("x").saying("bad\r\na2 OK done".to_owned());
        assert_eq!(line("a1", &reply), "a1 NO bad  a2 OK done\r\n");
        let reply = Reply::ok("").with(Code::ReadOnly);
        assert_eq!(line("", &reply), "* OK [READ-ONLY] .\r\n");
    }

    #[test]
    fn the_order_of_copied_uids_is_kept() {
        let list = |uids: &[u32]| UidList(uids.iter().filter_map(|&uid| Uid::new(uid)).collect());
        let validity = UidValidity::new(38505).unwrap();
        let code = Code::CopyUid(validity, list(&[304, 319, 320]), list(&[3956, 3957, 3958]));
        assert_eq!(
            line("A", &Reply::ok("done").with(code)),
            "A OK [COPYUID 38505 304,319:320 3956:3958] done\r\n"
        );
    }
}
