//! What operators bring into accounts and take out of them: folders and whole messages.

use std::{io, time::Duration};

use actors::contract::{AppendRequest, MailboxFailure, MailboxMsg};
use bytes::Bytes;
use mail::{AccountId, Address, Flags, Keyword, Time, Uid};
use store::{
    StoreError,
    port::{Body, MailStore, MailboxRow, MessageRow, NewMailbox, SpecialUse, UidRange},
};
use supervision::{CallError, blocking};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    Desk,
    desk::refused,
    protocol::{
        FolderView, LetterNew, LetterPut, LetterView, PAGE_MAX, Page, Refusal, RefusalKind,
    },
};

impl Desk {
    pub(super) fn folders(&self, address: &Address) -> Result<Vec<FolderView>, Refusal> {
        let account = self.account_of(address)?;
        let rows = self.parts.mail.mailboxes(account).map_err(refused)?;
        Ok(rows.iter().map(folder_view).collect())
    }

    /// Makes a folder, if it is not there; yields it as it stands.
    pub(super) async fn make_folder(
        &self,
        address: &Address,
        folder: String,
        role: Option<&str>,
    ) -> Result<FolderView, Refusal> {
        let account = self.account_of(address)?;
        let mail = &self.parts.mail;
        if let Some(row) = mail.mailbox_named(account, &folder).map_err(refused)? {
            return Ok(folder_view(&row));
        }
        // A role is one folder's at most (RFC 6154 §2 leaves that open; clients do not).
        let rows = mail.mailboxes(account).map_err(refused)?;
        let role = role.and_then(special_use);
        let role = role.filter(|role| rows.iter().all(|row| row.special_use != Some(*role)));
        let new = NewMailbox {
            name: folder,
            special_use: role,
            subscribe: true,
        };
        let mailboxes = &self.parts.mailboxes;
        let asked = mailboxes.call(&account, |port| MailboxMsg::Create(new, port), LIMIT);
        answered(asked.await).map(|row| folder_view(&row))
    }

    /// A page of what is in a folder. It reads a little of every message: off the threads on
    /// which the others run.
    pub(super) async fn letters(
        &self,
        address: &Address,
        folder: &str,
        after: Option<u32>,
    ) -> Result<Page<LetterView>, Refusal> {
        let (account, row) = self.folder(address, folder)?;
        let mail = self.parts.mail.clone();
        let page = blocking(move || page(&*mail, account, &row, after)).await;
        page.map_err(|error| Refusal::new(RefusalKind::Broken, error.to_string()))?
            .map_err(refused)
    }

    /// A message, and its octets.
    pub(super) fn letter(
        &self,
        address: &Address,
        folder: &str,
        uid: u32,
    ) -> Result<(LetterView, Body), Refusal> {
        let (account, row) = self.folder(address, folder)?;
        let mail = &self.parts.mail;
        let missing = || {
            let what = format!("message {uid} is not in {folder} of {address}");
            Refusal::new(RefusalKind::Missing, what)
        };
        let uid = Uid::new(uid).ok_or_else(missing)?;
        let range = UidRange {
            first: uid,
            last: uid,
        };
        let mut found = None;
        let each = &mut |row: &MessageRow| {
            found = Some(*row);
            false
        };
        mail.messages(account, row.id, range, each)
            .map_err(refused)?;
        let message = found.ok_or_else(missing)?;
        let message = with_flags(&**mail, account, &row, vec![message]).map_err(refused)?;
        let message = message.first().copied().ok_or_else(missing)?;
        let view = letter_view(&**mail, &row, &message).map_err(refused)?;
        let body = mail.read(&message.body).map_err(refused)?;
        Ok((view, body))
    }

    /// Takes messages, whose octets follow their description, and keeps all or none of them;
    /// yields their UIDs. The octets are read in any case: what follows them is another request.
    pub(super) async fn keep(
        &self,
        put: LetterPut,
        octets: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Result<Vec<u32>, Refusal>> {
        let mut admitted = self.admit(&put);
        let next = put.next.and_then(Uid::new);
        let mut messages = Vec::new();
        for letter in put.letters {
            let mut writer = self.parts.mail.draft();
            let mut left = letter.octets;
            while left > 0 {
                let wanted = left.min(PIECE_OCTETS);
                let mut piece = vec![0; wanted as usize];
                octets.read_exact(&mut piece).await?;
                left -= wanted;
                if admitted.is_ok()
                    && let Some(spilled) = writer.write(Bytes::from(piece))
                    && let Err(error) = spilled.await
                {
                    admitted = Err(refused(error));
                }
            }
            match flags(&letter) {
                Ok((flags, keywords)) if admitted.is_ok() => {
                    let date = Time(letter.date);
                    messages.push((writer.finish(), flags, keywords, date));
                }
                Ok(_) => {}
                Err(refusal) => admitted = admitted.and(Err(refusal)),
            }
        }
        let (account, row) = match admitted {
            Ok(place) => place,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let request = AppendRequest {
            mailbox: row.id,
            next,
            messages,
        };
        let mailboxes = &self.parts.mailboxes;
        let asked = mailboxes.call(&account, |port| MailboxMsg::Append(request, port), LIMIT);
        let kept = answered(asked.await);
        Ok(kept.map(|kept| kept.iter().map(|one| one.uid.get()).collect()))
    }

    fn admit(&self, put: &LetterPut) -> Result<(AccountId, MailboxRow), Refusal> {
        let wrong = |what: String| Err(Refusal::new(RefusalKind::Wrong, what));
        let octets: u64 = put.letters.iter().map(|letter| letter.octets).sum();
        let many = put.letters.len();
        if many == 0 || many > LETTERS_MAX || (many > 1 && octets > LETTERS_OCTETS_MAX) {
            return wrong(format!(
                "a request brings 1 to {LETTERS_MAX} messages, of {LETTERS_OCTETS_MAX} octets \
                 together if there are several"
            ));
        }
        let place = self.folder(&put.address, &put.folder)?;
        let account = self.parts.accounts.account(place.0).map_err(refused)?;
        let quota = account.map(|account| account.quota).unwrap_or_default();
        let rows = self.parts.mail.mailboxes(place.0).map_err(refused)?;
        let held_octets: u64 = rows.iter().map(|row| row.octets).sum();
        let held: u64 = rows.iter().map(|row| u64::from(row.messages)).sum();
        if quota.octets.is_some_and(|most| held_octets + octets > most)
            || quota.messages.is_some_and(|most| held + many as u64 > most)
        {
            let what = format!(
                "{} may not hold so much; see heronry account quota",
                put.address
            );
            return Err(Refusal::new(RefusalKind::Conflict, what));
        }
        Ok(place)
    }

    fn account_of(&self, address: &Address) -> Result<AccountId, Refusal> {
        let row = self.row(address)?;
        let missing = || {
            Refusal::new(
                RefusalKind::Missing,
                format!("account {address} does not exist"),
            )
        };
        row.map(|row| row.id).ok_or_else(missing)
    }

    fn folder(&self, address: &Address, folder: &str) -> Result<(AccountId, MailboxRow), Refusal> {
        let account = self.account_of(address)?;
        let row = self
            .parts
            .mail
            .mailbox_named(account, folder)
            .map_err(refused)?;
        let missing = || {
            let what = format!("folder {folder} of {address} does not exist");
            Refusal::new(RefusalKind::Missing, what)
        };
        Ok((account, row.ok_or_else(missing)?))
    }
}

/// Calls `each` for one page of messages.
fn page(
    mail: &dyn MailStore,
    account: AccountId,
    row: &MailboxRow,
    after: Option<u32>,
) -> Result<Page<LetterView>, StoreError> {
    let first = match after.and_then(Uid::new) {
        Some(after) => match after.next() {
            Some(next) => next,
            None => {
                return Ok(Page {
                    items: Vec::new(),
                    more: false,
                });
            }
        },
        None => Uid::FIRST,
    };
    let range = UidRange {
        first,
        last: Uid::LAST,
    };
    let mut found = Vec::new();
    mail.messages(account, row.id, range, &mut |message| {
        found.push(*message);
        found.len() <= PAGE_MAX
    })?;
    let more = found.len() > PAGE_MAX;
    found.truncate(PAGE_MAX);
    let found = with_flags(mail, account, row, found)?;
    let items = found.iter().map(|message| letter_view(mail, row, message));
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        more,
    })
}

/// Messages of a folder, ascending, with the flags that they have now.
///
/// # Errors
/// When the directory cannot be read.
pub fn with_flags(
    mail: &dyn MailStore,
    account: AccountId,
    row: &MailboxRow,
    mut messages: Vec<MessageRow>,
) -> Result<Vec<MessageRow>, StoreError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        return Ok(messages);
    };
    let range = UidRange {
        first: first.uid,
        last: last.uid,
    };
    let mut rows = messages.iter_mut().peekable();
    mail.flags(account, row.id, range, &mut |flags| {
        while rows.next_if(|row| row.uid < flags.uid).is_some() {}
        if let Some(row) = rows.next_if(|row| row.uid == flags.uid) {
            *row = row.with(flags);
        }
        rows.peek().is_some()
    })?;
    Ok(messages)
}

fn letter_view(
    mail: &dyn MailStore,
    row: &MailboxRow,
    message: &MessageRow,
) -> Result<LetterView, StoreError> {
    let digest = blake3::Hash::from_bytes(mail.digest(&message.body)?);
    Ok(LetterView {
        uid: message.uid.get(),
        octets: message.body.octets,
        flags: flag_names(row, message),
        date: message.internal_date.0,
        digest: digest.to_hex().to_string(),
    })
}

/// The flags and keywords of a message, by name.
#[must_use]
pub fn flag_names(row: &MailboxRow, message: &MessageRow) -> Vec<String> {
    let system = Flags::NAMES
        .iter()
        .filter(|(flag, _)| message.flags.contains(*flag));
    let system = system.map(|(_, name)| (*name).to_owned());
    let known = (0..).zip(&row.keywords);
    let keywords = known.filter(|(at, _)| message.keywords & (1 << at) != 0);
    system
        .chain(keywords.map(|(_, keyword)| keyword.to_string()))
        .collect()
}

fn flags(letter: &LetterNew) -> Result<(Flags, Vec<Keyword>), Refusal> {
    let (mut flags, mut keywords) = (Flags::NONE, Vec::new());
    for name in &letter.flags {
        match Flags::named(name) {
            Some(flag) => flags = flags | flag,
            None => keywords.push(name.parse().map_err(|error| {
                Refusal::new(RefusalKind::Wrong, format!("flag {name}: {error}"))
            })?),
        }
    }
    Ok((flags, keywords))
}

fn folder_view(row: &MailboxRow) -> FolderView {
    FolderView {
        name: row.name.clone(),
        messages: row.messages,
        octets: row.octets,
        uid_next: row.uid_next.get(),
        role: row.special_use.map(|role| role_name(role).to_owned()),
    }
}

/// The role of that name (RFC 6154 §2).
fn special_use(name: &str) -> Option<SpecialUse> {
    let role = ROLES
        .iter()
        .find(|(_, known)| known.eq_ignore_ascii_case(name));
    role.map(|(role, _)| *role)
}

/// The name of a role (RFC 6154 §2).
#[must_use]
pub fn role_name(role: SpecialUse) -> &'static str {
    let found = ROLES.iter().find(|(known, _)| *known == role);
    found.map_or("", |(_, name)| name)
}

fn answered<T>(asked: Result<Result<T, MailboxFailure>, CallError>) -> Result<T, Refusal> {
    match asked {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(MailboxFailure::Store(error @ StoreError::Keywords))) => {
            Err(Refusal::new(RefusalKind::Wrong, error.to_string()))
        }
        Ok(Err(MailboxFailure::Store(error))) => Err(refused(error)),
        Ok(Err(error)) => Err(Refusal::new(RefusalKind::Broken, error.to_string())),
        Err(error) => {
            let what = format!("the account's mailbox does not answer: {error}");
            Err(Refusal::new(RefusalKind::Broken, what))
        }
    }
}

const ROLES: [(SpecialUse, &str); 7] = [
    (SpecialUse::All, "\\All"),
    (SpecialUse::Archive, "\\Archive"),
    (SpecialUse::Drafts, "\\Drafts"),
    (SpecialUse::Flagged, "\\Flagged"),
    (SpecialUse::Junk, "\\Junk"),
    (SpecialUse::Sent, "\\Sent"),
    (SpecialUse::Trash, "\\Trash"),
];

/// Messages in one request: one sync for all of them.
pub const LETTERS_MAX: usize = 100;

/// Octets of several messages in one request, which are in memory together.
pub const LETTERS_OCTETS_MAX: u64 = 8 * 1024 * 1024;

/// Octets that are read at once.
const PIECE_OCTETS: u64 = 64 * 1024;

/// It waits for the disk at most.
const LIMIT: Duration = Duration::from_secs(30);
