//! What another configuration would change.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use toml::Table;

use super::{Config, effective::flatten};

/// A key whose value is another one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The key: `limits.recipients_max`, or `listener`, or `route d.test`.
    pub key: String,
    /// The value in force; none if there is none.
    pub now: Option<String>,
    /// The value that is to be; none if there is to be none.
    pub then: Option<String>,
    /// Whether the daemon must be started again for it.
    pub needs_restart: bool,
}

/// What becomes different when `then` follows `now`, by key.
#[must_use]
pub fn changes(now: &Config, then: &Config) -> Vec<Change> {
    let (now, then) = (values(now), values(then));
    let mut keys: Vec<_> = now.keys().chain(then.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let changed = keys
        .into_iter()
        .filter(|key| now.get(*key) != then.get(*key));
    changed
        .map(|key| Change {
            key: key.0.clone(),
            now: now.get(key).cloned(),
            then: then.get(key).cloned(),
            needs_restart: !may_change(&key.0),
        })
        .collect()
}

/// `limits.recipients_max: 1000 -> 500`
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        match (&self.now, &self.then) {
            (Some(now), Some(then)) => write!(f, "{now} -> {then}")?,
            (Some(now), None) => write!(f, "- {now}")?,
            (None, then) => write!(f, "+ {}", then.as_deref().unwrap_or_default())?,
        }
        if self.needs_restart {
            f.write_str("  (needs a restart)")?;
        }
        Ok(())
    }
}

/// A key, and what tells apart those that may be there several times.
type Place = (String, String);

/// Every value, under its key. Listeners are told apart by what they are: their order means
/// nothing.
fn values(config: &Config) -> BTreeMap<Place, String> {
    let mut values = BTreeMap::new();
    for listener in &config.listener {
        let named = format!("{} {}", listener.protocol.name(), listener.address);
        values.insert(("listener".to_owned(), named.clone()), named);
    }
    for route in &config.route {
        let key = format!("route {}", route.domain);
        values.insert((key, String::new()), route.to.to_string());
    }
    let table = Table::try_from(config).unwrap_or_default();
    let mut rows = Vec::new();
    for (key, value) in table {
        if key != "listener" && key != "route" {
            flatten(key, value, &mut rows);
        }
    }
    for (key, value) in rows {
        if let Some(value) = value {
            values.insert((key, String::new()), value.to_string());
        }
    }
    values
}

/// Whether a running daemon can take another value over.
fn may_change(key: &str) -> bool {
    let is_within = |room: &&str| key.starts_with(*room);
    (WHOLE.contains(&key) || ROOMS.iter().any(is_within)) && !FIXED.contains(&key)
}

/// Keys that may change while the daemon runs.
const WHOLE: [&str; 6] = [
    "domains",
    "limits.message_octets_max",
    "limits.recipients_max",
    "listener",
    "login_without_tls",
    "trusted",
];

/// Beginnings of keys that may.
const ROOMS: [&str; 6] = [
    "delivery.",
    "limits.connections.",
    "limits.silence.",
    "route ",
    "stop.",
    "tls.",
];

/// The exceptions.
const FIXED: [&str; 1] = ["delivery.deliveries_max"];

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("h.toml", text).unwrap().effective
    }

    fn said(now: &str, then: &str) -> Vec<String> {
        let changes = changes(&config(now), &config(then));
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_key_that_differs_is_named_with_both_values() {
        let base = "hostname = \"a.test\"\n";
        assert!(said(base, base).is_empty());
        let limits = format!("{base}[limits]\nrecipients_max = 7\n");
        assert_eq!(said(base, &limits), ["limits.recipients_max: 1000 -> 7"]);
        let relay = format!("{base}[delivery]\nrelay = \"r.test:25\"\n");
        assert_eq!(said(base, &relay), ["delivery.relay: + \"r.test:25\""]);
        assert_eq!(said(&relay, base), ["delivery.relay: - \"r.test:25\""]);
    }

    #[test]
    fn what_cannot_change_while_the_daemon_runs_says_so() {
        let (a, b) = ("hostname = \"a.test\"\n", "hostname = \"b.test\"\n");
        assert_eq!(
            said(a, b),
            ["hostname: \"a.test\" -> \"b.test\"  (needs a restart)"]
        );
        let fixed = format!("{a}[delivery]\ndeliveries_max = 3\n");
        assert!(said(a, &fixed)[0].ends_with("(needs a restart)"));
    }

    #[test]
    fn the_order_of_listeners_means_nothing_and_routes_are_known_by_their_domain() {
        let door = |protocol, port| {
            format!("[[listener]]\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:{port}\"\n")
        };
        let (smtp, imap, pop3) = (door("smtp", 25), door("imap", 143), door("pop3", 110));
        let base = "hostname = \"a.test\"\n";
        let now = format!("{base}{smtp}{imap}");
        assert!(said(&now, &format!("{base}{imap}{smtp}")).is_empty());
        assert_eq!(
            said(&now, &format!("{base}{pop3}{smtp}")),
            [
                "listener: - imap 127.0.0.1:143",
                "listener: + pop3 127.0.0.1:110"
            ]
        );
        let route = |to| format!("{base}[[route]]\ndomain = \"d.test\"\nto = \"127.0.0.1:{to}\"\n");
        assert_eq!(
            said(&route(1), &route(2)),
            ["route d.test: 127.0.0.1:1 -> 127.0.0.1:2"]
        );
    }
}
