//! The mailbox that a session has open.

use imap::{FetchItem, Ranges, Reply, SequenceSet, View, respond};
use mail::{AccountId, Keyword, MailboxId, Uid};
use store::{
    StoreError,
    port::{MailStore, MailboxRow, MessageFlags, MessageRow, UidRange},
};

use crate::session::watch::Watch;

/// The mailbox that a session has open.
pub(super) struct Opened {
    pub(super) account: AccountId,
    pub(super) id: MailboxId,
    pub(super) view: View,
    pub(super) keywords: Vec<Keyword>,
    pub(super) read_only: bool,
    /// Something may have happened since the view was last brought up to date.
    pub(super) dirty: bool,
    pub(super) watch: Option<Watch>,
}

/// What a successor needs to go on with the mailbox.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    id: MailboxId,
    view: View,
    keywords: Vec<Keyword>,
    read_only: bool,
}

/// Rows of a mailbox, a batch at a time: a batch is read without a pause, and written with pauses.
pub(super) struct Rows {
    /// Spans of UIDs that are still to be read, the last one first.
    spans: Vec<UidRange>,
}

impl Opened {
    /// The mailbox as it is now; the first message that is not seen comes second.
    pub(super) fn read(
        mail: &dyn MailStore,
        account: AccountId,
        row: &MailboxRow,
        recent_from: Uid,
        read_only: bool,
    ) -> Result<(Self, Option<u32>), StoreError> {
        let mut uids = Vec::with_capacity(row.messages as usize);
        let mut first_unseen = None;
        mail.flags(account, row.id, UidRange::ALL, &mut |message| {
            uids.push(message.uid);
            if first_unseen.is_none() && !message.flags.contains(mail::Flags::SEEN) {
                first_unseen = u32::try_from(uids.len()).ok();
            }
            true
        })?;
        // The MODSEQ was read before the messages: what came between is told once more.
        let view = View::new(uids, Some(recent_from), row.highest_modseq);
        let opened = Self {
            account,
            id: row.id,
            view,
            keywords: row.keywords.clone(),
            read_only,
            dirty: false,
            watch: None,
        };
        Ok((opened, first_unseen))
    }

    /// What a predecessor left.
    pub(super) fn resume(account: AccountId, kept: Kept) -> Self {
        let Kept {
            id,
            view,
            keywords,
            read_only,
        } = kept;
        Self {
            account,
            id,
            view,
            keywords,
            read_only,
            dirty: true,
            watch: None,
        }
    }

    /// What a successor needs.
    pub(super) fn keep(&self) -> Kept {
        Kept {
            id: self.id,
            view: self.view.clone(),
            keywords: self.keywords.clone(),
            read_only: self.read_only,
        }
    }

    /// The messages that a set means, as sequence numbers.
    pub(super) fn resolve(&self, uid: bool, set: &SequenceSet) -> Result<Ranges, Reply> {
        if uid {
            return Ok(self.view.by_uid(set));
        }
        let found = self.view.by_sequence(set);
        found.map_err(|_| Reply::bad("there are fewer messages than that"))
    }

    /// The rows of these messages.
    pub(super) fn rows(&self, which: &Ranges) -> Rows {
        let span = |span: std::ops::RangeInclusive<u32>| {
            let (first, last) = (self.view.uid(*span.start())?, self.view.uid(*span.end())?);
            Some(UidRange { first, last })
        };
        let mut spans: Vec<_> = which.spans().filter_map(span).collect();
        spans.reverse();
        Rows { spans }
    }

    /// Names of the keywords of a message.
    pub(super) fn names(&self, bits: u64) -> impl Iterator<Item = &str> {
        let set = self.keywords.iter().enumerate();
        set.filter(move |(bit, _)| bits >> bit & 1 == 1)
            .map(|(_, keyword)| keyword.as_str())
    }

    /// Appends the flags of a message as the client sees it.
    pub(super) fn tell_flags(
        &self,
        out: &mut Vec<u8>,
        sequence: u32,
        message: &MessageFlags,
        with_uid: bool,
    ) {
        let mut response = respond::FetchResponse::begin(out, sequence);
        if with_uid {
            response.uid(out, message.uid);
        }
        self.add_flags(out, &mut response, message);
        response.end(out);
    }

    /// Appends [`FetchItem::Flags`] to a response.
    pub(super) fn add_flags(
        &self,
        out: &mut Vec<u8>,
        response: &mut respond::FetchResponse,
        message: &MessageFlags,
    ) {
        let recent = self.view.is_recent(message.uid);
        response.flags(out, message.flags, self.names(message.keywords), recent);
    }
}

impl Rows {
    /// The next batch; empty at the end.
    pub(super) fn next(
        &mut self,
        mail: &dyn MailStore,
        opened: &Opened,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let uid = |row: &MessageRow| row.uid;
        self.some(BATCH, uid, &|span, each| {
            mail.messages(opened.account, opened.id, span, each)
        })
    }

    /// The flags of the next batch; none at the end.
    pub(super) fn next_flags(
        &mut self,
        mail: &dyn MailStore,
        opened: &Opened,
    ) -> Result<Vec<MessageFlags>, StoreError> {
        let uid = |message: &MessageFlags| message.uid;
        self.some(FLAGS_BATCH, uid, &|span, each| {
            mail.flags(opened.account, opened.id, span, each)
        })
    }

    fn some<T: Copy>(
        &mut self,
        limit: usize,
        uid: impl Fn(&T) -> Uid,
        read: &ReadSpan<'_, T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        while let Some(span) = self.spans.pop() {
            let room = limit - rows.len();
            let mut taken = 0;
            read(span, &mut |row| {
                rows.push(*row);
                taken += 1;
                taken < room
            })?;
            if taken == room {
                let rest = rows.last().and_then(|row| uid(row).next());
                if let Some(first) = rest.filter(|first| *first <= span.last) {
                    self.spans.push(UidRange { first, ..span });
                }
                break;
            }
        }
        Ok(rows)
    }
}

/// Reads what there is of a span of UIDs.
type ReadSpan<'a, T> = dyn Fn(UidRange, &mut dyn FnMut(&T) -> bool) -> Result<(), StoreError> + 'a;

/// Whether reading these items marks a message as seen.
pub(super) fn marks_seen(items: &[FetchItem]) -> bool {
    items.iter().any(FetchItem::sets_seen)
}

/// Rows are small; a batch is read in well under a millisecond.
const BATCH: usize = 512;

/// Flags are smaller, and read faster.
const FLAGS_BATCH: usize = 4096;
