//! What is new in the mailbox that is open: hints are heard, the store is read, the client is told.

use std::time::Duration;

use imap::respond;
use mail::{MailboxId, ModSeq};
use store::port::{Changes, MailStore, MailboxRow, UidRange};
use supervision::alarm;

use super::{actor::ImapSessionState, failure::Failure, opened::Opened};
use crate::{
    contract::{MailboxMsg, SessionMsg},
    session::watch::{DEAF, Watch},
};

impl ImapSessionState {
    /// A hint has come.
    pub(super) async fn changed(
        &mut self,
        mailbox: MailboxId,
        modseq: ModSeq,
    ) -> Result<(), Failure> {
        let Some(opened) = self.opened.as_mut().filter(|opened| opened.id == mailbox) else {
            return Ok(()); // it has been left meanwhile
        };
        if let Some(watch) = &opened.watch {
            watch.heard(); // before the store is read: what comes from now on is said again
        }
        if modseq != DEAF && modseq <= opened.view.modseq() {
            return Ok(()); // known already: whoever is woken looks before it listens
        }
        opened.dirty = true;
        if modseq == DEAF {
            self.again = None;
            self.watch_again(mailbox).await;
        }
        if self.idling.is_none() {
            return Ok(()); // it is told with the next command
        }
        self.news(true, false).await?;
        self.go_on().await
    }

    /// Tells the client what has happened in its mailbox. If that cannot be read now, it is told
    /// with the next command, or a little later if none is to be expected.
    pub(super) async fn news(&mut self, expunges: bool, by_uid: bool) -> Result<(), Failure> {
        match self.read_news(expunges, by_uid).await {
            Err(Failure::Refused(_)) => {
                if let Some(opened) = &mut self.opened {
                    opened.dirty = true;
                }
                if let (Some(id), Some(_)) = (self.opened_id(), &self.idling) {
                    self.ask_later(id);
                }
                Ok(())
            }
            told => told,
        }
    }

    async fn read_news(&mut self, expunges: bool, by_uid: bool) -> Result<(), Failure> {
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        if !opened.dirty && opened.watch.is_some() {
            opened.view.announce(expunges, &mut self.out.buffer);
            return Ok(());
        }
        opened.dirty = false;
        let (id, account) = (opened.id, opened.account);
        let Some(row) = self.row(id)? else {
            self.leave();
            self.server
                .bye("the mailbox has been removed", &mut self.out.buffer);
            return Ok(());
        };
        self.learn(&row);
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        let before = opened.view.last();
        if row.highest_modseq > opened.view.modseq() {
            let mail = &self.args.mail;
            let changes = match mail.changes(account, id, opened.view.modseq())? {
                Some(changes) => changes,
                None => everything(&**mail, opened, &row)?,
            };
            let mut known = Vec::new();
            let uids = changes.changed.iter().map(|message| message.uid);
            let expunged = changes.expunged.iter().copied();
            opened
                .view
                .apply(changes.highest, uids, expunged, |n, uid| {
                    known.push((n, uid));
                });
            let mut changed = changes.changed.iter();
            let mut told = self.told.iter().peekable();
            for (sequence, uid) in known {
                let Some(message) = changed.find(|message| message.uid == uid) else {
                    break;
                };
                while told.next_if(|told| told.uid < uid).is_some() {}
                if told.next_if(|told| *told == message).is_none() {
                    opened.tell_flags(&mut self.out.buffer, sequence, message, by_uid);
                    self.out.relieve().await?;
                }
            }
        }
        opened.view.announce(expunges, &mut self.out.buffer);
        let is_first = !opened.read_only && row.recent_from < row.uid_next;
        if is_first && opened.view.last() > before {
            if self.idling.is_some() {
                self.out.flush().await?; // that they are there is told before whose they are
                self.keep(); // and is not told again
            }
            self.claim_recent(id).await;
        }
        Ok(())
    }

    /// New messages are recent to the session that sees them first.
    async fn claim_recent(&mut self, id: MailboxId) {
        let taken = self.ask(|port| MailboxMsg::Recent(id, port)).await;
        if let (Ok(first), Some(opened)) = (taken, &mut self.opened) {
            opened.view.add_recent(first);
            opened.view.announce(false, &mut self.out.buffer);
        }
    }

    /// Keywords that the mailbox has learned are told before a message has them.
    pub(super) fn learn_keywords(&mut self) -> Result<(), Failure> {
        if let Some(id) = self.opened_id()
            && let Some(row) = self.row(id)?
        {
            self.learn(&row);
        }
        Ok(())
    }

    fn learn(&mut self, row: &MailboxRow) {
        let Some(opened) = &mut self.opened else {
            return;
        };
        if opened.keywords.len() != row.keywords.len() {
            opened.keywords.clone_from(&row.keywords);
            let names: Vec<&str> = row.keywords.iter().map(mail::Keyword::as_str).collect();
            let more = names.len() < KEYWORDS_MAX;
            respond::flags_known(&mut self.out.buffer, &names, opened.read_only, more);
        }
    }

    /// Asks for hints if nobody gives any: who idles needs them, others are told with their next
    /// command in any case.
    pub(super) async fn watch_if_deaf(&mut self) {
        let deaf = |opened: &&Opened| opened.watch.is_none();
        if let Some(id) = self.opened.as_ref().filter(deaf).map(|opened| opened.id) {
            self.watch_again(id).await;
        }
    }

    /// Asks the mailbox actor for hints, and once more a little later if it cannot be asked now.
    pub(super) async fn watch_again(&mut self, id: MailboxId) {
        let watch = self.watch(id).await;
        if watch.is_none() {
            self.ask_later(id);
        }
        if let Some(opened) = &mut self.opened {
            opened.watch = watch.map(|(watch, _)| watch);
            opened.dirty = true;
        }
    }

    /// Asks for hints a little later.
    pub(super) fn ask_later(&mut self, id: MailboxId) {
        let ask_again = SessionMsg::Changed(id, DEAF);
        self.again = Some(alarm(WATCH_AGAIN, &self.myself, ask_again));
    }

    /// From now on the mailbox actor gives hints; the mailbox as it stands.
    pub(super) async fn watch(&mut self, id: MailboxId) -> Option<(Watch, MailboxRow)> {
        if let Some(opened) = &mut self.opened {
            opened.watch = None; // before it is replaced, or its end would be taken for a crash
        }
        let number = self.connection.id();
        let (watch, watcher) = match &self.place_in_family {
            // Hints wake a session that sleeps.
            Some(context) => {
                let me = context.address();
                Watch::new(number, id, move |hint| me.tell(hint).is_ok())
            }
            None => {
                let me = self.myself.clone();
                Watch::new(number, id, move |hint| me.cast(hint).is_ok())
            }
        };
        let (mailboxes, account) = (self.args.mailboxes.clone(), self.account().ok()?);
        let watch = watch.until(move || {
            // Nobody there: nobody watches.
            let _ = mailboxes.tell(&account, MailboxMsg::Unwatch(number));
        });
        let row = self.ask(|port| MailboxMsg::Watch(id, watcher, port)).await;
        let row = row.ok()?;
        watch.is_set().then_some((watch, row))
    }
}

/// The whole mailbox as changes: the store has forgotten what happened since.
fn everything(mail: &dyn MailStore, opened: &Opened, row: &MailboxRow) -> Result<Changes, Failure> {
    let mut changed = Vec::with_capacity(row.messages as usize);
    mail.flags(opened.account, opened.id, UidRange::ALL, &mut |message| {
        changed.push(*message);
        true
    })?;
    let mut present = changed.iter().map(|message| message.uid).peekable();
    let all = opened.view.all();
    let expunged = opened
        .view
        .messages(&all)
        .map(|(_, uid)| uid)
        .filter(|uid| {
            while present.next_if(|other| other < uid).is_some() {}
            present.peek() != Some(uid)
        });
    let expunged = expunged.collect();
    Ok(Changes {
        highest: row.highest_modseq,
        changed,
        expunged,
    })
}

/// More keywords a mailbox does not have.
const KEYWORDS_MAX: usize = 64;

/// A mailbox actor is back within microseconds; one that is not has trouble.
const WATCH_AGAIN: Duration = Duration::from_secs(1);
