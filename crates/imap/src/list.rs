//! Which mailboxes LIST and LSUB name, and how (RFC 3501 §6.3.8, §6.3.9, RFC 5258, RFC 6154).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    codec::{ListCommand, ListPattern, ListReturn, ListSelect, MailboxName},
    respond,
};

/// A mailbox that there is.
#[derive(Clone, Debug)]
pub struct Mailbox<'a> {
    /// Its full name.
    pub name: &'a str,
    /// Its role as an attribute, such as `\Sent`.
    pub special_use: Option<&'static str>,
}

/// One line of the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The mailbox's name.
    pub name: MailboxName,
    /// What is said of it.
    pub attributes: Vec<&'static str>,
    /// Whether something below it is subscribed to, and the question was (RFC 5258 §3.5).
    pub child_subscribed: bool,
    /// Whether it can be selected: only then it has a STATUS.
    pub selectable: bool,
}

/// The answer to LIST, ascending by name. Names above a mailbox that do not exist are listed as
/// such. A command without patterns asks for the separator: [`write_separator`].
#[must_use]
pub fn list(command: &ListCommand, mailboxes: &[Mailbox<'_>], subscribed: &[&str]) -> Vec<Entry> {
    let subscribed: BTreeSet<&str> = subscribed.iter().copied().collect();
    let (select, tell) = (command.select, &command.tell);
    let all: BTreeMap<&str, Option<&'static str>> = mailboxes
        .iter()
        .map(|mailbox| (mailbox.name, mailbox.special_use))
        .collect();
    let parents: BTreeSet<&str> = all.keys().flat_map(|name| ancestors(name)).collect();
    let is_like = |name: &str| {
        let mut patterns = command.patterns.iter();
        patterns.any(|pattern| matches(pattern, name))
    };
    // RFC 5258 §3.5: what is below is told of only where it is not listed itself.
    let hidden = |name: &&&str| select.recursive && !is_like(name);
    let above_subscribed: BTreeSet<&str> = match select.subscribed {
        true => subscribed
            .iter()
            .filter(hidden)
            .flat_map(|name| ancestors(name))
            .collect(),
        false => BTreeSet::new(),
    };
    let above_used: BTreeSet<&str> = match select.special_use {
        true => all
            .iter()
            .filter(|(name, role)| role.is_some() && hidden(name))
            .flat_map(|(name, _)| ancestors(name))
            .collect(),
        false => BTreeSet::new(),
    };
    let mut names: BTreeSet<&str> = all.keys().copied().chain(parents.iter().copied()).collect();
    if select.subscribed {
        names.extend(&subscribed);
        names.extend(&above_subscribed);
    }
    let mut entries = Vec::new();
    for name in names {
        if !is_like(name) {
            continue;
        }
        let role = all.get(name).copied();
        let is_subscribed = subscribed.contains(name);
        let is_used = role.flatten().is_some();
        let selected = (!select.subscribed || is_subscribed) && (!select.special_use || is_used);
        let child_subscribed = above_subscribed.contains(name);
        if !selected && !child_subscribed && !above_used.contains(name) {
            continue;
        }
        let mut attributes = Vec::new();
        if role.is_none() {
            // RFC 5258 §3: \NonExistent implies \Noselect, which alone old clients know.
            let is_extended = select != ListSelect::default() || tell != &ListReturn::default();
            attributes.push(if is_extended {
                "\\NonExistent"
            } else {
                "\\Noselect"
            });
        }
        attributes.push(match parents.contains(name) {
            true => "\\HasChildren",
            false => "\\HasNoChildren",
        });
        if is_subscribed && (select.subscribed || tell.subscribed) {
            attributes.push("\\Subscribed");
        }
        attributes.extend(role.flatten());
        entries.push(Entry {
            name: MailboxName::new(name),
            attributes,
            child_subscribed,
            selectable: role.is_some(),
        });
    }
    entries
}

/// The answer to LSUB, ascending by name. With `%` a name that is not subscribed to stands for
/// those below it (RFC 3501 §6.3.9).
#[must_use]
pub fn lsub(command: &ListCommand, subscribed: &[&str]) -> Vec<Entry> {
    let mut found: BTreeMap<&str, bool> = BTreeMap::new();
    for pattern in &command.patterns {
        let stands_for = pattern.as_str().contains('%');
        for name in subscribed {
            if matches(pattern, name) {
                found.insert(name, true);
            } else if stands_for {
                for above in ancestors(name).filter(|above| matches(pattern, above)) {
                    found.entry(above).or_insert(false);
                }
            }
        }
    }
    let entry = |(name, is_subscribed): (&str, bool)| Entry {
        name: MailboxName::new(name),
        attributes: if is_subscribed {
            Vec::new()
        } else {
            vec!["\\Noselect"]
        },
        child_subscribed: false,
        selectable: false,
    };
    found.into_iter().map(entry).collect()
}

/// Appends a line; `verb` is `LIST` or `LSUB`.
pub fn write(out: &mut Vec<u8>, verb: &str, entry: &Entry) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(verb.as_bytes());
    out.extend_from_slice(b" (");
    out.extend_from_slice(entry.attributes.join(" ").as_bytes());
    out.extend_from_slice(b") \"/\" ");
    respond::mailbox(out, &entry.name);
    if entry.child_subscribed {
        out.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the line that says no more than what separates levels.
pub fn write_separator(out: &mut Vec<u8>, verb: &str) {
    out.extend_from_slice(format!("* {verb} (\\Noselect) \"/\" \"\"\r\n").as_bytes());
}

/// Whether a name is like the pattern; `INBOX` is it in any case.
#[must_use]
pub fn matches(pattern: &ListPattern, name: &str) -> bool {
    let folded = match name.strip_prefix("INBOX") {
        Some(rest) if rest.is_empty() || rest.starts_with(MailboxName::SEPARATOR) => 5,
        _ => 0,
    };
    let pattern = pattern.as_str().as_bytes();
    match pattern {
        b"*" => return true,
        b"%" => return !name.contains(MailboxName::SEPARATOR),
        _ => {}
    }
    // All places of the pattern that the name so far can lead to. Names are not long.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    pass_wildcards(pattern, &mut places);
    for (at, &octet) in name.as_bytes().iter().enumerate() {
        let mut next = vec![false; pattern.len() + 1];
        for (place, _) in places.iter().enumerate().filter(|(_, reached)| **reached) {
            match pattern.get(place) {
                Some(b'*') => next[place] = true,
                Some(b'%') if octet != b'/' => next[place] = true,
                Some(b'%') | None => {}
                Some(wanted) if at < folded => {
                    next[place + 1] |= wanted.eq_ignore_ascii_case(&octet);
                }
                Some(wanted) => next[place + 1] |= *wanted == octet,
            }
        }
        pass_wildcards(pattern, &mut next);
        places = next;
    }
    places[pattern.len()]
}

/// A wildcard may stand for nothing.
fn pass_wildcards(pattern: &[u8], places: &mut [bool]) {
    for (place, octet) in pattern.iter().enumerate() {
        if matches!(octet, b'*' | b'%') && places[place] {
            places[place + 1] = true;
        }
    }
}

/// The names above a name.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(MailboxName::SEPARATOR)
        .map(|(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn command(pattern: &str) -> ListCommand {
        ListCommand {
            patterns: vec![ListPattern::new(pattern)],
            ..ListCommand::default()
        }
    }

    fn lines(entries: &[Entry]) -> Vec<String> {
        let line = |entry: &Entry| {
            let mut out = Vec::new();
            write(&mut out, "LIST", entry);
            String::from_utf8(out)
                .unwrap()
                .trim_end()
                .replace("* LIST ", "")
        };
        entries.iter().map(line).collect()
    }

    fn boxes<'a>(names: &[&'a str]) -> Vec<Mailbox<'a>> {
        names
            .iter()
            .map(|&name| Mailbox {
                name,
                special_use: None,
            })
            .collect()
    }

    #[test]
    fn patterns_match_within_a_level_or_across_all() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("%3/%4", "test3/test4", true),
            ("%t*4", "test3/test4", true),
            ("*test4", "m/test3/test4", true),
            ("*test4", "m/test3/test4/test5", false),
            ("a%", "a", true),
            ("inb%", "INBOX", true),
            ("InBox/x", "INBOX/x", true),
            ("inbox/X", "INBOX/x", false),
            ("inboxes", "INBOXES", false),
            ("", "", true),
        ] {
            assert_eq!(
                matches(&ListPattern::new(pattern), name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn what_lies_between_is_listed_though_it_does_not_exist() {
        let mailboxes = boxes(&["INBOX", "a b", "a/b/c"]);
        assert_eq!(
            lines(&list(&command("%"), &mailboxes, &[])),
            [
                "(\\HasNoChildren) \"/\" INBOX",
                "(\\Noselect \\HasChildren) \"/\" a",
                "(\\HasNoChildren) \"/\" \"a b\"",
            ]
        );
    }

    #[test]
    fn roles_and_subscriptions_are_told_where_they_were_asked_for() {
        let mut mailboxes = boxes(&["INBOX", "Sent", "x/y"]);
        mailboxes[1].special_use = Some("\\Sent");
        let mut ask = command("*");
        ask.tell = ListReturn {
            subscribed: true,
            ..ListReturn::default()
        };
        ask.select = ListSelect {
            special_use: true,
            ..ListSelect::default()
        };
        assert_eq!(
            lines(&list(&ask, &mailboxes, &["Sent"])),
            ["(\\HasNoChildren \\Subscribed \\Sent) \"/\" Sent"]
        );
        ask.select = ListSelect {
            subscribed: true,
            recursive: true,
            special_use: false,
        };
        ask.patterns = vec![ListPattern::new("%")];
        assert_eq!(
            lines(&list(&ask, &mailboxes, &["x/y", "gone"])),
            [
                "(\\NonExistent \\HasNoChildren \\Subscribed) \"/\" gone",
                "(\\NonExistent \\HasChildren) \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            ]
        );
    }

    #[test]
    fn a_percent_sign_stands_for_subscriptions_below() {
        let subscribed = ["m/test", "m/test2/test", "m/test3/test3"];
        assert_eq!(
            lines(&lsub(&command("m/%"), &subscribed)),
            [
                "() \"/\" m/test",
                "(\\Noselect) \"/\" m/test2",
                "(\\Noselect) \"/\" m/test3"
            ]
        );
        assert_eq!(
            lines(&lsub(&command("*test"), &subscribed)),
            ["() \"/\" m/test", "() \"/\" m/test2/test"]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn matching_is_what_its_definition_says(pattern in "[ab/*%]{0,6}", name in "[ab/]{0,8}") {
            fn is_like(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((wild @ (b'*' | b'%'), rest)) => {
                        is_like(rest, name)
                            || name.first().is_some_and(|&octet| *wild == b'*' || octet != b'/')
                                && is_like(pattern, &name[1..])
                    }
                    Some((octet, rest)) => {
                        name.first() == Some(octet) && is_like(rest, &name[1..])
                    }
                }
            }
            let expected = is_like(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(&ListPattern::new(&pattern), &name), expected);
        }
    }
}
