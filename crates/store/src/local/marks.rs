//! The small files of the data folder: its format, the machine's last start, the clean stop.

use std::io;

use super::config::Config;
use crate::{
    StoreError,
    codec::Compress,
    directory::checkpoint,
    disk::{Disk, read_all, write_whole},
    journal::disk_error,
};

/// Left by a clean stop: the directory is whole, and the journal ends here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Clean {
    pub(super) lsn: u64,
    pub(super) segment: u32,
    pub(super) end: u64,
}

/// The formats of a data folder as a whole. What is read is every one up to the newest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Formats {
    /// The newest that is written to this folder. The Heronry before, which does not know a newer
    /// one, can still open it.
    pub written: u8,
    /// The newest that this Heronry knows. A new folder begins with it.
    pub newest: u8,
}

impl Formats {
    /// The settings without what could not be written in the formats that are written here.
    pub(super) fn bound(self, config: Config) -> Config {
        if self.written >= COMPRESSED {
            return config;
        }
        Config {
            compress: Compress::Never,
            ..config
        }
    }
}

/// Whether operations may be dense in a folder of that format.
pub(super) const fn is_dense(format: u8) -> bool {
    format >= DENSE
}

/// How checkpoints are written in a folder of that format.
pub(super) const fn checkpoint_format(format: u8) -> checkpoint::Format {
    if format >= PACKED {
        checkpoint::Format::Packed
    } else {
        checkpoint::Format::Plain
    }
}

/// The formats of the folder. One that a newer Heronry has written is refused; a new one begins
/// with the newest.
pub(super) fn check_format(disk: &dyn Disk, newest: u8) -> Result<Formats, StoreError> {
    let found = read_all(disk, FORMAT_FILE).map_err(|e| disk_error("read the format", &e))?;
    let Some(found) = found else {
        return write_format(disk, newest);
    };
    let number = std::str::from_utf8(&found).ok().and_then(|text| {
        text.strip_prefix(FORMAT_TEXT)?
            .trim_end()
            .parse::<u8>()
            .ok()
    });
    match number {
        Some(found) if found > newest => Err(StoreError::Newer {
            what: "the data folder".to_owned(),
            found,
            known: newest,
        }),
        Some(written) => Ok(Formats { written, newest }),
        None => Err(StoreError::Damage {
            what: "the file `format` of the data folder".to_owned(),
        }),
    }
}

/// From now on the newest format is written, and no older Heronry opens the folder any more.
pub(super) fn write_format(disk: &dyn Disk, newest: u8) -> Result<Formats, StoreError> {
    let text = format!("{FORMAT_TEXT}{newest}\n");
    write_whole(disk, FORMAT_FILE, text.as_bytes())
        .map_err(|error| disk_error("write the format", &error))?;
    Ok(Formats {
        written: newest,
        newest,
    })
}

/// Whether a restore has not come to its end: what it has brought so far is no store yet.
pub(super) fn is_being_restored(disk: &dyn Disk) -> io::Result<bool> {
    Ok(read_all(disk, RESTORING)?.is_some())
}

/// The last start of the machine and the shape of the directory, as the last process saw them.
pub(super) fn read_boot(disk: &dyn Disk) -> Result<Option<String>, StoreError> {
    let found = read_all(disk, BOOT_FILE).map_err(|e| disk_error("read the boot mark", &e))?;
    Ok(found.and_then(|octets| String::from_utf8(octets).ok()))
}

pub(super) fn write_boot(disk: &dyn Disk, boot: &str) -> Result<(), StoreError> {
    write_whole(disk, BOOT_FILE, boot.as_bytes())
        .map_err(|error| disk_error("write the boot mark", &error))
}

/// The mark of a clean stop, if it is there and sound.
pub(super) fn read_clean(disk: &dyn Disk) -> Result<Option<Clean>, StoreError> {
    let found = read_all(disk, CLEAN_FILE).map_err(|e| disk_error("read the clean mark", &e))?;
    let text = found.and_then(|octets| String::from_utf8(octets).ok());
    Ok(text.and_then(|text| {
        let (line, crc) = text.trim_end().rsplit_once(' ')?;
        if crc != format!("{:08x}", crc32c::crc32c(line.as_bytes())) {
            return None;
        }
        let mut words = line.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        Some(Clean {
            lsn: number()?,
            segment: u32::try_from(number()?).ok()?,
            end: number()?,
        })
    }))
}

pub(super) fn write_clean(disk: &dyn Disk, clean: Clean) -> Result<(), StoreError> {
    let line = format!("{} {} {}", clean.lsn, clean.segment, clean.end);
    let text = format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes()));
    write_whole(disk, CLEAN_FILE, text.as_bytes())
        .map_err(|error| disk_error("write the clean mark", &error))
}

pub(super) fn remove_clean(disk: &dyn Disk) -> Result<(), StoreError> {
    remove(disk, CLEAN_FILE).map_err(|error| disk_error("remove the clean mark", &error))
}

/// Without the mark no partition is trusted.
pub(super) fn remove_boot(disk: &dyn Disk) -> Result<(), StoreError> {
    remove(disk, BOOT_FILE).map_err(|error| disk_error("remove the boot mark", &error))
}

fn remove(disk: &dyn Disk, file: &str) -> io::Result<()> {
    match disk.remove(file) {
        Ok(()) => disk.sync_folder(""),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file of the data folder while a restore fills it, written first and removed last.
pub const RESTORING: &str = "restoring";

/// The newest format of the data folder as a whole.
///
/// | format | what is written with it, and cannot be read by who knows only the one before |
/// |---|---|
/// | 1 | the first |
/// | 2 | segments whose bodies may be compressed, and whose frames have a number by chance |
/// | 3 | frames whose operations are dense; checkpoints whose blocks are packed; a list of limited accounts, which the one before would not keep |
pub(super) const FORMAT: u8 = 3;

/// From this format on bodies may be compressed.
const COMPRESSED: u8 = 2;
/// From this format on operations may be dense.
const DENSE: u8 = 3;
/// From this format on checkpoints are packed.
const PACKED: u8 = 3;
/// From this format on limited accounts are listed.
pub(super) const LISTS: u8 = 3;
const FORMAT_TEXT: &str = "heronry store ";
pub(super) const FORMAT_FILE: &str = "format";
const BOOT_FILE: &str = "boot";
const CLEAN_FILE: &str = "clean";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

    #[test]
    fn the_small_files_have_these_octets_for_ever() {
        let disk = SimulatedDisk::new(1);
        let text = |name: &str| {
            let octets = read_all(&disk, name).unwrap().unwrap();
            String::from_utf8(octets).unwrap()
        };
        check_format(&disk, 1).unwrap();
        assert_eq!(text(FORMAT_FILE), "heronry store 1\n");
        let clean = Clean {
            lsn: 17,
            segment: 3,
            end: 4242,
        };
        write_clean(&disk, clean).unwrap();
        assert_eq!(text(CLEAN_FILE), "17 3 4242 b0a9b2ef\n");
        assert_eq!(read_clean(&disk).unwrap(), Some(clean));
    }

    #[test]
    fn an_upgrade_is_undone_until_somebody_agrees_to_it() {
        let disk = SimulatedDisk::new(1);
        let (old, new) = (1, 2);
        check_format(&disk, old).unwrap();
        let formats = check_format(&disk, new).unwrap();
        assert_eq!(
            (formats.written, formats.newest),
            (1, 2),
            "the new one writes the old format"
        );
        assert_eq!(
            check_format(&disk, old).unwrap().written,
            1,
            "the old one goes on with it"
        );
        write_format(&disk, new).unwrap();
        assert_eq!(check_format(&disk, new).unwrap().written, 2);
        let refused = check_format(&disk, old).unwrap_err();
        assert!(
            matches!(
                refused,
                StoreError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{refused}"
        );
        let text = refused.to_string();
        assert!(text.contains("use the Heronry that wrote it"), "{text}");
        let fresh = SimulatedDisk::new(2);
        assert_eq!(
            check_format(&fresh, new).unwrap().written,
            2,
            "a new folder has nothing to undo"
        );
    }
}
