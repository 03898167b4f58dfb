//! What the desk does for whoever tries the house: it harms actors on purpose.

use supervision::{Fate, Trial};

use super::{
    Desk,
    protocol::{BlowView, HarmView, Refusal, RefusalKind},
};
use crate::chaos::Harm;

impl Desk {
    /// Harms the actor at `path`, or one of the members of the family there.
    pub(super) fn harm(
        &self,
        path: &str,
        nth: u64,
        harm: Harm,
        trial: &mut Trial,
    ) -> Result<HarmView, Refusal> {
        let not_yet = || Refusal::new(RefusalKind::Broken, "the daemon is still starting");
        let root = self.parts.view.root().ok_or_else(not_yet)?;
        let members = format!("{path}[");
        let mut paths = root.paths();
        paths.retain(|found| found.starts_with(&members));
        paths.sort_unstable();
        let at = nth.checked_rem(paths.len() as u64).map(|at| at as usize);
        let path = at.and_then(|at| paths.get(at)).map_or(path, |path| path);
        let place = root.place(path);
        let blow = place.and_then(|place| trial.harm(&place, harm.into()));
        let nobody = || {
            let message = format!("nobody at {path} can be harmed");
            Refusal::new(RefusalKind::Missing, message)
        };
        Ok(HarmView {
            path: path.to_owned(),
            blow: blow.ok_or_else(nobody)?,
            fates: views(trial.fates()),
        })
    }
}

/// Takes back harm that has not struck.
pub(super) fn truce(trial: &mut Trial) -> Vec<BlowView> {
    views(std::mem::take(trial).end())
}

fn views(fates: Vec<(u64, Fate)>) -> Vec<BlowView> {
    let view = |(blow, fate)| BlowView { blow, fate };
    fates.into_iter().map(view).collect()
}

impl From<Harm> for supervision::Harm {
    fn from(harm: Harm) -> Self {
        match harm {
            Harm::Error => Self::Error,
            Harm::Kill => Self::Kill,
            Harm::Panic => Self::Panic,
            Harm::Stuck => Self::Stuck,
        }
    }
}
