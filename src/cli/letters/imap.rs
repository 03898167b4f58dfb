//! Letters from an account on another IMAP server.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

use imap::{
    MailboxName,
    client::{Response, Value},
};
use mail::{Secret, Time};
use mime::Date;
use world::tls::ClientTls;

use super::{
    Folder, Letter, Sink, Source,
    imap_wire::{Security, Wire},
};
use crate::cli::Failure;

/// The account on the other server.
pub(in crate::cli) struct Server {
    pub(in crate::cli) host: String,
    pub(in crate::cli) port: u16,
    pub(in crate::cli) starttls: bool,
    /// Whether it may do without TLS.
    pub(in crate::cli) plain: bool,
    /// Certificates that are trusted besides those of this machine.
    pub(in crate::cli) roots: Vec<PathBuf>,
    pub(in crate::cli) user: String,
    pub(in crate::cli) password: Secret,
    /// Where it is written down how far an earlier run has come.
    pub(in crate::cli) resume: Option<PathBuf>,
}

/// Reads an account on another server.
pub(in crate::cli) struct ImapSource {
    wire: Wire,
    resume: Resume,
    /// The names of the folders as the server writes them.
    names: BTreeMap<String, Vec<u8>>,
}

/// A message as the server lists it.
struct Listed {
    uid: u32,
    flags: Vec<String>,
    date: Time,
    octets: u64,
}

impl ImapSource {
    pub(in crate::cli) fn connect(server: &Server) -> Result<Self, Failure> {
        let tls = match server.plain {
            true => None,
            false => {
                let tls = ClientTls::new(&server.roots);
                Some(tls.map_err(|error| Failure::usage(error.to_string()))?)
            }
        };
        let security = match (server.plain, server.starttls) {
            (true, _) => Security::None,
            (false, true) => Security::StartTls,
            (false, false) => Security::Tls,
        };
        let mut wire = Wire::connect(&server.host, server.port, security, tls.as_ref())?;
        let (user, password) = (server.user.as_bytes(), server.password.expose().as_bytes());
        wire.command("LOGIN", &[user, password])?;
        Ok(Self {
            wire,
            resume: Resume::read(server.resume.clone())?,
            names: BTreeMap::new(),
        })
    }

    /// What is in the folder that is selected.
    fn listed(&mut self) -> Result<Vec<Listed>, Failure> {
        let mut listed = Vec::new();
        let items = "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)";
        self.wire.command_with(items, &[], &mut |response| {
            if response.word(2).eq_ignore_ascii_case("FETCH") {
                listed.extend(read_listed(&response));
            }
            Ok(())
        })?;
        listed.sort_by_key(|message| message.uid);
        Ok(listed)
    }
}

impl Source for ImapSource {
    fn folders(&mut self) -> Result<Vec<Folder>, Failure> {
        let mut folders = Vec::new();
        for response in self.wire.command("LIST \"\" \"*\"", &[])? {
            if !response.word(1).eq_ignore_ascii_case("LIST") {
                continue;
            }
            let (Some(Value::List(marks)), Some(name)) = (response.0.get(2), response.0.get(4))
            else {
                continue;
            };
            let marks: Vec<&str> = marks.iter().filter_map(atom).collect();
            let is = |mark: &str| marks.iter().any(|m| m.eq_ignore_ascii_case(mark));
            if is("\\Noselect") || is("\\NonExistent") {
                continue;
            }
            let wire = octets(name).to_vec();
            let separator = response.0.get(3).map(octets).unwrap_or_default();
            let name = folder_name(&wire, separator);
            let role = ROLES.iter().find(|role| is(role));
            folders.push(Folder {
                name: name.clone(),
                role: role.map(|&role| role.to_owned()),
                octets: 0,
            });
            self.names.insert(name, wire);
        }
        folders.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(folders)
    }

    fn letters(&mut self, folder: &Folder, sink: &mut dyn Sink) -> Result<(), Failure> {
        let name = self.names.get(&folder.name).cloned().unwrap_or_default();
        let mut validity = 0;
        for response in self.wire.command("EXAMINE", &[&name])? {
            if let Some((_, rest)) = response.word(2).split_once("[UIDVALIDITY ") {
                validity = rest
                    .split(']')
                    .next()
                    .unwrap_or_default()
                    .parse()
                    .unwrap_or(0);
            }
        }
        let brought = self.resume.brought(&folder.name, validity);
        let mut left = self.listed()?;
        left.retain(|message| message.uid > brought);
        for some in some_at_a_time(left) {
            self.bring(&some, sink)?;
            if let Some(last) = some.last() {
                // Only what has reached the disk counts.
                sink.end()?;
                self.resume.note(&folder.name, validity, last.uid)?;
            }
        }
        Ok(())
    }
}

impl ImapSource {
    fn bring(&mut self, some: &[Listed], sink: &mut dyn Sink) -> Result<(), Failure> {
        let by_uid: BTreeMap<u32, &Listed> = some.iter().map(|one| (one.uid, one)).collect();
        let set: Vec<String> = by_uid.keys().map(u32::to_string).collect();
        let command = format!("UID FETCH {} (UID BODY.PEEK[])", set.join(","));
        self.wire.command_with(&command, &[], &mut |mut response| {
            let uid = number(response.item("UID"));
            let Some(listed) = uid.and_then(|uid| by_uid.get(&uid)) else {
                return Ok(()); // somebody changes flags meanwhile
            };
            let Some(octets) = take_body(&mut response) else {
                return Ok(());
            };
            let letter = Letter {
                flags: listed.flags.clone(),
                date: listed.date,
                octets,
            };
            letter.offer(sink)
        })
    }
}

/// How far an earlier run has come: for each folder its UIDVALIDITY and the last UID brought.
struct Resume {
    file: Option<PathBuf>,
    folders: BTreeMap<String, (u32, u32)>,
}

impl Resume {
    fn read(file: Option<PathBuf>) -> Result<Self, Failure> {
        let mut folders = BTreeMap::new();
        let text = match &file {
            Some(path) if path.exists() => fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?,
            _ => String::new(),
        };
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let mut number = || words.next()?.parse().ok();
            if let (Some(validity), Some(uid)) = (number(), number())
                && let Some(name) = words.next()
            {
                folders.insert(name.to_owned(), (validity, uid));
            }
        }
        Ok(Self { file, folders })
    }

    fn brought(&self, folder: &str, validity: u32) -> u32 {
        match self.folders.get(folder) {
            Some(&(known, uid)) if known == validity => uid,
            _ => 0,
        }
    }

    fn note(&mut self, folder: &str, validity: u32, uid: u32) -> Result<(), Failure> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        self.folders.insert(folder.to_owned(), (validity, uid));
        let lines = self.folders.iter();
        let text: String = lines
            .map(|(name, (validity, uid))| format!("{validity} {uid} {name}\n"))
            .collect();
        let part = path.with_extension("part");
        let written = File::create(&part)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&part, path));
        written.map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    }
}

/// As many messages at a time as fit into memory well.
fn some_at_a_time(messages: Vec<Listed>) -> Vec<Vec<Listed>> {
    let (mut groups, mut octets) = (vec![Vec::new()], 0);
    for message in messages {
        let last = groups.last_mut().expect("there is one from the beginning");
        if last.len() == MESSAGES_AT_ONCE
            || (octets + message.octets > OCTETS_AT_ONCE && octets > 0)
        {
            octets = message.octets;
            groups.push(vec![message]);
        } else {
            octets += message.octets;
            last.push(message);
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn read_listed(response: &Response) -> Option<Listed> {
    let Some(Value::List(flags)) = response.item("FLAGS") else {
        return None;
    };
    let flags = flags.iter().filter_map(atom);
    let date = response.item("INTERNALDATE").map(octets)?;
    let date = Date::from_imap(std::str::from_utf8(date).ok()?)?;
    Some(Listed {
        uid: number(response.item("UID"))?,
        // It is a view's, and no client can set it (RFC 3501 §2.3.2).
        flags: flags
            .filter(|flag| !flag.eq_ignore_ascii_case("\\Recent"))
            .map(str::to_owned)
            .collect(),
        date: date.time(),
        octets: u64::from(number(response.item("RFC822.SIZE")).unwrap_or(0)),
    })
}

fn take_body(response: &mut Response) -> Option<Vec<u8>> {
    let Some(Value::List(items)) = response.0.get_mut(3) else {
        return None;
    };
    items.chunks_exact_mut(2).find_map(|pair| match pair {
        [Value::Atom(name), Value::String(octets)] if name.eq_ignore_ascii_case("BODY[]") => {
            Some(std::mem::take(octets))
        }
        _ => None,
    })
}

/// The name of a folder here. Names that are no modified UTF-7 are mostly UTF-8.
fn folder_name(wire: &[u8], separator: &[u8]) -> String {
    let decoded = MailboxName::from_wire(wire);
    let name = decoded.map_or_else(
        || String::from_utf8_lossy(wire).into_owned(),
        |name| name.as_str().to_owned(),
    );
    let name = match std::str::from_utf8(separator) {
        Ok("" | "/") | Err(_) => name,
        // A level may hold what separates levels here.
        Ok(separator) => name.replace('/', "_").replace(separator, "/"),
    };
    MailboxName::new(&name).as_str().to_owned()
}

fn octets(value: &Value) -> &[u8] {
    match value {
        Value::Atom(text) => text.as_bytes(),
        Value::String(octets) => octets,
        Value::List(_) | Value::Nil => &[],
    }
}

fn atom(value: &Value) -> Option<&str> {
    match value {
        Value::Atom(text) => Some(text),
        _ => None,
    }
}

fn number(value: Option<&Value>) -> Option<u32> {
    atom(value?)?.parse().ok()
}

/// Roles that a server tells of (RFC 6154 §2).
const ROLES: [&str; 7] = [
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Junk",
    "\\Sent",
    "\\Trash",
];

const MESSAGES_AT_ONCE: usize = 100;
const OCTETS_AT_ONCE: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_servers_become_names_of_ours() {
        assert_eq!(folder_name(b"INBOX", b"."), "INBOX");
        assert_eq!(folder_name(b"INBOX.Gr&APYA3w-e", b"."), "INBOX/Größe");
        assert_eq!(folder_name(b"a/b.c", b"."), "a_b/c");
        assert_eq!(folder_name("Grüße".as_bytes(), b"/"), "Grüße");
    }

    #[test]
    fn a_run_that_was_interrupted_knows_how_far_it_came() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("resume");
        let mut resume = Resume::read(Some(file.clone())).unwrap();
        resume.note("INBOX", 7, 41).unwrap();
        resume.note("Two words", 8, 1).unwrap();
        let again = Resume::read(Some(file)).unwrap();
        assert_eq!(again.brought("INBOX", 7), 41);
        assert_eq!(again.brought("INBOX", 8), 0, "the folder is another one");
        assert_eq!(again.brought("Two words", 8), 1);
        assert_eq!(again.brought("none", 1), 0);
    }

    #[test]
    fn no_group_is_too_large_but_of_one_message() {
        let message = |octets| Listed {
            uid: 1,
            flags: vec![],
            date: Time(0),
            octets,
        };
        let sizes = [1, 2, OCTETS_AT_ONCE, 5, OCTETS_AT_ONCE * 2, 7];
        let groups = some_at_a_time(sizes.into_iter().map(message).collect());
        let sizes: Vec<_> = groups.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1]);
    }
}
