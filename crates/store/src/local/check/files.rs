//! Checking the files that the directory is made from: the journal and the checkpoints.

use std::{io, ops::ControlFlow};

use super::Check;
use crate::{
    StoreError,
    directory::checkpoint,
    disk::File,
    journal::{self, FRAMES_FROM, Scan, SegmentHead, disk_error, scan},
    local::{damaged::Stretch, progress::Stage},
};

impl Check<'_> {
    /// The frames of the journal, by their checksums.
    pub(super) fn journal(&mut self) -> Result<(), StoreError> {
        let failed = |error: io::Error| disk_error("read the journal", &error);
        let tail = self.shared.journal.lock().tail;
        let numbers = journal::list(&*self.shared.disk).map_err(failed)?;
        for (done, &number) in (1..).zip(&numbers) {
            self.tell(Stage::Segments, done, numbers.len());
            let Some(file) = self.shared.files.segment(number)? else {
                continue;
            };
            self.report.segments += 1;
            let head = SegmentHead::read(&*file).map_err(failed)?;
            let plan = Scan {
                segment: number,
                from: FRAMES_FROM,
                until: (number == tail.segment).then_some(tail.offset),
                chance: head.as_ref().ok().map(|head| head.chance),
                deep: true,
            };
            if head.is_err() {
                self.set_aside(&*file, &Stretch::head(number));
            }
            scan(&file, plan, |found| {
                match Stretch::of(number, &found) {
                    None => self.report.frames += 1,
                    Some(stretch) => self.set_aside(&*file, &stretch),
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// All checkpoints that are kept: whoever makes the directory anew needs one of them.
    pub(super) fn checkpoints(&mut self) -> Result<(), StoreError> {
        let disk = &*self.shared.disk;
        for lsn in checkpoint::list(disk)? {
            match checkpoint::is_sound(disk, lsn) {
                Ok(true) => self.report.checkpoints += 1,
                // Newer ones have come meanwhile.
                _ if !checkpoint::list(disk)?.contains(&lsn) => {}
                Ok(false) => self.bad(format!("the checkpoint {lsn}")),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn set_aside(&mut self, journal: &dyn File, stretch: &Stretch) {
        let what = self.shared.set_aside(journal, stretch);
        self.bad(what);
    }
}
