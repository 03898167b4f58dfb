//! Whether there is room in the mailboxes that a message is for.
//!
//! A recipient is refused while the sender still listens, if nobody whom it stands for has room:
//! at RCPT, as far as the size is known then, and at the end of the message. If some of them have
//! room, the message is taken, and waits for the others as mail to another system would.

use std::collections::HashSet;

use mail::{AccountId, Enhanced, Recipient, Reply, Target};
use smtp::Family;
use store::{StoreError, port::Held};

use super::{actor::SmtpSessionState, metrics::OVER_QUOTA};

impl SmtpSessionState {
    /// Whether anybody of these has room for the message, as far as its size is known.
    pub(super) fn admit(&self, recipients: &[Recipient]) -> Result<(), Reply> {
        let size = self.server.mail().and_then(|mail| mail.size);
        let octets = size.unwrap_or(OCTETS_MIN);
        let full = self.are_full(recipients.iter(), octets, &mut HashSet::new());
        if full.map_err(|error| error.reply())? {
            OVER_QUOTA.count(&["rcpt"]);
            return Err(full_reply());
        }
        Ok(())
    }

    /// Which recipients of the dialogue are refused, now that the size of the message is known.
    /// Only LMTP can say so of some (RFC 2033 §4.2): elsewhere all are, or none.
    pub(super) fn refused(&self, octets: u64) -> Result<Vec<bool>, Reply> {
        let mut full = HashSet::new();
        let each = self.meant.each();
        let refused = each.map(|recipients| self.are_full(recipients, octets, &mut full));
        let refused: Result<Vec<bool>, StoreError> = refused.collect();
        let mut refused = refused.map_err(|error| error.reply())?;
        if self.args.config.family != Family::Lmtp && refused.contains(&false) {
            refused.fill(false);
        }
        if refused.contains(&true) {
            OVER_QUOTA.count(&["data"]);
        }
        Ok(refused)
    }

    /// Whether nobody of these has room: who lives elsewhere has. Who is full is remembered, so that
    /// a list of many that is named often costs each of them once.
    fn are_full<'a>(
        &self,
        recipients: impl Iterator<Item = &'a Recipient>,
        octets: u64,
        full: &mut HashSet<AccountId>,
    ) -> Result<bool, StoreError> {
        let mut is_anybody = false;
        for recipient in recipients {
            let Target::Local { account, .. } = recipient.target else {
                return Ok(false);
            };
            is_anybody = true;
            if !full.contains(&account) {
                if !self.is_full(account, octets)? {
                    return Ok(false);
                }
                full.insert(account);
            }
        }
        Ok(is_anybody)
    }

    fn is_full(&self, account: AccountId, octets: u64) -> Result<bool, StoreError> {
        match self.args.mail.has_room(account, Held::of([octets])) {
            Ok(()) => Ok(false),
            Err(StoreError::OverQuota { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// RFC 3463 §3.3: the mailbox is full, which may pass.
pub(super) fn full_reply() -> Reply {
    Reply::new(452, Enhanced(4, 2, 2), "the mailbox is full")
}

/// No message has fewer.
const OCTETS_MIN: u64 = 1;
