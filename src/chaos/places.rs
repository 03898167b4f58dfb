//! Where an actor can be harmed: the supervision tree, as the daemon tells it.

use serde::Deserialize;

/// A place of the tree as the daemon writes it in JSON, so far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub struct Seen {
    /// What it is called among its siblings.
    pub name: String,
    /// `actor`, `family` or `supervisor`.
    pub kind: String,
    /// `up`, if all is well.
    pub status: String,
    /// Of a family: how many members are alive.
    pub members: Option<u64>,
    /// Of a supervisor: who is below.
    #[serde(default)]
    pub children: Vec<Self>,
}

/// Where an actor, or one of many, can be harmed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// From the root: `heronry/trunk/router`.
    pub path: String,
    /// What kind of actor: `router`, `hasher`, `smtp-sessions`.
    pub kind: String,
    /// How many actors are there; a family may have none.
    pub members: u64,
    /// Whether its end takes others with it that have not failed.
    pub is_pillar: bool,
}

/// Every place of the tree but its root, in its order.
#[must_use]
pub fn places(root: &Seen) -> Vec<Place> {
    let mut found = Vec::new();
    below(root, &root.name, &mut found);
    found
}

impl Seen {
    /// Whether everybody is there. Members of families come and go, and are not looked at.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.status == "up" && self.children.iter().all(Self::is_whole)
    }
}

fn below(seen: &Seen, path: &str, found: &mut Vec<Place>) {
    for child in &seen.children {
        let path = format!("{path}/{}", child.name);
        let is_supervisor = child.kind == "supervisor";
        found.push(Place {
            kind: kind(&child.name),
            members: child.members.unwrap_or(1),
            is_pillar: is_supervisor || PILLARS.contains(&&*child.name),
            path: path.clone(),
        });
        if is_supervisor {
            below(child, &path, found); // the shards of a family are its own affair
        }
    }
}

/// A name without what tells siblings apart: a socket's address, a worker's number.
fn kind(name: &str) -> String {
    let (first, rest) = name.split_once(' ').unwrap_or((name, ""));
    if rest.ends_with(SESSIONS) {
        return format!("{first}{SESSIONS}");
    }
    match first.rsplit_once('-') {
        Some((noun, number)) if number.bytes().all(|octet| octet.is_ascii_digit()) => {
            noun.to_owned()
        }
        _ => first.to_owned(),
    }
}

/// The whole trunk starts again with it.
const PILLARS: [&str; 1] = ["lease"];

const SESSIONS: &str = "-sessions";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_a_tree_have_paths_and_kinds() {
        let text = r#"{"name":"heronry","kind":"supervisor","status":"up","children":[
            {"name":"store","kind":"actor","status":"up"},
            {"name":"trunk","kind":"supervisor","status":"up","children":[
                {"name":"lease","kind":"actor","status":"up"},
                {"name":"hasher-12","kind":"actor","status":"starting"},
                {"name":"mailboxes","kind":"family","status":"up","members":7,
                 "children":[{"name":"shard-1","kind":"supervisor","status":"up"}]}]},
            {"name":"doors","kind":"supervisor","status":"up","children":[
                {"name":"smtp [::1]:25","kind":"actor","status":"up"},
                {"name":"smtp [::1]:25-sessions","kind":"family","status":"up","members":0}]}]}"#;
        let root: Seen = serde_json::from_str(text).unwrap();
        assert!(!root.is_whole() && root.children[0].is_whole());
        let found = places(&root);
        let told: Vec<_> = found
            .iter()
            .map(|place| (&*place.path, &*place.kind, place.members, place.is_pillar))
            .collect();
        assert_eq!(
            told,
            [
                ("heronry/store", "store", 1, false),
                ("heronry/trunk", "trunk", 1, true),
                ("heronry/trunk/lease", "lease", 1, true),
                ("heronry/trunk/hasher-12", "hasher", 1, false),
                ("heronry/trunk/mailboxes", "mailboxes", 7, false),
                ("heronry/doors", "doors", 1, true),
                ("heronry/doors/smtp [::1]:25", "smtp", 1, false),
                (
                    "heronry/doors/smtp [::1]:25-sessions",
                    "smtp-sessions",
                    0,
                    false
                ),
            ]
        );
    }
}
