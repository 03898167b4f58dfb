//! What the desk does about single actors: it shows them, and has them restarted.

use std::time::Duration;

use supervision::{Place, Sight};

use super::{
    Desk,
    protocol::{Refusal, RefusalKind},
};

impl Desk {
    /// What is known of the actor at `path`.
    pub(super) async fn show_actor(&self, path: &str) -> Result<Sight, Refusal> {
        let sight = self.place(path)?.look(REPORT_LIMIT).await;
        sight.ok_or_else(|| nobody(path))
    }

    /// Ends the present incarnation of the actor at `path`.
    pub(super) async fn restart_actor(&self, path: &str) -> Result<(), Refusal> {
        let place = self.place(path)?;
        if !path.contains('/') {
            return Err(Refusal::new(
                RefusalKind::Wrong,
                "the root has nobody above it that would start it again",
            ));
        }
        match place.restart().await {
            true => Ok(()),
            false => Err(nobody(path)),
        }
    }

    fn place(&self, path: &str) -> Result<Place, Refusal> {
        let not_yet = || Refusal::new(RefusalKind::Broken, "the daemon is still starting");
        let root = self.parts.view.root().ok_or_else(not_yet)?;
        root.place(path).ok_or_else(|| nobody(path))
    }
}

fn nobody(path: &str) -> Refusal {
    let hint =
        "heronry/trunk/router, heronry/trunk/mailboxes[17]; `heronry tree` shows who is there";
    Refusal::new(
        RefusalKind::Missing,
        format!("nobody is at {path}; a path is as {hint}"),
    )
}

/// How long an actor may take for its report: one that is stuck never tells.
const REPORT_LIMIT: Duration = Duration::from_secs(2);
