//! APPEND: a message that streams into the store while it comes.

use bytes::Bytes;
use imap::{Append, Code, Ranges, Reply};
use mail::MailboxId;
use store::port::{Appended, BodyWriter, Held};
use supervision::{Permit, waits};

use super::{actor::ImapSessionState, failure::Failure, messages::no_target, metrics::APPENDED};
use crate::contract::{AppendRequest, MailboxMsg};

/// A message that is being received.
pub(super) struct Incoming {
    append: Append,
    mailbox: MailboxId,
    writer: BodyWriter,
    /// The memory it may use; comes back when the message is on disk.
    _permit: Permit,
}

impl ImapSessionState {
    /// Whether the message is wanted.
    pub(super) fn begin_append(&mut self, append: Append) -> Result<(), Failure> {
        let account = self.account()?;
        let row = self
            .args
            .mail
            .mailbox_named(account, append.mailbox.as_str())?;
        let Some(row) = row else {
            return Err(no_target().into());
        };
        self.check_quota(append.octets)?;
        let permit = self
            .args
            .budget
            .try_take(append.octets.clamp(MEMORY_MIN, MEMORY_MAX));
        let permit = permit.ok_or_else(|| {
            Reply::no("too many messages at once, try again soon").with(Code::Unavailable)
        })?;
        let writer = self.args.mail.draft();
        self.incoming = Some(Incoming {
            append,
            mailbox: row.id,
            writer,
            _permit: permit,
        });
        Ok(())
    }

    /// Takes the next piece.
    pub(super) async fn push_append(&mut self, piece: Bytes) -> Result<(), Failure> {
        let Some(incoming) = &mut self.incoming else {
            return Ok(());
        };
        let Some(spilled) = incoming.writer.write(piece) else {
            return Ok(());
        };
        waits(spilled).await.map_err(|error| {
            self.incoming = None;
            error.into()
        })
    }

    /// Answers when the message is on stable storage, and not before.
    pub(super) async fn end_append(&mut self) -> Result<Reply, Failure> {
        let Some(incoming) = self.incoming.take() else {
            // A crash came between: what was received before it is gone.
            return Ok(Reply::no("trouble on our side, try again").with(Code::ServerBug));
        };
        let Incoming {
            append,
            mailbox,
            writer,
            _permit,
        } = incoming;
        let date = append.date.unwrap_or_else(|| self.args.clock.now());
        let message = (
            writer.finish(),
            append.flags.flags,
            append.flags.keywords,
            date,
        );
        let request = AppendRequest {
            mailbox,
            next: None,
            messages: vec![message],
        };
        let appended: Vec<Appended> = self.ask(|port| MailboxMsg::Append(request, port)).await?;
        if self.opened_id() == Some(mailbox)
            && let Some(opened) = &mut self.opened
        {
            opened.dirty = true;
        }
        APPENDED.count(&["kept"]);
        let reply = Reply::ok("kept");
        Ok(match appended.first() {
            Some(first) => {
                let uids = Ranges::from_iter(appended.iter().map(|one| one.uid.get()));
                reply.with(Code::AppendUid(first.uid_validity, uids))
            }
            None => reply,
        })
    }

    /// Whether the account may hold so much more: asked before the message comes, and again by the
    /// store when it has.
    fn check_quota(&self, octets: u64) -> Result<(), Failure> {
        let account = self.account()?;
        Ok(self.args.mail.has_room(account, Held::of([octets]))?)
    }
}

/// What the smallest message takes from the budget, in octets.
const MEMORY_MIN: u64 = 16 * 1024;

/// And the largest: what is held before it spills to disk, and the pieces on their way there.
const MEMORY_MAX: u64 = BodyWriter::SPILL_OCTETS as u64 + 256 * 1024;
