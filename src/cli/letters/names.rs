//! Names of folders as names of files.

use imap::MailboxName;

/// The name of a folder's Maildir in a Maildir++: a dot before each level, each level in modified
/// UTF-7; nothing for the INBOX, which is the Maildir itself.
pub(super) fn maildir(folder: &str) -> String {
    if folder == "INBOX" {
        return String::new();
    }
    let levels = folder.split('/').map(|level| {
        let mut wire = Vec::new();
        MailboxName::new(&format!("x/{level}")).write_to(&mut wire);
        let level = String::from_utf8_lossy(&wire[2..]).into_owned();
        // A dot would be a level more.
        format!(".{}", level.replace('.', DOT))
    });
    levels.collect()
}

/// The folder whose Maildir has that name; `None` for a name that is none.
pub(super) fn from_maildir(name: &str) -> Option<String> {
    let levels = name.strip_prefix('.')?.split('.').map(|level| {
        let parts = level.split(DOT).map(|part| {
            // A name that is not modified UTF-7 is mostly UTF-8: some servers write that.
            let decoded = MailboxName::from_wire(format!("x/{part}").as_bytes());
            decoded.map_or_else(|| part.to_owned(), |name| name.as_str()[2..].to_owned())
        });
        let level = parts.collect::<Vec<_>>().join(".");
        (!level.is_empty() && !level.contains('/')).then_some(level)
    });
    let levels = levels.collect::<Option<Vec<_>>>()?;
    Some(MailboxName::new(&levels.join("/")).as_str().to_owned())
}

/// A level of a folder's name as the name of a file: none that hides or leads elsewhere.
pub(super) fn file(level: &str) -> String {
    let level = level.replace('%', "%25").replace('/', "%2F");
    match level.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => level,
    }
}

/// The level of a folder's name that a file has.
pub(super) fn from_file(name: &str) -> String {
    name.replace("%2E", ".").replace("%25", "%")
}

/// A dot within a level.
const DOT: &str = "&AC4-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_finds_its_way_back_from_its_maildir() {
        for (folder, name) in [
            ("Archive/2026", ".Archive.2026"),
            ("Größe", ".Gr&APYA3w-e"),
            ("a.b/c", ".a&AC4-b.c"),
            ("R&D", ".R&-D"),
            ("..", ".&AC4-&AC4-"),
        ] {
            assert_eq!(maildir(folder), name);
            assert_eq!(from_maildir(name).as_deref(), Some(folder));
        }
        assert_eq!(maildir("INBOX"), "");
        assert_eq!(from_maildir(".Grüße").as_deref(), Some("Grüße"));
        assert_eq!(from_maildir(".inbox").as_deref(), Some("INBOX"));
        for none in ["cur", ".", "..", ".a..b"] {
            assert_eq!(from_maildir(none), None, "{none}");
        }
    }

    #[test]
    fn no_level_leads_out_of_its_folder() {
        for (level, name) in [
            ("..", "%2E."),
            (".ssh", "%2Essh"),
            ("100%", "100%25"),
            ("a", "a"),
        ] {
            assert_eq!(file(level), name);
            assert_eq!(from_file(name), level);
        }
    }
}
