//! The data folder: it is there, it is ours, and nobody else can look into it.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::Path,
};

use super::StartError;

/// Makes the folder if it is not there, and keeps others out.
pub(super) fn prepare(folder: &Path) -> Result<(), StartError> {
    make(folder).map_err(|source| StartError::Folder {
        folder: folder.to_owned(),
        source,
    })
}

fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let found = fs::metadata(folder)?;
    if !found.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "it is not a folder",
        ));
    }
    let mode = found.permissions().mode();
    let is_open_to_others = mode & 0o077 != 0;
    if is_open_to_others && found.uid() == rustix::process::geteuid().as_raw() {
        if mode & STICKY != 0 || !is_for_us_alone(folder)? {
            return Err(io::Error::other(SHARED));
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether nobody else has anything in the folder: the store has locked it before, or it is empty.
fn is_for_us_alone(folder: &Path) -> io::Result<bool> {
    if folder.join(LOCK).exists() {
        return Ok(true);
    }
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() != LOST_AND_FOUND {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first file that the store makes.
const LOCK: &str = "lock";

/// A file system of its own has this folder from the beginning.
const LOST_AND_FOUND: &str = "lost+found";

/// Folders such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Closing a folder to others must take nothing from them.
const SHARED: &str = "it holds other things, and others can look into it; \
                      name a folder of Heronry's own, or one that is not there yet";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_made_and_closed_to_others() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        prepare(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        prepare(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_use_is_left_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let mode = |folder: &Path| fs::metadata(folder).unwrap().permissions().mode() & 0o7777;
        let (full, sticky) = (parent.path().join("full"), parent.path().join("sticky"));
        for (folder, bits) in [(&full, 0o755), (&sticky, 0o1777)] {
            fs::create_dir(folder).unwrap();
            fs::write(full.join("letter"), "x").unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(bits)).unwrap();
            let error = prepare(folder).unwrap_err().to_string();
            assert!(error.contains("others can look into it"), "{error}");
            assert_eq!(mode(folder), bits);
        }
        fs::write(full.join(LOCK), "").unwrap();
        prepare(&full).unwrap();
        assert_eq!(mode(&full), 0o700);
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = prepare(&file).unwrap_err().to_string();
        assert!(error.starts_with("cannot use the data folder "), "{error}");
    }
}
