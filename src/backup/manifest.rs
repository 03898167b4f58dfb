//! The manifest of a state: which files it has, and what is in each of them.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{BackupError, files};

/// What a state is made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format of the backup.
    pub format: u8,
    /// The Heronry that took it.
    pub version: String,
    /// When it was begun, RFC 3339.
    pub taken: String,
    /// The name of the system; none if it was not running.
    pub hostname: Option<String>,
    /// All up to this batch of the journal is in it; none if the system was not running: then it is
    /// all there was.
    pub lsn: Option<u64>,
    /// Its files, ascending by name.
    pub files: Vec<Entry>,
}

/// A file of a state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name in the state, with `/` between folder and file.
    pub name: String,
    /// Its length.
    pub octets: u64,
    /// The BLAKE3 of its content, hexadecimal.
    pub blake3: String,
    /// When the file it was copied from had been changed last, in nanoseconds since 1970: one that
    /// has the same name, length and time is taken for the same. None for what is copied each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<u64>,
    /// Where it was, if that was not in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<PathBuf>,
}

impl Manifest {
    /// The format that is written.
    pub const FORMAT: u8 = 1;

    /// The sum of the lengths of its files.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.files.iter().map(|file| file.octets).sum()
    }

    /// Reads the manifest of the state in `folder`.
    ///
    /// # Errors
    /// [`BackupError::Damaged`], [`BackupError::Newer`], [`BackupError::Disk`].
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(FILE);
        let damaged = || BackupError::Damaged {
            what: path.display().to_string(),
        };
        let text = fs::read(&path).map_err(BackupError::disk("read", &path))?;
        let of = folder.join(DIGEST_FILE);
        let digest = fs::read_to_string(&of).map_err(BackupError::disk("read", &of))?;
        let digest = digest.split_whitespace().next().unwrap_or_default();
        if digest != blake3::hash(&text).to_hex().as_str() {
            return Err(damaged());
        }
        let Format { format } = serde_json::from_slice(&text).map_err(|_| damaged())?;
        if format > Self::FORMAT {
            return Err(BackupError::Newer {
                what: path.display().to_string(),
                found: format,
                known: Self::FORMAT,
            });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|_| damaged())?;
        match manifest.files.iter().all(|file| is_inside(&file.name)) {
            true => Ok(manifest),
            false => Err(damaged()),
        }
    }

    /// Writes the manifest of the state in `folder`, durably.
    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(self).expect("its maps have strings for keys");
        let digest = format!("{}  {FILE}\n", blake3::hash(&text).to_hex());
        files::write(&folder.join(FILE), &text)?;
        files::write(&folder.join(DIGEST_FILE), digest.as_bytes())
    }
}

/// What every manifest has, whatever its format is.
#[derive(Deserialize)]
struct Format {
    format: u8,
}

/// Whether a name leads nowhere but into the state.
fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// The manifest's name in its state.
const FILE: &str = "manifest.json";

/// Its own BLAKE3, as `b3sum` writes it.
const DIGEST_FILE: &str = "manifest.blake3";

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str) -> Manifest {
        Manifest {
            format: Manifest::FORMAT,
            version: "0.1.0".to_owned(),
            taken: "2026-11-29T13:33:43Z".to_owned(),
            hostname: Some("mx.example.test".to_owned()),
            lsn: Some(7),
            files: vec![Entry {
                name: name.to_owned(),
                octets: 3,
                blake3: blake3::hash(b"abc").to_hex().to_string(),
                modified: None,
                origin: Some("heronry.toml".into()),
            }],
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was_written_and_a_turned_bit_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let written = manifest("data/journal/0000000001.seg");
        written.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), written);
        let path = folder.path().join(FILE);
        let mut text = fs::read(&path).unwrap();
        text[40] ^= 1;
        fs::write(&path, text).unwrap();
        let read = Manifest::read(folder.path());
        assert!(matches!(read, Err(BackupError::Damaged { .. })), "{read:?}");
    }

    #[test]
    fn a_newer_manifest_is_refused_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let mut newer = manifest("a");
        newer.format += 1;
        newer.write(folder.path()).unwrap();
        let read = Manifest::read(folder.path());
        assert!(
            matches!(read, Err(BackupError::Newer { found: 2, .. })),
            "{read:?}"
        );
    }

    #[test]
    fn a_name_that_leads_out_of_the_state_is_damage() {
        for name in ["../a", "/etc/passwd", "a/../../b", ""] {
            let folder = tempfile::tempdir().unwrap();
            manifest(name).write(folder.path()).unwrap();
            let read = Manifest::read(folder.path());
            assert!(
                matches!(read, Err(BackupError::Damaged { .. })),
                "{name}: {read:?}"
            );
        }
    }
}
