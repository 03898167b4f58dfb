//! What changes messages: STORE, COPY, MOVE, EXPUNGE.

use imap::{Code, Ranges, Reply, SequenceSet, Store, StoreHow, Transfer, UidList};
use mail::{Flags, MailboxId, Uid};
use store::port::{Copied, FlagChange, FlagsHow, MessageFlags};

use super::{actor::ImapSessionState, failure::Failure, fetch::closed};
use crate::contract::{CopyRequest, ExpungeRequest, FlagRequest, MailboxMsg};

impl ImapSessionState {
    pub(super) async fn store(&mut self, store: Store) -> Result<Reply, Failure> {
        let Some(opened) = &self.opened else {
            return Ok(closed());
        };
        let which = opened.resolve(store.uid, &store.set)?;
        let uids: Vec<Uid> = opened.view.messages(&which).map(|(_, uid)| uid).collect();
        let is_gone = uids.iter().any(|&uid| opened.view.is_gone(uid));
        if uids.is_empty() {
            return Ok(Reply::ok("there is no such message"));
        }
        let change = FlagChange {
            how: match store.how {
                StoreHow::Add => FlagsHow::Add,
                StoreHow::Remove => FlagsHow::Remove,
                StoreHow::Replace => FlagsHow::Replace,
            },
            flags: store.flags.flags,
            keywords: store.flags.keywords,
        };
        self.told = self.flag(uids, change).await?;
        if !store.silent {
            self.tell_flags(&which, store.uid).await?;
        }
        Ok(match is_gone {
            true => Reply::ok("some messages are there no longer").with(Code::ExpungeIssued),
            false => Reply::ok("changed"),
        })
    }

    /// How the flags of these messages stand (RFC 3501 §6.4.6); says how many it has told.
    pub(super) async fn tell_flags(
        &mut self,
        which: &Ranges,
        with_uid: bool,
    ) -> Result<u64, Failure> {
        self.learn_keywords()?;
        let mail = self.args.mail.clone();
        let Some(opened) = &self.opened else {
            return Ok(0);
        };
        let (mut rows, mut told) = (opened.rows(which), 0);
        loop {
            let batch = rows.next_flags(&*mail, opened)?;
            if batch.is_empty() {
                return Ok(told);
            }
            for message in &batch {
                if let Some(sequence) = opened.view.sequence(message.uid) {
                    opened.tell_flags(&mut self.out.buffer, sequence, message, with_uid);
                    told += 1;
                }
            }
            self.out.relieve().await?;
        }
    }

    /// Has flags changed; yields those that really did.
    pub(super) async fn flag(
        &mut self,
        uids: Vec<Uid>,
        change: FlagChange,
    ) -> Result<Vec<MessageFlags>, Failure> {
        let Some(opened) = &mut self.opened else {
            return Ok(Vec::new());
        };
        opened.dirty = true;
        let mailbox = opened.id;
        let request = FlagRequest {
            mailbox,
            uids,
            change,
            unchanged_since: None,
        };
        let (changed, _) = self.ask(|port| MailboxMsg::Flag(request, port)).await?;
        Ok(changed)
    }

    pub(super) async fn copy(&mut self, transfer: Transfer) -> Result<Reply, Failure> {
        Ok(match self.transfer(&transfer, false).await? {
            Some(copied) => Reply::ok("copied").with(code(&copied)),
            None => Reply::ok("there is no such message"),
        })
    }

    /// The new UIDs are told before the messages go (RFC 6851 §4.3).
    pub(super) async fn move_messages(&mut self, transfer: Transfer) -> Result<Reply, Failure> {
        let Some(copied) = self.transfer(&transfer, true).await? else {
            return Ok(Reply::ok("there is no such message"));
        };
        Reply::ok("moved")
            .with(code(&copied))
            .write_to("", &mut self.out.buffer);
        Ok(Reply::ok("moved"))
    }

    async fn transfer(
        &mut self,
        transfer: &Transfer,
        moving: bool,
    ) -> Result<Option<Copied>, Failure> {
        let Some(opened) = &self.opened else {
            return Err(closed().into());
        };
        let (from, account) = (opened.id, opened.account);
        let which = opened.resolve(transfer.uid, &transfer.set)?;
        let uids: Vec<Uid> = opened.view.messages(&which).map(|(_, uid)| uid).collect();
        let target = self
            .args
            .mail
            .mailbox_named(account, transfer.to.as_str())?;
        let Some(target) = target else {
            return Err(no_target().into());
        };
        if uids.is_empty() {
            return Ok(None);
        }
        if let Some(opened) = &mut self.opened {
            opened.dirty = true;
        }
        let request = CopyRequest {
            from,
            uids,
            to: target.id,
            moving,
        };
        let copied: Copied = self.ask(|port| MailboxMsg::Copy(request, port)).await?;
        Ok((!copied.uids.is_empty()).then_some(copied))
    }

    /// EXPUNGE, UID EXPUNGE, and CLOSE of a mailbox that is open for writing.
    pub(super) async fn expunge(&mut self, set: Option<&SequenceSet>) -> Result<Reply, Failure> {
        let Some(opened) = &mut self.opened else {
            return Ok(closed());
        };
        opened.dirty = true;
        let (mailbox, account) = (opened.id, opened.account);
        let row = self.args.mail.mailbox(account, mailbox)?;
        if row.is_some_and(|row| row.deleted == 0) {
            return Ok(Reply::ok("nothing is deleted"));
        }
        let uids = self.deleted(set)?;
        if !uids.is_empty() {
            let request = ExpungeRequest {
                mailbox,
                uids,
                deleted_only: true,
            };
            self.ask(|port| MailboxMsg::Expunge(request, port)).await?;
        }
        Ok(Reply::ok("expunged"))
    }

    /// The messages that carry `\Deleted`, of all or of a set of UIDs.
    fn deleted(&self, set: Option<&SequenceSet>) -> Result<Vec<Uid>, Failure> {
        let Some(opened) = &self.opened else {
            return Ok(Vec::new());
        };
        let which = match set {
            Some(set) => opened.view.by_uid(set),
            None => opened.view.all(),
        };
        let (mut rows, mut uids) = (opened.rows(&which), Vec::new());
        loop {
            let batch = rows.next_flags(&*self.args.mail, opened)?;
            if batch.is_empty() {
                return Ok(uids);
            }
            let deleted = batch
                .iter()
                .filter(|row| row.flags.contains(Flags::DELETED));
            uids.extend(deleted.map(|row| row.uid));
        }
    }

    /// The mailbox that is open.
    pub(super) fn opened_id(&self) -> Option<MailboxId> {
        self.opened.as_ref().map(|opened| opened.id)
    }
}

/// RFC 3501 §6.4.7, §6.3.11.
pub(super) fn no_target() -> Reply {
    Reply::no("there is no such mailbox").with(Code::TryCreate)
}

fn code(copied: &Copied) -> Code {
    let (from, to) = copied.uids.iter().copied().unzip();
    Code::CopyUid(copied.uid_validity, UidList(from), UidList(to))
}
