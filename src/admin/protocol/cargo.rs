//! What is said of mail that is brought in and taken out, and of the files of a state.

use std::path::PathBuf;

use mail::Address;
use serde::{Deserialize, Serialize};

/// A folder of an account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FolderView {
    /// Its full name.
    pub name: String,
    /// How many messages it holds.
    pub messages: u32,
    /// The sum of their sizes in octets.
    pub octets: u64,
    /// The UID that its next message gets.
    pub uid_next: u32,
    /// Its role, as in RFC 6154.
    pub role: Option<String>,
}

/// A message in a folder.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LetterView {
    /// Its UID.
    pub uid: u32,
    /// Its size.
    pub octets: u64,
    /// Its flags and keywords, by name.
    pub flags: Vec<String>,
    /// `INTERNALDATE`, in milliseconds since 1970.
    pub date: u64,
    /// The BLAKE3 of its octets, hexadecimal.
    pub digest: String,
}

/// Messages that are to be added to a folder. Behind the line of the request follow their octets,
/// one after the other and nothing between them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LetterPut {
    /// Whose.
    pub address: Address,
    /// To which folder.
    pub folder: String,
    /// Only if that is still the UID that the folder's next message gets: nothing has come since
    /// whoever asks looked what is there. Else it is refused as changed.
    pub next: Option<u32>,
    /// The messages: 100 at most, of 8 MiB together if there are several.
    pub letters: Vec<LetterNew>,
}

/// A message that is to be added to a folder.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LetterNew {
    /// How many octets follow for it.
    pub octets: u64,
    /// Its flags and keywords, by name.
    pub flags: Vec<String>,
    /// `INTERNALDATE`, in milliseconds since 1970.
    pub date: u64,
}

/// The files that make up a state of the store, and what belongs to it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SnapshotView {
    /// The system's name.
    pub hostname: String,
    /// All up to this batch is in it.
    pub lsn: u64,
    /// What stands before the names of the files, from the data folder on.
    pub prefix: String,
    /// The files.
    pub files: Vec<SnapshotFileView>,
    /// The configuration, and the certificates and keys that it names.
    pub settings: Vec<PathBuf>,
}

/// A file of a state of the store.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SnapshotFileView {
    /// Its name in a data folder.
    pub name: String,
    /// How many of its octets belong to the state.
    pub octets: u64,
    /// Whether nobody changes it any more.
    pub sealed: bool,
}

/// What giving room back has come to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CompactView {
    /// Octets of the journal before.
    pub octets_before: u64,
    /// Octets of it afterwards.
    pub octets_after: u64,
}
