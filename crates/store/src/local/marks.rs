//! The small files of the data folder: its format, the machine's last start, the clean stop.

use std::io;

use crate::{
    StoreError,
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

/// Refuses a folder that a newer Heronry has written; says of a new one what it is.
pub(super) fn check_format(disk: &dyn Disk) -> Result<(), StoreError> {
    let found = read_all(disk, FORMAT_FILE).map_err(|e| disk_error("read the format", &e))?;
    let Some(found) = found else {
        let text = format!("{FORMAT_TEXT}{FORMAT}\n");
        return write_whole(disk, FORMAT_FILE, text.as_bytes())
            .map_err(|error| disk_error("write the format", &error));
    };
    let number = std::str::from_utf8(&found).ok().and_then(|text| {
        text.strip_prefix(FORMAT_TEXT)?
            .trim_end()
            .parse::<u8>()
            .ok()
    });
    match number {
        Some(found) if found > FORMAT => Err(StoreError::Newer {
            what: "the data folder".to_owned(),
            found,
            known: FORMAT,
        }),
        Some(_) => Ok(()),
        None => Err(StoreError::Damage {
            what: "the file `format` of the data folder".to_owned(),
        }),
    }
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

/// The format of the data folder as a whole.
const FORMAT: u8 = 1;
const FORMAT_TEXT: &str = "heronry store ";
const FORMAT_FILE: &str = "format";
const BOOT_FILE: &str = "boot";
const CLEAN_FILE: &str = "clean";
