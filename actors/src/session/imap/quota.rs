//! What the account and its domain may hold, and hold (RFC 9208).

use imap::{Code, MailboxName, Reply, respond};
use store::port::Share;

use super::{actor::ImapSessionState, failure::Failure};

impl ImapSessionState {
    /// GETQUOTA: there are up to two roots, the account and its domain, each only if it is limited.
    pub(super) fn quota(&mut self, root: &str) -> Result<Reply, Failure> {
        match self.shares()?.into_iter().find(|(name, _)| name == root) {
            Some((name, share)) => {
                self.tell_quota(&name, share);
                Ok(Reply::ok("that is the limit"))
            }
            None => Ok(Reply::no("there is no such quota root").with(Code::NonExistent)),
        }
    }

    /// GETQUOTAROOT: it is the same for every mailbox.
    pub(super) fn quota_root(&mut self, name: &MailboxName) -> Result<Reply, Failure> {
        self.existing(self.account()?, name)?;
        let shares = self.shares()?;
        let roots = shares.iter().map(|(root, _)| &**root);
        respond::quota_root(&mut self.out.buffer, name, roots);
        for (root, share) in shares {
            self.tell_quota(&root, share);
        }
        Ok(Reply::ok("that is where it counts"))
    }

    /// What the account may hold, and holds, and all accounts of its domain together, by the name of
    /// the root: who has no room must see why.
    fn shares(&self) -> Result<Vec<(String, Share)>, Failure> {
        let Some(usage) = self.args.mail.usage(self.account()?)? else {
            return Ok(Vec::new());
        };
        let both = [
            (ROOT.to_owned(), usage.account),
            (usage.domain.to_string(), usage.together),
        ];
        let limited = both.into_iter().filter(|(_, share)| share.quota.is_limit());
        Ok(limited.collect())
    }

    /// Storage is told in units of 1024 octets (RFC 9208 §5.1).
    fn tell_quota(&mut self, root: &str, Share { quota, held }: Share) {
        let octets = quota.octets.map(|most| {
            let (used, most) = (held.octets.div_ceil(UNIT), most.div_ceil(UNIT));
            ("STORAGE", used, most)
        });
        let messages = quota.messages.map(|most| ("MESSAGE", held.messages, most));
        respond::quota(
            &mut self.out.buffer,
            root,
            octets.into_iter().chain(messages),
        );
    }
}

/// The name of the account's root; its domain's is the domain.
const ROOT: &str = "";

const UNIT: u64 = 1024;
