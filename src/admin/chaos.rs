//! What the desk does for whoever tries the house: it harms actors on purpose.

use supervision::{Fate, Trial};

use super::{
    Desk,
    protocol::{AimView, BlowView, HarmView, Refusal, RefusalKind},
};
use crate::chaos::Harm;

impl Desk {
    /// Harms the actor at `path`, or so many members of the family there, from the nth one on.
    pub(super) fn harm(
        &self,
        path: &str,
        (nth, count): (u64, usize),
        harm: Harm,
        trial: &mut Trial,
    ) -> Result<HarmView, Refusal> {
        let not_yet = || Refusal::new(RefusalKind::Broken, "the daemon is still starting");
        let root = self.parts.view.root().ok_or_else(not_yet)?;
        let nobody = || {
            let message = format!("nobody at {path} can be harmed");
            Refusal::new(RefusalKind::Missing, message)
        };
        let place = root.place(path).ok_or_else(nobody)?;
        let aimed = match place.is_family() {
            true => trial.harm_members(&place, nth, count, harm.into()),
            false => {
                let blow = trial.harm(&place, harm.into());
                blow.map(|blow| (path.to_owned(), blow))
                    .into_iter()
                    .collect()
            }
        };
        if aimed.is_empty() {
            return Err(nobody());
        }
        let aim = |(path, blow)| AimView { path, blow };
        Ok(HarmView {
            aimed: aimed.into_iter().map(aim).collect(),
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
