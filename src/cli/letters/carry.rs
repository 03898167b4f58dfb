//! Bringing letters over, with an account of what was brought.

use serde::Serialize;

use super::{Folder, Letter, Sink, Source};
use crate::{
    backup::Progress,
    cli::{Failure, meter::Meter, output::counted},
};

/// What was brought over.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::cli) struct Carried {
    /// Folders that were gone through.
    pub(in crate::cli) folders: usize,
    /// Letters that were brought.
    pub(in crate::cli) letters: u64,
    /// Octets of them.
    pub(in crate::cli) octets: u64,
    /// Letters that were there already.
    pub(in crate::cli) there: u64,
}

/// Brings the letters of every folder over that `place` gives a name, under that name.
pub(in crate::cli) fn carry(
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    place: &dyn Fn(&Folder) -> Option<String>,
    meter: &mut Meter,
) -> Result<Carried, Failure> {
    let mut chosen = Vec::new();
    for folder in source.folders()? {
        if let Some(name) = place(&folder) {
            chosen.push((
                Folder {
                    name,
                    ..folder.clone()
                },
                folder,
            ));
        }
    }
    meter.begin(
        "bringing mail",
        chosen.iter().map(|(_, from)| from.octets).sum(),
    );
    let mut carried = Carried::default();
    for (to, from) in chosen {
        let failed = |carried: &Carried, failure: Failure| Failure {
            message: format!(
                "{}: {}; {carried} before: run it again, and it goes on",
                to.name, failure.message
            ),
            ..failure
        };
        sink.begin(&to)
            .map_err(|failure| failed(&carried, failure))?;
        let mut counter = Counter {
            sink,
            carried: &mut carried,
            meter,
        };
        let gone = source.letters(&from, &mut counter);
        // What was taken before a trouble is kept.
        let ended = sink.end();
        let (late, octets) = sink.late();
        carried.letters = carried.letters.saturating_sub(late);
        carried.octets = carried.octets.saturating_sub(octets);
        carried.there += late;
        gone.and(ended)
            .map_err(|failure| failed(&carried, failure))?;
        carried.folders += 1;
    }
    Ok(carried)
}

impl std::fmt::Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} with {} octets brought, {} there already",
            counted(self.letters as usize, "message"),
            self.octets,
            self.there
        )
    }
}

/// Counts what goes into a sink.
struct Counter<'a> {
    sink: &'a mut dyn Sink,
    carried: &'a mut Carried,
    meter: &'a mut Meter,
}

impl Sink for Counter<'_> {
    fn begin(&mut self, folder: &Folder) -> Result<(), Failure> {
        self.sink.begin(folder)
    }

    fn wants(&mut self, digest: &[u8; 32], octets: u64) -> bool {
        let wanted = self.sink.wants(digest, octets);
        if !wanted {
            self.carried.there += 1;
            self.meter.advance(octets);
        }
        wanted
    }

    fn take(&mut self, letter: Letter, digest: [u8; 32]) -> Result<(), Failure> {
        let octets = letter.octets.len() as u64;
        self.sink.take(letter, digest)?;
        self.carried.letters += 1;
        self.carried.octets += octets;
        self.meter.advance(octets);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.sink.end()
    }
}
