//! Writes whole responses, but for FETCH (RFC 3501 §7).

use mail::{Flags, Uid, UidValidity};

use super::{astring, flags, mailbox, number, words::text};
use crate::{Ranges, StatusItem, codec::MailboxName, reply::Reply};

/// `* 12 EXISTS`, and the same for `RECENT` and `EXPUNGE`.
pub fn numbered(out: &mut Vec<u8>, n: u32, what: &str) {
    out.extend_from_slice(b"* ");
    number(out, u64::from(n));
    out.push(b' ');
    out.extend_from_slice(what.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* OK …`, `* NO …`: a reply to no command.
pub fn untagged(out: &mut Vec<u8>, reply: &Reply) {
    reply.write_to("", out);
}

/// `+ …`: go on.
pub fn go_on(out: &mut Vec<u8>, words: &str) {
    out.extend_from_slice(b"+ ");
    text(out, words);
    out.extend_from_slice(b"\r\n");
}

/// What SELECT and EXAMINE tell before their reply (RFC 3501 §6.3.1).
#[derive(Clone, Debug)]
pub struct SelectData<'a> {
    /// How many messages.
    pub exists: u32,
    /// How many of them are recent.
    pub recent: u32,
    /// The sequence number of the first that is not seen.
    pub first_unseen: Option<u32>,
    /// The next UID.
    pub uid_next: Uid,
    /// The generation of the UIDs.
    pub uid_validity: UidValidity,
    /// The keywords in use.
    pub keywords: Vec<&'a str>,
    /// Whether flags cannot be changed.
    pub read_only: bool,
    /// Whether new keywords can be used.
    pub new_keywords: bool,
}

/// What SELECT and EXAMINE tell before their reply (RFC 3501 §6.3.1).
pub fn select(out: &mut Vec<u8>, data: &SelectData<'_>) {
    flags_known(out, &data.keywords, data.read_only, data.new_keywords);
    numbered(out, data.exists, "EXISTS");
    numbered(out, data.recent, "RECENT");
    if let Some(unseen) = data.first_unseen {
        ok_number(out, "UNSEEN", unseen, "the first that is not seen");
    }
    ok_number(
        out,
        "UIDVALIDITY",
        data.uid_validity.get(),
        "the UIDs' generation",
    );
    ok_number(out, "UIDNEXT", data.uid_next.get(), "the next UID");
}

/// Which flags there are, and which of them can be changed for ever (RFC 3501 §7.2.6, §7.1).
pub fn flags_known(out: &mut Vec<u8>, keywords: &[&str], read_only: bool, new_keywords: bool) {
    out.extend_from_slice(b"* FLAGS ");
    flags(out, Flags::ALL, keywords.iter().copied(), false);
    out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS ");
    if read_only {
        out.extend_from_slice(b"()");
    } else {
        let any = new_keywords.then_some("\\*");
        flags(out, Flags::ALL, keywords.iter().copied().chain(any), false);
    }
    out.extend_from_slice(b"] what is kept\r\n");
}

fn ok_number(out: &mut Vec<u8>, code: &str, n: u32, words: &str) {
    out.extend_from_slice(b"* OK [");
    out.extend_from_slice(code.as_bytes());
    out.push(b' ');
    number(out, u64::from(n));
    out.extend_from_slice(b"] ");
    out.extend_from_slice(words.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* STATUS mailbox (…)`
pub fn status(
    out: &mut Vec<u8>,
    name: &MailboxName,
    items: impl IntoIterator<Item = (StatusItem, u64)>,
) {
    out.extend_from_slice(b"* STATUS ");
    mailbox(out, name);
    for (n, (item, value)) in items.into_iter().enumerate() {
        out.extend_from_slice(if n == 0 { b" (" } else { b" " });
        out.extend_from_slice(item.name().as_bytes());
        out.push(b' ');
        number(out, value);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* QUOTAROOT mailbox root…`
pub fn quota_root<'a>(
    out: &mut Vec<u8>,
    name: &MailboxName,
    roots: impl IntoIterator<Item = &'a str>,
) {
    out.extend_from_slice(b"* QUOTAROOT ");
    mailbox(out, name);
    for root in roots {
        out.push(b' ');
        astring(out, root.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// `* QUOTA root (STORAGE 10 512)`: each resource with how much of it is used, and its limit.
pub fn quota<'a>(
    out: &mut Vec<u8>,
    root: &str,
    resources: impl IntoIterator<Item = (&'a str, u64, u64)>,
) {
    out.extend_from_slice(b"* QUOTA ");
    astring(out, root.as_bytes());
    for (n, (resource, used, limit)) in resources.into_iter().enumerate() {
        out.extend_from_slice(if n == 0 { b" (" } else { b" " });
        out.extend_from_slice(resource.as_bytes());
        out.push(b' ');
        number(out, used);
        out.push(b' ');
        number(out, limit);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* SEARCH …`
pub fn search(out: &mut Vec<u8>, found: &Ranges) {
    out.extend_from_slice(b"* SEARCH");
    for n in found.iter() {
        out.push(b' ');
        number(out, u64::from(n));
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_selected_mailbox_is_described_line_by_line() {
        let data = SelectData {
            exists: 18,
            recent: 2,
            first_unseen: Some(17),
            uid_next: Uid::new(4392).unwrap(),
            uid_validity: UidValidity::new(3857529045).unwrap(),
            keywords: vec!["$Junk"],
            read_only: false,
            new_keywords: true,
        };
        let lines = said(|out| select(out, &data));
        assert_eq!(
            lines,
            "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen $Junk)\r\n\
             * OK [PERMANENTFLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen $Junk \\*)] what is kept\r\n\
             * 18 EXISTS\r\n* 2 RECENT\r\n* OK [UNSEEN 17] the first that is not seen\r\n\
             * OK [UIDVALIDITY 3857529045] the UIDs' generation\r\n* OK [UIDNEXT 4392] the next UID\r\n"
        );
    }

    #[test]
    fn what_is_limited_is_told_by_resource() {
        let resources = [("STORAGE", 10, 512), ("MESSAGE", 3, 20)];
        assert_eq!(
            said(|out| quota(out, "", resources)),
            "* QUOTA \"\" (STORAGE 10 512 MESSAGE 3 20)\r\n"
        );
        let inbox = MailboxName::new("INBOX");
        let roots = |roots: &[&'static str]| said(|out| quota_root(out, &inbox, roots.to_vec()));
        assert_eq!(roots(&[""]), "* QUOTAROOT INBOX \"\"\r\n");
        assert_eq!(roots(&[]), "* QUOTAROOT INBOX\r\n");
    }

    #[test]
    fn what_is_found_is_listed() {
        let found = [2, 84, 882].into_iter().collect();
        assert_eq!(said(|out| search(out, &found)), "* SEARCH 2 84 882\r\n");
        let items = [(StatusItem::Messages, 231), (StatusItem::UidNext, 44292)];
        assert_eq!(
            said(|out| status(out, &MailboxName::new("blurdybloop"), items)),
            "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n"
        );
    }
}
