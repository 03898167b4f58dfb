//! What the desk does with the store as a whole: it has a state kept for a backup and names what belongs
//! to it, and has room given back.

use supervision::blocking;

use super::{
    Desk,
    desk::refused,
    protocol::{CompactView, Refusal, RefusalKind, SnapshotFileView, SnapshotView},
    session::Session,
};
use crate::backup::Last;

impl Desk {
    /// Somebody has taken a state to its end.
    pub(super) async fn backup_done(&self, last: Last) -> Result<(), Refusal> {
        let data = self.parts.config.get().data.clone();
        Last::show(Some(&last));
        let broken = |error: String| {
            let what = format!("the backup is not written down: {error}");
            Refusal::new(RefusalKind::Broken, what)
        };
        let written = blocking(move || last.write(&data)).await;
        written
            .map_err(|error| broken(error.to_string()))?
            .map_err(|error| broken(error.to_string()))
    }

    /// Has the store give back all the room that it can. It takes as long as the disk needs for it;
    /// everybody else goes on.
    pub(super) async fn compact(&self) -> Result<CompactView, Refusal> {
        let octets = || self.parts.disk.stats().map(|stats| stats.journal_octets);
        let octets_before = octets().map_err(refused)?;
        self.parts.disk.reclaim().await.map_err(refused)?;
        Ok(CompactView {
            octets_before,
            octets_after: octets().map_err(refused)?,
        })
    }

    /// Takes a snapshot that stays as long as the connection.
    pub(super) async fn snapshot(&self, session: &mut Session) -> Result<SnapshotView, Refusal> {
        session.end().await;
        let disk = self.parts.disk.clone();
        let taken = blocking(move || disk.snapshot()).await;
        let taken = taken.map_err(|error| {
            Refusal::new(
                RefusalKind::Broken,
                format!("no snapshot was taken: {error}"),
            )
        })?;
        let snapshot = taken.map_err(refused)?;
        let config = self.parts.config.get();
        let named = [
            &self.parts.config_file,
            &config.tls.certificate,
            &config.tls.key,
        ];
        let view = SnapshotView {
            hostname: config.hostname.to_string(),
            lsn: snapshot.lsn.unwrap_or_default(),
            prefix: snapshot.prefix(),
            files: snapshot
                .files
                .iter()
                .map(|file| SnapshotFileView {
                    name: file.name.clone(),
                    octets: file.octets,
                    sealed: file.sealed,
                })
                .collect(),
            settings: named.into_iter().flatten().cloned().collect(),
        };
        session.snapshot = Some(snapshot);
        Ok(view)
    }
}
