//! What the account may hold, and holds (RFC 9208).

use imap::{Code, MailboxName, Reply, respond};
use store::port::Share;

use super::{actor::ImapSessionState, failure::Failure};

impl ImapSessionState {
    /// GETQUOTA: there is one root, the account, and only if it is limited.
    pub(super) fn quota(&mut self, root: &str) -> Result<Reply, Failure> {
        match self.share()? {
            Some(share) if root == ROOT => {
                self.tell_quota(share);
                Ok(Reply::ok("that is the limit"))
            }
            _ => Ok(Reply::no("there is no such quota root").with(Code::NonExistent)),
        }
    }

    /// GETQUOTAROOT: it is the same for every mailbox.
    pub(super) fn quota_root(&mut self, name: &MailboxName) -> Result<Reply, Failure> {
        self.existing(self.account()?, name)?;
        let share = self.share()?;
        let root = share.map(|_| ROOT);
        respond::quota_root(&mut self.out.buffer, name, root);
        if let Some(share) = share {
            self.tell_quota(share);
        }
        Ok(Reply::ok("that is where it counts"))
    }

    /// What the account may hold, and holds. How full its domain is, is its operator's affair.
    fn share(&self) -> Result<Option<Share>, Failure> {
        let usage = self.args.mail.usage(self.account()?)?;
        let share = usage.map(|usage| usage.account);
        Ok(share.filter(|share| share.quota.is_limit()))
    }

    /// Storage is told in units of 1024 octets (RFC 9208 §5.1).
    fn tell_quota(&mut self, Share { quota, held }: Share) {
        let octets = quota.octets.map(|most| {
            let (used, most) = (held.octets.div_ceil(UNIT), most.div_ceil(UNIT));
            ("STORAGE", used, most)
        });
        let messages = quota.messages.map(|most| ("MESSAGE", held.messages, most));
        respond::quota(
            &mut self.out.buffer,
            ROOT,
            octets.into_iter().chain(messages),
        );
    }
}

/// The name of the account's root.
const ROOT: &str = "";

const UNIT: u64 = 1024;
