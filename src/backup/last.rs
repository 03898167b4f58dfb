//! The last good state of a backup: it is written down in the data folder, so that whoever watches the
//! daemon sees how old it is, whether the daemon ran when it was taken or not.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    BackupError, files,
    metrics::{OCTETS, TAKEN},
};

/// The last good state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Last {
    /// Its name.
    pub state: String,
    /// When it was begun, in milliseconds since 1970: what came later is not in it.
    pub taken: u64,
    /// Octets of its files.
    pub octets: u64,
}

impl Last {
    /// Reads what is written down in a data folder. What cannot be read counts as none: it is for
    /// watching only, and the next backup writes it anew.
    #[must_use]
    pub fn read(data: &Path) -> Option<Self> {
        let path = data.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            read => read,
        };
        let last = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::other));
        last.inspect_err(|error| tracing::warn!(%error, path = %path.display(), "cannot be read"))
            .ok()
    }

    /// Writes it down.
    ///
    /// # Errors
    /// [`BackupError::Disk`].
    pub fn write(&self, data: &Path) -> Result<(), BackupError> {
        let path = data.join(FILE);
        let text = serde_json::to_vec(self).expect("it has strings for keys");
        files::write(&path, &text)?;
        // Whoever backed up may not be whom the daemon runs as; the folder is closed to all others.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
            .map_err(BackupError::disk("open to the daemon", &path))?;
        files::sync_folder(data)
    }

    /// Tells those who watch.
    pub fn show(last: Option<&Self>) {
        let seconds = last.map_or(0.0, |last| last.taken as f64 / 1000.0);
        TAKEN.set(seconds, &[]);
        OCTETS.set(last.map_or(0.0, |last| last.octets as f64), &[]);
    }
}

/// Its name in the data folder.
const FILE: &str = "last-backup";

#[test]
fn what_is_written_down_comes_back_and_what_cannot_be_read_counts_as_none() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(Last::read(data.path()), None);
    let last = Last {
        state: "2026-11-29T13-33-43Z".to_owned(),
        taken: 1_795_959_223_000,
        octets: 7,
    };
    last.write(data.path()).unwrap();
    assert_eq!(Last::read(data.path()), Some(last));
    fs::write(data.path().join(FILE), "{").unwrap();
    assert_eq!(Last::read(data.path()), None);
}
