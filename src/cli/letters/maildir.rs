//! Maildirs, in the form Maildir++: folders beside each other, flags in the names of files.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use mail::Time;

use super::{
    Folder, Letter, Sink, Source,
    letter::with_crlf,
    names,
    seen::{Seen, short},
};
use crate::cli::Failure;

/// Reads a Maildir and the folders in it.
pub(in crate::cli) struct MaildirSource {
    pub(in crate::cli) folder: PathBuf,
}

/// Writes a Maildir and the folders in it.
pub(in crate::cli) struct MaildirSink {
    root: PathBuf,
    folder: PathBuf,
    keywords: Vec<String>,
    seen: Seen,
    number: u64,
}

impl Source for MaildirSource {
    fn folders(&mut self) -> Result<Vec<Folder>, Failure> {
        let mut folders = Vec::new();
        if self.folder.join("cur").is_dir() {
            folders.push(self.one("INBOX", &self.folder)?);
        }
        for entry in read_dir(&self.folder)? {
            let path = entry
                .map_err(|error| failed("look into", &self.folder, &error))?
                .path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.join("cur").is_dir()
                && let Some(name) = names::from_maildir(&name)
            {
                folders.push(self.one(&name, &path)?);
            }
        }
        if folders.is_empty() {
            let folder = self.folder.display();
            return Err(Failure::usage(format!(
                "{folder} is no Maildir: it has no cur"
            )));
        }
        folders.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(folders)
    }

    fn letters(&mut self, folder: &Folder, sink: &mut dyn Sink) -> Result<(), Failure> {
        let path = self.folder.join(names::maildir(&folder.name));
        // A folder that another program has named may be written otherwise.
        let path = match path.join("cur").is_dir() {
            true => path,
            false => self.find(&folder.name)?,
        };
        let keywords = read_keywords(&path);
        for found in files(&path)? {
            let octets = match fs::read(&found.path) {
                // Another program has moved it meanwhile, or given it another flag.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(|error| failed("read", &found.path, &error))?,
            };
            let letter = Letter {
                flags: flags_of(&found.name, &keywords),
                date: found.date,
                octets: with_crlf(octets),
            };
            letter.offer(sink)?;
        }
        Ok(())
    }
}

impl MaildirSource {
    fn one(&self, name: &str, path: &Path) -> Result<Folder, Failure> {
        Ok(Folder {
            name: name.to_owned(),
            role: None,
            octets: files(path)?.iter().map(|file| file.octets).sum(),
        })
    }

    fn find(&self, folder: &str) -> Result<PathBuf, Failure> {
        for entry in read_dir(&self.folder)? {
            let path = entry
                .map_err(|error| failed("look into", &self.folder, &error))?
                .path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if names::from_maildir(&name).as_deref() == Some(folder) {
                return Ok(path);
            }
        }
        Err(Failure::new(format!("the folder {folder} is gone")))
    }
}

impl MaildirSink {
    pub(in crate::cli) fn new(root: PathBuf) -> Self {
        Self {
            folder: root.clone(),
            root,
            keywords: Vec::new(),
            seen: Seen::default(),
            number: 0,
        }
    }

    /// The letter that stands for a flag or keyword in the names of files.
    fn sign(&mut self, flag: &str) -> Option<char> {
        let known = SIGNS
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(flag));
        if let Some((sign, _)) = known {
            return Some(*sign);
        }
        let at = self
            .keywords
            .iter()
            .position(|k| k.eq_ignore_ascii_case(flag));
        let at = at.unwrap_or_else(|| {
            self.keywords.push(flag.to_owned());
            self.keywords.len() - 1
        });
        ('a'..='z').nth(at)
    }
}

impl Sink for MaildirSink {
    fn begin(&mut self, folder: &Folder) -> Result<(), Failure> {
        self.folder = self.root.join(names::maildir(&folder.name));
        for inner in ["cur", "new", "tmp"] {
            let path = self.folder.join(inner);
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path);
            made.map_err(|error| failed("make", &path, &error))?;
        }
        if self.folder != self.root {
            let mark = self.folder.join("maildirfolder");
            fs::write(&mark, "").map_err(|error| failed("write", &mark, &error))?;
        }
        self.keywords = read_keywords(&self.folder);
        self.seen = Seen::default();
        for found in files(&self.folder)? {
            // Ours name the digest; of others nothing is known.
            if let Some(digest) = found.name.split('.').nth(1) {
                self.seen.add(digest);
            }
        }
        Ok(())
    }

    fn wants(&mut self, digest: &[u8; 32], _: u64) -> bool {
        self.seen.lacks(digest)
    }

    fn take(&mut self, letter: Letter, digest: [u8; 32]) -> Result<(), Failure> {
        let mut signs: Vec<char> = Vec::new();
        for flag in &letter.flags {
            let sign = self.sign(flag).ok_or_else(|| {
                Failure::new(format!(
                    "a Maildir has at most 26 keywords; {flag} is one more"
                ))
            })?;
            signs.push(sign);
        }
        signs.sort_unstable();
        // Of letters that are the same each has a name of its own.
        let (seconds, digest, octets) =
            (letter.date.seconds(), short(&digest), letter.octets.len());
        let signs: String = signs.into_iter().collect();
        let to = loop {
            self.number += 1;
            let name = format!(
                "{seconds}.{digest}.{}_heronry,S={octets}:2,{signs}",
                self.number
            );
            let to = self.folder.join("cur").join(name);
            if !to.exists() {
                break to;
            }
        };
        let part = self
            .folder
            .join("tmp")
            .join(to.file_name().unwrap_or_default());
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(letter.date.0);
        let mut file = File::options();
        let file = file
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part);
        file.and_then(|mut file| {
            file.write_all(&letter.octets)?;
            file.set_modified(time)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&part, &to))
        .map_err(|error| failed("write", &to, &error))
    }

    fn end(&mut self) -> Result<(), Failure> {
        if self.keywords.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(KEYWORDS);
        let lines = (0..).zip(&self.keywords);
        let text: String = lines
            .map(|(at, keyword)| format!("{at} {keyword}\n"))
            .collect();
        fs::write(&path, text).map_err(|error| failed("write", &path, &error))
    }
}

/// A message's file.
struct Found {
    path: PathBuf,
    name: String,
    date: Time,
    octets: u64,
}

/// The files of a folder, the oldest first.
fn files(folder: &Path) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for inner in ["new", "cur"] {
        let inner = folder.join(inner);
        if !inner.is_dir() {
            continue;
        }
        for entry in read_dir(&inner)? {
            let entry = entry.map_err(|error| failed("look into", &inner, &error))?;
            let Ok(about) = entry.metadata() else {
                continue; // another program has moved it meanwhile
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || !about.is_file() {
                continue;
            }
            let millis = about.mtime() * 1000 + about.mtime_nsec() / 1_000_000;
            found.push(Found {
                path: entry.path(),
                name,
                date: Time(u64::try_from(millis).unwrap_or(0)),
                octets: about.len(),
            });
        }
    }
    // What came within a second is told apart by its number, if it was written by us.
    let number = |name: &str| -> u64 {
        let number = name
            .split('.')
            .nth(2)
            .and_then(|rest| rest.split('_').next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    found.sort_by(|a, b| {
        (number(&a.name), a.date.0, &a.name).cmp(&(number(&b.name), b.date.0, &b.name))
    });
    Ok(found)
}

/// The flags that a file's name says.
fn flags_of(name: &str, keywords: &[String]) -> Vec<String> {
    let Some((_, signs)) = name.rsplit_once(":2,") else {
        return Vec::new();
    };
    let flag = |sign: char| {
        if let Some((_, flag)) = SIGNS.iter().find(|(known, _)| *known == sign) {
            return Some((*flag).to_owned());
        }
        let at = ('a'..='z').position(|known| known == sign)?;
        keywords
            .get(at)
            .filter(|keyword| !keyword.is_empty())
            .cloned()
    };
    signs.chars().filter_map(flag).collect()
}

/// The keywords of a folder, in the order of their letters, as Dovecot keeps them.
fn read_keywords(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join(KEYWORDS)).unwrap_or_default();
    let mut keywords = Vec::new();
    for line in text.lines() {
        if let Some((at, keyword)) = line.split_once(' ')
            && let Ok(at) = at.parse::<usize>()
            && at < 26
        {
            if keywords.len() <= at {
                keywords.resize(at + 1, String::new());
            }
            keyword.trim().clone_into(&mut keywords[at]);
        }
    }
    keywords
}

fn read_dir(folder: &Path) -> Result<fs::ReadDir, Failure> {
    fs::read_dir(folder).map_err(|error| failed("look into", folder, &error))
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {action} {}: {error}", path.display()))
}

const SIGNS: [(char, &str); 6] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$Forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];

/// Where Dovecot says which letter stands for which keyword.
const KEYWORDS: &str = "dovecot-keywords";

#[cfg(test)]
mod tests {
    use super::*;

    struct Gathered(Vec<Letter>);

    impl Sink for Gathered {
        fn begin(&mut self, _: &Folder) -> Result<(), Failure> {
            Ok(())
        }
        fn wants(&mut self, _: &[u8; 32], _: u64) -> bool {
            true
        }
        fn take(&mut self, letter: Letter, _: [u8; 32]) -> Result<(), Failure> {
            self.0.push(letter);
            Ok(())
        }
        fn end(&mut self) -> Result<(), Failure> {
            Ok(())
        }
    }

    fn folder(name: &str) -> Folder {
        Folder {
            name: name.to_owned(),
            role: None,
            octets: 0,
        }
    }

    fn letter(number: u64, flags: &[&str]) -> Letter {
        Letter {
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            date: Time(1_700_000_000_123 + number),
            octets: format!("Subject: {number}\r\n\r\nbare\nline\r\n.\r\n").into_bytes(),
        }
    }

    #[test]
    fn what_is_written_to_a_maildir_is_read_from_it_the_same() {
        let place = tempfile::tempdir().unwrap();
        let mut letters = vec![
            letter(9, &["\\Answered", "\\Seen", "$Forwarded", "$Todo"]),
            letter(1, &[]),
            letter(1, &["\\Deleted", "\\Draft", "\\Flagged", "Other"]),
        ];
        let mut sink = MaildirSink::new(place.path().to_owned());
        for round in 0..2 {
            for name in ["INBOX", "Archive/2026"] {
                sink.begin(&folder(name)).unwrap();
                for letter in &letters {
                    let digest = letter.digest();
                    assert_eq!(sink.wants(&digest, 0), round == 0, "{name}");
                    if round == 0 {
                        sink.take(letter.clone(), digest).unwrap();
                    }
                }
                sink.end().unwrap();
            }
        }
        let mut source = MaildirSource {
            folder: place.path().to_owned(),
        };
        let names: Vec<_> = source
            .folders()
            .unwrap()
            .into_iter()
            .map(|f| f.name)
            .collect();
        assert_eq!(names, ["Archive/2026", "INBOX"]);
        for name in names {
            let mut read = Gathered(Vec::new());
            source.letters(&folder(&name), &mut read).unwrap();
            for letter in read.0.iter_mut().chain(&mut letters) {
                letter.flags.sort();
            }
            assert_eq!(read.0, letters, "{name}");
        }
    }

    #[test]
    fn a_maildir_of_another_program_is_read_with_its_flags_and_line_ends() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        for inner in ["cur", "new", "tmp", ".Sent.2025/cur"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        fs::write(root.join("dovecot-keywords"), "0 $Label1\n2 Junk\n").unwrap();
        fs::write(root.join("cur/1.M2P3.host,S=9:2,FSac"), "a: b\n\nx\n").unwrap();
        fs::write(root.join("new/2.M2P3.host"), "c: d\n\ny\n").unwrap();
        fs::write(root.join("tmp/3.M2P3.host"), "half").unwrap();
        let mut source = MaildirSource {
            folder: root.to_owned(),
        };
        let names: Vec<_> = source
            .folders()
            .unwrap()
            .into_iter()
            .map(|f| f.name)
            .collect();
        assert_eq!(names, ["INBOX", "Sent/2025"]);
        let mut read = Gathered(Vec::new());
        source.letters(&folder("INBOX"), &mut read).unwrap();
        let flags: Vec<_> = read.0.iter().map(|letter| letter.flags.join(" ")).collect();
        assert_eq!(flags, ["\\Flagged \\Seen $Label1 Junk", ""]);
        assert_eq!(read.0[0].octets, b"a: b\r\n\r\nx\r\n");
        let none = MaildirSource {
            folder: root.join("cur"),
        };
        assert_eq!({ none }.folders().unwrap_err().code, 2);
    }
}
