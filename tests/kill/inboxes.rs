//! The inboxes of all accounts: what was acknowledged for them, and what is there.

use std::collections::{BTreeMap, BTreeSet};

use testkit::{Daemon, LONG, until_some};

use crate::letter::name_of;

/// What must be in an inbox, and what was seen there.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    acknowledged: BTreeSet<String>,
    doubtful: BTreeSet<String>,
    /// How often each message was found.
    found: BTreeMap<String, u64>,
    uid_next: u32,
}

impl Inbox {
    pub(crate) fn acknowledge(&mut self, name: String) {
        self.acknowledged.insert(name);
    }

    /// A message that may have come.
    pub(crate) fn doubt(&mut self, name: String) {
        self.doubtful.insert(name);
    }

    /// Looks at what is new, until all is there that was acknowledged.
    pub(crate) fn check(&mut self, daemon: &Daemon, user: &str) {
        let mut imap = daemon.imap(user);
        imap.command("EXAMINE INBOX").ok();
        until_some(format!("all mail of {user}"), LONG, || {
            let from = self.uid_next.max(1);
            // What came meanwhile is told now; a client in no hurry would idle.
            imap.command("NOOP").ok();
            let fetch = format!("UID FETCH {from}:* (BODY.PEEK[])");
            for response in imap.command(fetch).ok().untagged {
                let text = response.text();
                let Some(literal) = response.literals.first() else {
                    continue;
                };
                let (_, rest) = text.split_once("UID ").unwrap();
                let uid: u32 = rest.split([' ', ')']).next().unwrap().parse().unwrap();
                // `n:*` is the last message, too, if that comes before n (RFC 3501 §6.4.8).
                if uid >= from {
                    self.uid_next = self.uid_next.max(uid + 1);
                    self.find(user, name_of(literal));
                }
            }
            let is_there = |name: &String| self.found.contains_key(name);
            self.acknowledged.iter().all(is_there).then_some(())
        });
    }

    /// Looks at everything once more, from the beginning.
    pub(crate) fn check_all(&mut self, daemon: &Daemon, user: &str) {
        let before = std::mem::take(&mut self.found);
        self.uid_next = 0;
        self.check(daemon, user);
        assert_eq!(self.found, before, "{user}");
    }

    /// How many messages are there, and how many of them once more.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let again = self.found.values().map(|times| times - 1).sum();
        (self.found.len(), again)
    }

    fn find(&mut self, user: &str, name: String) {
        let is_known = self.acknowledged.contains(&name) || self.doubtful.contains(&name);
        assert!(is_known, "{name} of {user} was sent by nobody");
        *self.found.entry(name).or_default() += 1;
    }
}
