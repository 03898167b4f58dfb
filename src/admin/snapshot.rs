//! What the desk does for a backup: it has a state of the store kept, and names what belongs to it.

use supervision::blocking;

use super::{
    Desk,
    desk::refused,
    protocol::{Refusal, RefusalKind, SnapshotFileView, SnapshotView},
    session::Session,
};

impl Desk {
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
