//! An account of the running system, over the operator socket.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use mail::{Address, Flags, Keyword, Time};

use super::{Folder, Letter, Sink, Source, seen::Seen};
use crate::{
    admin::{
        LETTERS_MAX, LETTERS_OCTETS_MAX,
        protocol::{FolderView, LetterNew, LetterPut, LetterView, RefusalKind, Request},
    },
    cli::{Failure, client::Client},
};

/// Takes letters out of an account.
pub(in crate::cli) struct AccountSource<'a> {
    pub(in crate::cli) client: &'a mut Client,
    pub(in crate::cli) address: Address,
}

/// Brings letters into an account.
pub(in crate::cli) struct AccountSink<'a> {
    client: &'a mut Client,
    address: Address,
    folder: String,
    role: Option<String>,
    seen: Seen,
    /// The UID that the folder's next message gets: all before it were looked at.
    next: u32,
    /// The keywords of the folder: it has 64 at most.
    keywords: BTreeSet<String>,
    /// Those that found no room, or are none.
    left_out: BTreeSet<String>,
    /// What waits to be sent in one request.
    waiting: Vec<(Letter, [u8; 32])>,
    waiting_octets: u64,
    /// Letters that were taken, and then were there already; and octets of them.
    late: (u64, u64),
}

impl Source for AccountSource<'_> {
    fn folders(&mut self) -> Result<Vec<Folder>, Failure> {
        let address = self.address.clone();
        let views: Vec<FolderView> = self.client.ask(&Request::FolderList { address })?;
        let folders = views.into_iter().map(|view| Folder {
            name: view.name,
            role: view.role,
            octets: view.octets,
        });
        Ok(folders.collect())
    }

    fn letters(&mut self, folder: &Folder, sink: &mut dyn Sink) -> Result<(), Failure> {
        for view in list(self.client, &self.address, &folder.name, None)? {
            let digest = blake3::Hash::from_hex(&view.digest);
            let digest = *digest
                .map_err(|error| Failure::new(format!("the daemon's answer: {error}")))?
                .as_bytes();
            if !sink.wants(&digest, view.octets) {
                continue;
            }
            let request = Request::LetterGet {
                address: self.address.clone(),
                folder: folder.name.clone(),
                uid: view.uid,
            };
            let fetched = self
                .client
                .fetch(&request, |view: &LetterView| view.octets)?;
            let Some((view, octets)) = fetched else {
                continue; // somebody has removed it meanwhile
            };
            let letter = Letter {
                flags: view.flags,
                date: Time(view.date),
                octets,
            };
            if letter.digest() != digest {
                let what = format!("message {} is not what it was", view.uid);
                return Err(Failure::damaged(what));
            }
            sink.take(letter, digest)?;
        }
        Ok(())
    }
}

impl<'a> AccountSink<'a> {
    pub(in crate::cli) fn new(client: &'a mut Client, address: Address) -> Self {
        Self {
            client,
            address,
            folder: String::new(),
            role: None,
            seen: Seen::default(),
            next: 1,
            keywords: BTreeSet::new(),
            left_out: BTreeSet::new(),
            waiting: Vec::new(),
            waiting_octets: 0,
            late: (0, 0),
        }
    }

    /// Looks at what has come to the folder since the last time.
    fn look(&mut self) -> Result<(), Failure> {
        let make = Request::FolderMake {
            address: self.address.clone(),
            folder: self.folder.clone(),
            role: self.role.clone(),
        };
        // Before the list: what comes while that is read is looked at the next time.
        let FolderView { uid_next, .. } = self.client.ask(&make)?;
        let after = self.next.checked_sub(1).filter(|&after| after > 0);
        for view in list(self.client, &self.address, &self.folder, after)? {
            self.seen.add(&view.digest);
            let keywords = view.flags.iter().filter(|flag| !flag.starts_with('\\'));
            self.keywords
                .extend(keywords.map(|flag| flag.to_ascii_lowercase()));
            self.next = view.uid.saturating_add(1);
        }
        self.next = self.next.max(uid_next);
        Ok(())
    }

    /// Whether a message can have that flag here. A message is more than its keywords: one that
    /// finds no room is left out, and named.
    fn has_room_for(&mut self, flag: &str) -> bool {
        if Flags::named(flag).is_some() {
            return true;
        }
        let keyword = flag.to_ascii_lowercase();
        let fits = flag.parse::<Keyword>().is_ok()
            && (self.keywords.contains(&keyword) || self.keywords.len() < KEYWORDS_MAX);
        if fits {
            self.keywords.insert(keyword);
        } else if self.left_out.insert(keyword) {
            // Whoever watches sees it; it is no reason to stop.
            let line = format!("{}: the keyword {flag} is left out", self.folder);
            let _ = writeln!(io::stderr(), "{line}");
        }
        fits
    }

    /// Brings what waits. What has come to the folder meanwhile, by another run or by one that was
    /// ended when its letters were on their way, is looked at first: nothing is doubled.
    fn send(&mut self) -> Result<(), Failure> {
        self.waiting_octets = 0;
        for _ in 0..TRIES {
            if self.waiting.is_empty() {
                return Ok(());
            }
            if self.put()? {
                self.waiting.clear();
                return Ok(());
            }
            self.look()?;
            let waiting = std::mem::take(&mut self.waiting);
            for (letter, digest) in waiting {
                if self.is_lacking(&letter, &digest) {
                    self.waiting.push((letter, digest));
                }
            }
        }
        let folder = &self.folder;
        Err(Failure::new(format!(
            "{folder} changes faster than it can be looked at"
        )))
    }

    /// Whether a letter that was taken is still to be brought; if not, it counts as late.
    fn is_lacking(&mut self, letter: &Letter, digest: &[u8; 32]) -> bool {
        let is_lacking = self.seen.lacks(digest);
        if !is_lacking {
            self.late.0 += 1;
            self.late.1 += letter.octets.len() as u64;
        }
        is_lacking
    }

    /// Whether what waits was added, because nothing else has come.
    fn put(&mut self) -> Result<bool, Failure> {
        let letters = self.waiting.iter().map(|(letter, _)| LetterNew {
            octets: letter.octets.len() as u64,
            flags: letter.flags.clone(),
            date: letter.date.0,
        });
        let put = Request::LetterPut(LetterPut {
            address: self.address.clone(),
            folder: self.folder.clone(),
            next: Some(self.next),
            letters: letters.collect(),
        });
        let octets = self.waiting.iter().map(|(letter, _)| &*letter.octets);
        let octets: Vec<&[u8]> = octets.collect();
        let kept = self
            .client
            .ask_unless(RefusalKind::Changed, &put, &octets)?;
        let Some(uids): Option<Vec<u32>> = kept else {
            return Ok(false);
        };
        match uids.last() {
            Some(last) if uids.len() == octets.len() => self.next = last.saturating_add(1),
            _ => return Err(Failure::new("the daemon did not keep every message")),
        }
        Ok(true)
    }
}

impl Sink for AccountSink<'_> {
    fn begin(&mut self, folder: &Folder) -> Result<(), Failure> {
        self.folder.clone_from(&folder.name);
        self.role.clone_from(&folder.role);
        self.seen = Seen::default();
        self.keywords.clear();
        self.next = 1;
        self.look()
    }

    fn wants(&mut self, digest: &[u8; 32], _: u64) -> bool {
        self.seen.lacks(digest)
    }

    fn take(&mut self, mut letter: Letter, digest: [u8; 32]) -> Result<(), Failure> {
        let octets = letter.octets.len() as u64;
        if self.waiting.len() == LETTERS_MAX || self.waiting_octets + octets > LETTERS_OCTETS_MAX {
            self.send()?;
            // That may have shown that this one is there, too.
            if !self.is_lacking(&letter, &digest) {
                return Ok(());
            }
        }
        letter.flags.retain(|flag| self.has_room_for(flag));
        self.waiting_octets += octets;
        self.waiting.push((letter, digest));
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.send()
    }

    fn late(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.late)
    }
}

/// The letters of a folder behind a UID.
pub(super) fn list(
    client: &mut Client,
    address: &Address,
    folder: &str,
    after: Option<u32>,
) -> Result<Vec<LetterView>, Failure> {
    client.ask_for_all(|last: Option<&LetterView>| Request::LetterList {
        address: address.clone(),
        folder: folder.to_owned(),
        after: last.map(|view| view.uid).or(after),
    })
}

/// Each fails only when something has come to the folder since the one before.
const TRIES: usize = 100;

/// Keywords of a folder (`store::port::MailboxRow::keywords`).
const KEYWORDS_MAX: usize = 64;
