//! What concerns mailboxes as a whole: SELECT, LIST, STATUS, CREATE and their kin.

use std::collections::HashMap;

use imap::{Code, ListCommand, MailboxName, Reply, StatusItem, list, respond};
use mail::{AccountId, MailboxId};
use store::port::{MailboxRow, NewMailbox, SpecialUse, UidRange};

use super::{actor::ImapSessionState, failure::Failure, opened::Opened};
use crate::contract::MailboxMsg;

impl ImapSessionState {
    /// SELECT and EXAMINE.
    pub(super) async fn select(
        &mut self,
        name: &MailboxName,
        read_only: bool,
    ) -> Result<Reply, Failure> {
        self.leave();
        let account = self.account()?;
        let mut row = self.existing(account, name)?;
        let watch = self.watch(row.id).await;
        if let Some((_, fresh)) = &watch {
            row = fresh.clone(); // nothing that happened since can be missed
        }
        let mut recent_from = row.recent_from;
        if !read_only && row.recent_from < row.uid_next {
            // Who does not learn what is recent sees what the row says: two may see it.
            let taken = self.ask(|port| MailboxMsg::Recent(row.id, port)).await;
            recent_from = taken.unwrap_or(recent_from);
        }
        let mail = self.args.mail.clone();
        let (mut opened, first_unseen) =
            Opened::read(&*mail, account, &row, recent_from, read_only)?;
        if watch.is_none() {
            self.ask_later(row.id); // or whoever idles would hear nothing
        }
        opened.watch = watch.map(|(watch, _)| watch);
        respond::select(
            &mut self.out.buffer,
            &respond::SelectData {
                exists: opened.view.exists(),
                recent: opened.view.recent_count(),
                first_unseen,
                uid_next: row.uid_next,
                uid_validity: row.uid_validity,
                keywords: row.keywords.iter().map(mail::Keyword::as_str).collect(),
                read_only,
                new_keywords: row.keywords.len() < KEYWORDS_MAX,
            },
        );
        self.opened = Some(opened);
        Ok(Reply::ok("it is open"))
    }

    /// The mailbox that was open is so no longer.
    pub(super) fn leave(&mut self) {
        self.opened = None; // and the mailbox actor hears that the watch is over
    }

    /// CLOSE expunges without a word; UNSELECT does not (RFC 3501 §6.4.2, RFC 3691 §2).
    pub(super) async fn close(&mut self) -> Result<Reply, Failure> {
        if self.opened.as_ref().is_some_and(|opened| !opened.read_only) {
            self.expunge(None).await?;
        }
        self.leave();
        Ok(Reply::ok("closed"))
    }

    pub(super) fn list(&mut self, command: &ListCommand) -> Result<Reply, Failure> {
        if command.patterns.is_empty() {
            list::write_separator(&mut self.out.buffer, "LIST");
            return Ok(Reply::ok("that is the separator"));
        }
        let account = self.account()?;
        let rows = self.args.mail.mailboxes(account)?;
        let subscribed = match command.select.subscribed || command.tell.subscribed {
            true => self.args.mail.subscriptions(account)?,
            false => Vec::new(),
        };
        let mailboxes: Vec<_> = rows
            .iter()
            .map(|row| list::Mailbox {
                name: &row.name,
                special_use: row.special_use.map(role),
            })
            .collect();
        let subscribed: Vec<&str> = subscribed.iter().map(String::as_str).collect();
        let by_name: HashMap<&str, &MailboxRow> =
            rows.iter().map(|row| (row.name.as_str(), row)).collect();
        for entry in list::list(command, &mailboxes, &subscribed) {
            list::write(&mut self.out.buffer, "LIST", &entry);
            let row = by_name
                .get(entry.name.as_str())
                .filter(|_| entry.selectable);
            if let Some(row) = row.filter(|_| !command.tell.status.is_empty()) {
                self.tell_status(account, &entry.name, row, &command.tell.status)?;
            }
        }
        Ok(Reply::ok("that is all"))
    }

    pub(super) fn lsub(&mut self, command: &ListCommand) -> Result<Reply, Failure> {
        if command.patterns.is_empty() {
            list::write_separator(&mut self.out.buffer, "LSUB");
            return Ok(Reply::ok("that is the separator"));
        }
        let subscribed = self.args.mail.subscriptions(self.account()?)?;
        let subscribed: Vec<&str> = subscribed.iter().map(String::as_str).collect();
        for entry in list::lsub(command, &subscribed) {
            list::write(&mut self.out.buffer, "LSUB", &entry);
        }
        Ok(Reply::ok("that is all"))
    }

    pub(super) fn status(
        &mut self,
        name: &MailboxName,
        items: &[StatusItem],
    ) -> Result<Reply, Failure> {
        let account = self.account()?;
        let row = self.existing(account, name)?;
        self.tell_status(account, name, &row, items)?;
        Ok(Reply::ok("that is how it stands"))
    }

    fn tell_status(
        &mut self,
        account: AccountId,
        name: &MailboxName,
        row: &MailboxRow,
        items: &[StatusItem],
    ) -> Result<(), Failure> {
        let mut values = Vec::with_capacity(items.len());
        for &item in items {
            let value = match item {
                StatusItem::Deleted => row.deleted.into(),
                StatusItem::DeletedStorage => self.deleted_octets(account, row)?,
                StatusItem::Messages => row.messages.into(),
                StatusItem::Recent => self.recent(account, row)?.into(),
                StatusItem::UidNext => row.uid_next.get().into(),
                StatusItem::UidValidity => row.uid_validity.get().into(),
                StatusItem::Unseen => row.unseen.into(),
            };
            values.push((item, value));
        }
        respond::status(&mut self.out.buffer, name, values);
        Ok(())
    }

    /// The octets of the messages that EXPUNGE would remove.
    fn deleted_octets(&self, account: AccountId, row: &MailboxRow) -> Result<u64, Failure> {
        let mut octets = 0;
        if row.deleted > 0 {
            let all = UidRange::ALL;
            self.args
                .mail
                .messages(account, row.id, all, &mut |message| {
                    if message.flags.contains(mail::Flags::DELETED) {
                        octets += message.body.octets;
                    }
                    true
                })?;
        }
        Ok(octets)
    }

    /// How many messages no session has seen as recent.
    fn recent(&self, account: AccountId, row: &MailboxRow) -> Result<u32, Failure> {
        let mut count = 0;
        if row.recent_from < row.uid_next {
            let range = UidRange {
                first: row.recent_from,
                ..UidRange::ALL
            };
            self.args.mail.flags(account, row.id, range, &mut |_| {
                count += 1;
                true
            })?;
        }
        Ok(count)
    }

    pub(super) async fn create(&mut self, name: &MailboxName) -> Result<Reply, Failure> {
        check(name)?;
        let new = NewMailbox {
            name: name.as_str().to_owned(),
            special_use: None,
            subscribe: false,
        };
        self.ask(|port| MailboxMsg::Create(new, port)).await?;
        Ok(Reply::ok("created"))
    }

    pub(super) async fn delete(&mut self, name: &MailboxName) -> Result<Reply, Failure> {
        if name.is_inbox() {
            return Ok(Reply::no("the INBOX stays").with(Code::Cannot));
        }
        let id = self.existing(self.account()?, name)?.id;
        if let Err(failure) = self.ask(|port| MailboxMsg::Delete(id, port)).await
            && self.row(id)?.is_some()
        {
            return Err(failure); // without an answer it may still have been done
        }
        if self.opened_id() == Some(id) {
            self.leave();
            self.server.deselect();
        }
        Ok(Reply::ok("deleted"))
    }

    pub(super) async fn rename(
        &mut self,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Reply, Failure> {
        check(to)?;
        let id = self.existing(self.account()?, from)?.id;
        let below = to.as_str().strip_prefix(from.as_str());
        if !from.is_inbox() && below.is_some_and(|rest| rest.starts_with('/')) {
            return Ok(Reply::no("a mailbox cannot move below itself").with(Code::Cannot));
        }
        let to = to.as_str().to_owned();
        if let Some(opened) = &mut self.opened {
            opened.dirty = true; // renaming the INBOX takes its messages away
        }
        self.ask(|port| MailboxMsg::Rename(id, to, port)).await?;
        Ok(Reply::ok("renamed"))
    }

    pub(super) async fn subscribe(
        &mut self,
        name: &MailboxName,
        on: bool,
    ) -> Result<Reply, Failure> {
        if on {
            check(name)?;
        }
        let name = name.as_str().to_owned();
        self.ask(|port| MailboxMsg::Subscribe(name, on, port))
            .await?;
        Ok(Reply::ok(if on { "subscribed" } else { "unsubscribed" }))
    }

    pub(super) fn existing(
        &self,
        account: AccountId,
        name: &MailboxName,
    ) -> Result<MailboxRow, Failure> {
        let row = self.args.mail.mailbox_named(account, name.as_str())?;
        row.ok_or_else(|| {
            Reply::no("there is no such mailbox")
                .with(Code::NonExistent)
                .into()
        })
    }

    /// Whether the mailbox with that number is still there.
    pub(super) fn row(&self, id: MailboxId) -> Result<Option<MailboxRow>, Failure> {
        Ok(self.args.mail.mailbox(self.account()?, id)?)
    }
}

fn check(name: &MailboxName) -> Result<(), Failure> {
    let wrong = |error: imap::NameError| {
        Reply::no("")
            .saying(error.to_string())
            .with(Code::Cannot)
            .into()
    };
    name.check().map_err(wrong)
}

/// RFC 6154 §2.
const fn role(role: SpecialUse) -> &'static str {
    match role {
        SpecialUse::All => "\\All",
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Flagged => "\\Flagged",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
    }
}

/// As many as a mailbox can have.
const KEYWORDS_MAX: usize = 64;
