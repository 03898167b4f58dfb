//! Copies of what is damaged in the journal: what rots goes on rotting, and its segment may be given
//! back. Whoever wants to look into it, or to bring something back from it, has what there was.

use std::{
    fmt,
    io::{self, IoSlice},
};

use super::keeper::Shared;
use crate::{
    disk::{Disk, File, in_pieces, write_whole},
    journal::{FRAMES_FROM, Found, Span},
};

/// A stretch of the journal that is not what was written there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stretch {
    pub(super) segment: u32,
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) why: Why,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Why {
    /// A body in the frame does not have its checksum.
    Body,
    /// The segment does not begin as one.
    Head,
    /// No frame begins there.
    NoFrame,
    /// The frame's operations do not have their checksum.
    Operations,
}

impl Shared {
    /// Copies what is damaged, if that was not done before, and says what and where it is.
    pub(super) fn set_aside(&self, journal: &dyn File, stretch: &Stretch) -> String {
        let disk = &*self.disk;
        if !disk.lasts() {
            return stretch.to_string();
        }
        match keep(disk, self.config.reserve_octets, journal, stretch) {
            Ok(name) => format!("{stretch}; a copy is {name}"),
            // Reading goes on: a disk that rots may be full, too.
            Err(error) => format!("{stretch}; there is no copy: {error}"),
        }
    }
}

/// Keeps the octets of a stretch, and beside them what was wrong with them; yields their name. What is
/// there already stays: it is what was found first.
fn keep(
    disk: &dyn Disk,
    reserve_octets: u64,
    journal: &dyn File,
    stretch: &Stretch,
) -> io::Result<String> {
    disk.create_folder(FOLDER)?;
    disk.sync_folder("")?;
    let own = stretch.name();
    let name = format!("{FOLDER}/{own}");
    let mut kept = Kept::default();
    for there in disk.list(FOLDER)? {
        if there == own {
            return Ok(name);
        }
        kept.add(&there);
    }
    let octets = stretch.until - stretch.from;
    if kept.files >= FILES_MAX || kept.octets + octets > OCTETS_MAX {
        let full = format!("{FOLDER} holds as much as it may");
        return Err(io::Error::other(full));
    }
    if disk.free()? < reserve_octets.saturating_add(octets) {
        return Err(io::Error::other("the disk is nearly full"));
    }
    write_whole(
        disk,
        &format!("{name}.txt"),
        format!("{stretch}\n").as_bytes(),
    )?;
    let part = format!("{name}.part");
    let copied = copy(disk, &part, journal, stretch).and_then(|()| disk.rename(&part, &name));
    match copied {
        Ok(()) => disk.sync_folder(FOLDER).map(|()| name),
        Err(error) => {
            let _ = disk.remove(&part); // it takes room that there is not
            Err(error)
        }
    }
}

fn copy(disk: &dyn Disk, to: &str, journal: &dyn File, stretch: &Stretch) -> io::Result<()> {
    let file = disk.create(to, 0)?;
    in_pieces(journal, stretch.from, stretch.until, |at, octets| {
        file.write_at(&mut [IoSlice::new(octets)], at - stretch.from)
    })?;
    file.sync()
}

/// How much is in the folder.
#[derive(Default)]
struct Kept {
    files: usize,
    octets: u64,
}

impl Kept {
    /// Counts a copy; what is beside it is small.
    fn add(&mut self, name: &str) {
        let mut numbers = name.split('-').map(str::parse::<u64>);
        if let (Some(Ok(_)), Some(Ok(from)), Some(Ok(until)), None) = (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) {
            self.files += 1;
            self.octets += until.saturating_sub(from);
        }
    }
}

impl Stretch {
    /// The head of a segment.
    pub(super) const fn head(segment: u32) -> Self {
        Self {
            segment,
            from: 0,
            until: FRAMES_FROM,
            why: Why::Head,
        }
    }

    /// What a scan has found, if it is damaged.
    pub(super) fn of(segment: u32, found: &Found<'_>) -> Option<Self> {
        let why = match found {
            Found::Frame { whole: true, .. } => return None,
            Found::Frame { .. } => Why::Body,
            Found::Bad(Span { lsn: Some(_), .. }) => Why::Operations,
            Found::Bad(_) => Why::NoFrame,
        };
        let (from, until) = span_of(found);
        Some(Self {
            segment,
            from,
            until,
            why,
        })
    }

    fn name(&self) -> String {
        format!("{:010}-{}-{}", self.segment, self.from, self.until)
    }
}

/// From where to where what was found goes.
pub(super) fn span_of(found: &Found<'_>) -> (u64, u64) {
    match found {
        Found::Frame { at, head, .. } => (*at, at + head.octets()),
        Found::Bad(span) => (span.from, span.until),
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            from,
            until,
            why,
        } = self;
        if *why == Why::Head {
            return write!(f, "the head of journal segment {segment}");
        }
        let why = match why {
            Why::Body => "a body in this frame does not have its checksum",
            Why::Head | Why::NoFrame => "no frame begins there",
            Why::Operations => "the operations of this frame do not have their checksum",
        };
        write!(
            f,
            "octets {from} to {until} of journal segment {segment}: {why}"
        )
    }
}

/// Where the copies are, in the data folder.
const FOLDER: &str = "damaged";

/// Copies that are kept. A disk that has lost more than that needs none.
const FILES_MAX: usize = 1000;

/// Octets of all copies together.
const OCTETS_MAX: u64 = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{SimulatedDisk, read_all};

    const STRETCH: Stretch = Stretch {
        segment: 7,
        from: 4096,
        until: 4196,
        why: Why::Body,
    };

    fn journal(disk: &SimulatedDisk) -> std::sync::Arc<dyn File> {
        let file = disk.create("journal/0000000007.seg", 0).unwrap();
        let octets: Vec<u8> = (0..8192_u32).map(|at| (at % 251) as u8).collect();
        file.write_at(&mut [IoSlice::new(&octets)], 0).unwrap();
        file
    }

    fn whole(disk: &SimulatedDisk, name: &str) -> Vec<u8> {
        read_all(disk, name).unwrap().unwrap()
    }

    #[test]
    fn a_stretch_is_copied_once_and_the_first_copy_stays() {
        let disk = SimulatedDisk::new(1);
        let journal = journal(&disk);
        let name = keep(&disk, 0, &*journal, &STRETCH).unwrap();
        assert_eq!(name, "damaged/0000000007-4096-4196");
        let first = whole(&disk, &name);
        assert_eq!(first, whole(&disk, "journal/0000000007.seg")[4096..4196]);
        let note = String::from_utf8(whole(&disk, &format!("{name}.txt"))).unwrap();
        assert_eq!(note, format!("{STRETCH}\n"));
        disk.rot("journal/0000000007.seg", 4100);
        assert_eq!(keep(&disk, 0, &*journal, &STRETCH).unwrap(), name);
        assert_eq!(whole(&disk, &name), first);
        disk.cut_power();
        assert_eq!(whole(&disk, &name), first, "it is there for good");
    }

    #[test]
    fn no_more_is_copied_than_there_is_room_for() {
        let disk = SimulatedDisk::new(1);
        let journal = journal(&disk);
        disk.set_free(1000);
        let full = keep(&disk, 901, &*journal, &STRETCH).unwrap_err();
        assert!(full.to_string().contains("nearly full"), "{full}");
        keep(&disk, 900, &*journal, &STRETCH).unwrap();
        for number in 1..FILES_MAX as u64 {
            let stretch = Stretch {
                from: number,
                ..STRETCH
            };
            drop(disk.create(&format!("{FOLDER}/{}", stretch.name()), 0));
        }
        let next = Stretch { from: 0, ..STRETCH };
        let many = keep(&disk, 0, &*journal, &next).unwrap_err();
        assert!(many.to_string().contains("as much as it may"), "{many}");
        assert!(keep(&disk, 0, &*journal, &STRETCH).is_ok(), "it is there");
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing_that_passes_for_one() {
        let disk = SimulatedDisk::new(1);
        let journal = journal(&disk);
        disk.refuse("damaged/0000000007-4096-4196.part");
        assert!(keep(&disk, 0, &*journal, &STRETCH).is_err());
        let left = disk.list(FOLDER).unwrap();
        assert_eq!(left, ["0000000007-4096-4196.txt"]);
    }
}
