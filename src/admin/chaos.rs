//! What the desk does for whoever tries the house: it harms actors on purpose.

use super::{
    Desk,
    protocol::{Refusal, RefusalKind},
};
use crate::chaos::Harm;

impl Desk {
    /// Harms the actor at `path`, or one of the members of the family there; its path.
    pub(super) fn harm(&self, path: &str, nth: u64, harm: Harm) -> Result<String, Refusal> {
        let not_yet = || Refusal::new(RefusalKind::Broken, "the daemon is still starting");
        let root = self.parts.view.root().ok_or_else(not_yet)?;
        let members = format!("{path}[");
        let mut paths = root.paths();
        paths.retain(|found| found.starts_with(&members));
        paths.sort_unstable();
        let at = nth.checked_rem(paths.len() as u64).map(|at| at as usize);
        let path = at.and_then(|at| paths.get(at)).map_or(path, |path| path);
        let harmed = root
            .place(path)
            .is_some_and(|place| place.harm(harm.into()));
        match harmed {
            true => Ok(path.to_owned()),
            false => Err(Refusal::new(
                RefusalKind::Missing,
                format!("nobody at {path} can be harmed"),
            )),
        }
    }
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
