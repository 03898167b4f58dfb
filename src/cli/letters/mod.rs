//! Mail on its way in and out: from backups, Maildirs, mbox files and IMAP servers into accounts,
//! and out of accounts into Maildirs and mbox files.
//!
//! A [`Source`] has folders with letters, a [`Sink`] takes them, and [`carry`] brings them over. What
//! is there already, by the digest of its octets, is not brought again: a run that was interrupted
//! is run again, and nothing is doubled. [`survey`] says beforehand who has no room for all of it.

mod account;
mod backup;
mod carry;
mod imap;
mod imap_wire;
mod letter;
mod maildir;
mod mbox;
mod mbox_form;
mod names;
mod seen;
mod survey;

pub(super) use account::{AccountSink, AccountSource};
pub(super) use backup::{BackupSource, Choice};
pub(super) use carry::carry;
pub(super) use imap::{ImapSource, Server};
pub(super) use letter::{Folder, Letter, Sink, Source};
pub(super) use maildir::{MaildirSink, MaildirSource};
pub(super) use mbox::{MboxSink, MboxSource};
pub(super) use survey::survey;
