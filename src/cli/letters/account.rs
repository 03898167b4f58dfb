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
        protocol::{FolderView, LetterNew, LetterPut, LetterView, Request},
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
    seen: Seen,
    /// The keywords of the folder: it has 64 at most.
    keywords: BTreeSet<String>,
    /// Those that found no room, or are none.
    left_out: BTreeSet<String>,
    /// What waits to be sent in one request.
    waiting: Vec<Letter>,
    waiting_octets: u64,
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
        for view in list(self.client, &self.address, &folder.name)? {
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
            seen: Seen::default(),
            keywords: BTreeSet::new(),
            left_out: BTreeSet::new(),
            waiting: Vec::new(),
            waiting_octets: 0,
        }
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

    fn send(&mut self) -> Result<(), Failure> {
        let letters = std::mem::take(&mut self.waiting);
        self.waiting_octets = 0;
        if letters.is_empty() {
            return Ok(());
        }
        let put = LetterPut {
            address: self.address.clone(),
            folder: self.folder.clone(),
            letters: letters
                .iter()
                .map(|letter| LetterNew {
                    octets: letter.octets.len() as u64,
                    flags: letter.flags.clone(),
                    date: letter.date.0,
                })
                .collect(),
        };
        let octets: Vec<&[u8]> = letters.iter().map(|letter| &*letter.octets).collect();
        let uids: Vec<u32> = self.client.ask_with(&Request::LetterPut(put), &octets)?;
        match uids.len() == letters.len() {
            true => Ok(()),
            false => Err(Failure::new("the daemon did not keep every message")),
        }
    }
}

impl Sink for AccountSink<'_> {
    fn begin(&mut self, folder: &Folder) -> Result<(), Failure> {
        self.folder.clone_from(&folder.name);
        self.client.ask::<()>(&Request::FolderMake {
            address: self.address.clone(),
            folder: folder.name.clone(),
            role: folder.role.clone(),
        })?;
        self.seen = Seen::default();
        self.keywords.clear();
        for view in list(self.client, &self.address, &folder.name)? {
            self.seen.add(&view.digest);
            let keywords = view.flags.iter().filter(|flag| !flag.starts_with('\\'));
            self.keywords
                .extend(keywords.map(|flag| flag.to_ascii_lowercase()));
        }
        Ok(())
    }

    fn wants(&mut self, digest: &[u8; 32], _: u64) -> bool {
        self.seen.lacks(digest)
    }

    fn take(&mut self, mut letter: Letter, _: [u8; 32]) -> Result<(), Failure> {
        let octets = letter.octets.len() as u64;
        if self.waiting.len() == LETTERS_MAX || self.waiting_octets + octets > LETTERS_OCTETS_MAX {
            self.send()?;
        }
        letter.flags.retain(|flag| self.has_room_for(flag));
        self.waiting_octets += octets;
        self.waiting.push(letter);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.send()
    }
}

fn list(client: &mut Client, address: &Address, folder: &str) -> Result<Vec<LetterView>, Failure> {
    client.ask_for_all(|last: Option<&LetterView>| Request::LetterList {
        address: address.clone(),
        folder: folder.to_owned(),
        after: last.map(|view| view.uid),
    })
}

/// Keywords of a folder (`store::port::MailboxRow::keywords`).
const KEYWORDS_MAX: usize = 64;
