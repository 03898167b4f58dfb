//! Writes commands as a client does, for clients and tests.

use mail::Flags;

use super::{
    Append, Command, FlagList, MailboxName, SearchKey, Store, StoreHow, Tag, Transfer, date,
    search::write_keys,
};
use crate::respond;

impl Command {
    /// Appends the command, line end included. Strings that need it become literals that do not
    /// wait (RFC 7888 §3).
    pub fn write_to(&self, tag: &Tag, out: &mut Vec<u8>) {
        out.extend_from_slice(tag.as_str().as_bytes());
        out.push(b' ');
        match self {
            Self::Check => out.extend_from_slice(b"CHECK"),
            Self::Close => out.extend_from_slice(b"CLOSE"),
            Self::Copy(transfer) => write_transfer("COPY ", transfer, out),
            Self::Create(name) => named("CREATE ", name, out),
            Self::Delete(name) => named("DELETE ", name, out),
            Self::Examine(name) => named("EXAMINE ", name, out),
            Self::Expunge(None) => out.extend_from_slice(b"EXPUNGE"),
            Self::Expunge(Some(set)) => {
                out.extend_from_slice(b"UID EXPUNGE ");
                set.write_to(out);
            }
            Self::Fetch(fetch) => {
                begin("FETCH ", fetch.uid, out);
                fetch.set.write_to(out);
                for (n, item) in fetch.items.iter().enumerate() {
                    out.extend_from_slice(if n == 0 { b" (" } else { b" " });
                    item.write_to(out);
                }
                out.push(b')');
            }
            Self::GetQuota(root) => {
                out.extend_from_slice(b"GETQUOTA ");
                respond::argument(out, root.as_bytes());
            }
            Self::GetQuotaRoot(name) => named("GETQUOTAROOT ", name, out),
            Self::List(list) => {
                out.extend_from_slice(b"LIST ");
                list.write_to(out);
            }
            Self::Lsub(list) => {
                out.extend_from_slice(b"LSUB ");
                list.write_to(out);
            }
            Self::Move(transfer) => write_transfer("MOVE ", transfer, out),
            Self::Noop => out.extend_from_slice(b"NOOP"),
            Self::Rename { from, to } => {
                named("RENAME ", from, out);
                out.push(b' ');
                mailbox(to, out);
            }
            Self::Search(search) => {
                begin("SEARCH CHARSET UTF-8 ", search.uid, out);
                match &search.key {
                    SearchKey::And(keys) => write_keys(keys, out),
                    key => key.write_to(out),
                }
            }
            Self::Select(name) => named("SELECT ", name, out),
            Self::Status(name, items) => {
                named("STATUS ", name, out);
                for (n, item) in items.iter().enumerate() {
                    out.extend_from_slice(if n == 0 { b" (" } else { b" " });
                    out.extend_from_slice(item.name().as_bytes());
                }
                out.push(b')');
            }
            Self::Store(store) => write_store(store, out),
            Self::Subscribe(name) => named("SUBSCRIBE ", name, out),
            Self::Unselect => out.extend_from_slice(b"UNSELECT"),
            Self::Unsubscribe(name) => named("UNSUBSCRIBE ", name, out),
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Append {
    /// Appends the command up to the message, whose octets and line end must follow.
    pub fn write_to(&self, tag: &Tag, out: &mut Vec<u8>) {
        out.extend_from_slice(tag.as_str().as_bytes());
        named(" APPEND ", &self.mailbox, out);
        out.push(b' ');
        self.flags.write_to(out);
        if let Some(date) = self.date {
            out.push(b' ');
            date::write_date_time(date, out);
        }
        out.extend_from_slice(format!(" {{{}+}}\r\n", self.octets).as_bytes());
    }
}

impl FlagList {
    fn write_to(&self, out: &mut Vec<u8>) {
        let system = Flags::NAMES
            .iter()
            .filter(|(flag, _)| self.flags.contains(*flag));
        let system = system.map(|(_, name)| *name);
        let names = system.chain(self.keywords.iter().map(mail::Keyword::as_str));
        out.push(b'(');
        for (n, name) in names.enumerate() {
            if n > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(name.as_bytes());
        }
        out.push(b')');
    }
}

fn begin(verb: &str, uid: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if uid { b"UID " } else { b"" });
    out.extend_from_slice(verb.as_bytes());
}

fn named(verb: &str, name: &MailboxName, out: &mut Vec<u8>) {
    out.extend_from_slice(verb.as_bytes());
    mailbox(name, out);
}

fn mailbox(name: &MailboxName, out: &mut Vec<u8>) {
    let mut wire = Vec::new();
    name.write_to(&mut wire);
    respond::argument(out, &wire);
}

fn write_transfer(verb: &str, transfer: &Transfer, out: &mut Vec<u8>) {
    begin(verb, transfer.uid, out);
    transfer.set.write_to(out);
    out.push(b' ');
    mailbox(&transfer.to, out);
}

fn write_store(store: &Store, out: &mut Vec<u8>) {
    begin("STORE ", store.uid, out);
    store.set.write_to(out);
    out.extend_from_slice(match store.how {
        StoreHow::Add => b" +FLAGS",
        StoreHow::Remove => b" -FLAGS",
        StoreHow::Replace => b" FLAGS",
    });
    out.extend_from_slice(if store.silent { b".SILENT " } else { b" " });
    store.flags.write_to(out);
}
