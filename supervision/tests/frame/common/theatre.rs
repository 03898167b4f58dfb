//! A family of puppets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use supervision::{Context, Family, FamilySpec, Reason, Root, Strategy, Supervisor};
use tokio::time::sleep;

use super::{Diary, Do, Puppet, Strings};

/// Puppets by number; each key's strings are there before and after its incarnations.
#[derive(Clone, Default)]
pub(crate) struct Theatre {
    pub diary: Diary,
    strings: Arc<Mutex<HashMap<u64, Strings>>>,
}

impl Theatre {
    pub(crate) fn strings(&self, key: u64) -> Strings {
        let mut strings = self.strings.lock().unwrap();
        strings
            .entry(key)
            .or_insert_with(|| Strings::new(&key.to_string(), &self.diary))
            .clone()
    }

    pub(crate) fn family(&self, spec: FamilySpec<u64, Do>) -> Family<u64, Do> {
        let theatre = self.clone();
        Family::new(spec, move |key: &u64, context: Context<u64>| {
            let mut strings = theatre.strings(*key);
            strings.passivate = Some(Arc::new(move || context.passivate()));
            (Puppet, strings)
        })
    }
}

pub(crate) async fn house(family: &Family<u64, Do>) -> Root {
    let root = Supervisor::new("house", Strategy::OneForOne).child(family.child());
    root.start().await.unwrap()
}

/// Lets everything happen that needs no time.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

pub(crate) fn reason(refused: Result<(), supervision::Refused<Do>>) -> Option<Reason> {
    refused.err().map(|refused| refused.reason)
}
