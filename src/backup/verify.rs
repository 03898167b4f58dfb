//! Verifying states: every file is there, and is what the manifest says.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use super::{BackupError, Progress, State, files};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Files that were looked at.
    pub files: usize,
    /// Octets of them; what several states share is read and counted once.
    pub octets: u64,
    /// What is not as it should be, with its place.
    pub damage: Vec<String>,
}

/// Reads every file of these states and compares it with its manifest.
///
/// # Errors
/// [`BackupError::Newer`]. What cannot be read is damage.
pub fn verify(states: &[State], progress: &mut dyn Progress) -> Result<Verified, BackupError> {
    let mut verified = Verified::default();
    let mut wanted = Vec::new();
    for state in states {
        match state.manifest() {
            Ok(manifest) => {
                let files = manifest.files.into_iter();
                wanted.extend(files.map(|entry| (state, entry)));
            }
            Err(error @ BackupError::Newer { .. }) => return Err(error),
            Err(error) => verified.damage.push(error.to_string()),
        }
    }
    // The same file under several names is read once.
    let mut seen: BTreeMap<(u64, u64), String> = BTreeMap::new();
    let mut total = 0;
    for (state, entry) in &wanted {
        if let Ok(found) = fs::metadata(state.folder.join(&entry.name))
            && seen
                .insert((found.dev(), found.ino()), String::new())
                .is_none()
        {
            total += found.len();
        }
    }
    progress.begin("verifying", total);
    for (state, entry) in wanted {
        verified.files += 1;
        let (name, path) = (
            format!("{}/{}", state.name, entry.name),
            state.folder.join(&entry.name),
        );
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) => {
                verified.damage.push(format!("{name}: {error}"));
                continue;
            }
        };
        if found.permissions().mode() & 0o077 != 0 {
            verified
                .damage
                .push(format!("{name} can be read by others"));
        }
        let known = seen.entry((found.dev(), found.ino())).or_default();
        if known.is_empty() {
            verified.octets += found.len();
            match files::digest(&path, progress) {
                Ok(digest) => *known = digest,
                Err(error) => {
                    verified.damage.push(format!("{name}: {error}"));
                    continue;
                }
            }
        }
        if found.len() != entry.octets || *known != entry.blake3 {
            verified
                .damage
                .push(format!("{name} is not what was copied"));
        }
    }
    Ok(verified)
}
