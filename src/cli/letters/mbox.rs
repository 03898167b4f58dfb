//! Files in the form mbox: one for each folder.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{Folder, Letter, Sink, Source, mbox_form, names};
use crate::cli::Failure;

/// Reads a file, or all files in a folder and below it.
pub(in crate::cli) struct MboxSource {
    pub(in crate::cli) path: PathBuf,
}

/// Writes a file for each folder.
pub(in crate::cli) struct MboxSink {
    root: PathBuf,
    file: Option<(BufWriter<File>, PathBuf)>,
}

impl Source for MboxSource {
    fn folders(&mut self) -> Result<Vec<Folder>, Failure> {
        let about = fs::metadata(&self.path).map_err(|error| failed("read", &self.path, &error))?;
        if about.is_file() {
            return Ok(vec![Folder {
                name: "INBOX".to_owned(),
                role: None,
                octets: about.len(),
            }]);
        }
        let mut folders = Vec::new();
        gather(&self.path, "", &mut folders)?;
        folders.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(folders)
    }

    fn letters(&mut self, folder: &Folder, sink: &mut dyn Sink) -> Result<(), Failure> {
        let path = match self.path.is_file() {
            true => self.path.clone(),
            false => {
                let path = path_of(&self.path, &folder.name);
                match path.is_file() {
                    true => path,
                    // Without the ending that ours have.
                    false => path.with_extension(""),
                }
            }
        };
        let file = File::open(&path).map_err(|error| failed("read", &path, &error))?;
        let mut file = BufReader::with_capacity(BUFFER_OCTETS, file);
        let (mut line, mut after_empty) = (Vec::new(), true);
        let mut message: Option<(Vec<u8>, Option<mail::Time>)> = None;
        loop {
            line.clear();
            let read = file.read_until(b'\n', &mut line);
            let read = read.map_err(|error| failed("read", &path, &error))?;
            let begins = if after_empty {
                mbox_form::from_line(&line)
            } else {
                None
            };
            if read == 0 || begins.is_some() {
                if let Some((octets, date)) = message.take() {
                    mbox_form::read(octets, date).offer(sink)?;
                }
                if read == 0 {
                    return Ok(());
                }
                message = begins.map(|date| (Vec::new(), date));
                after_empty = false;
                continue;
            }
            after_empty = line == b"\n" || line == b"\r\n";
            match &mut message {
                Some((octets, _)) => octets.extend_from_slice(&line),
                None if after_empty => {}
                None => {
                    let what = format!("{} is no mbox file: it has no From line", path.display());
                    return Err(Failure::usage(what));
                }
            }
        }
    }
}

impl MboxSink {
    pub(in crate::cli) fn new(root: PathBuf) -> Self {
        Self { root, file: None }
    }
}

impl Sink for MboxSink {
    fn begin(&mut self, folder: &Folder) -> Result<(), Failure> {
        let path = path_of(&self.root, &folder.name);
        if let Some(parent) = path.parent() {
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent);
            made.map_err(|error| failed("make", parent, &error))?;
        }
        let part = part_of(&path);
        let mut file = File::options();
        let file = file
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part);
        let file = file.map_err(|error| failed("write", &part, &error))?;
        self.file = Some((BufWriter::with_capacity(BUFFER_OCTETS, file), path));
        Ok(())
    }

    fn wants(&mut self, _: &[u8; 32], _: u64) -> bool {
        true // a file is written anew as a whole
    }

    fn take(&mut self, letter: Letter, _: [u8; 32]) -> Result<(), Failure> {
        let Some((file, path)) = &mut self.file else {
            unreachable!("a folder is begun before it gets letters");
        };
        let written = file.write_all(&mbox_form::write(&letter));
        written.map_err(|error| failed("write", path, &error))
    }

    fn end(&mut self) -> Result<(), Failure> {
        let Some((file, path)) = self.file.take() else {
            return Ok(());
        };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(part_of(&path), &path))
            .map_err(|error| failed("write", &path, &error))
    }
}

/// Finds the files below a folder; their names become names of folders.
fn gather(folder: &Path, prefix: &str, found: &mut Vec<Folder>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| failed("look into", folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed("look into", folder, &error))?;
        let (path, name) = (
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        );
        let about = entry
            .metadata()
            .map_err(|error| failed("look at", &path, &error))?;
        if name.starts_with('.') || name.ends_with(PART) {
            continue;
        }
        if about.is_dir() {
            gather(
                &path,
                &format!("{prefix}{}/", names::from_file(&name)),
                found,
            )?;
        } else if about.is_file() && about.len() > 0 {
            let level = names::from_file(name.strip_suffix(ENDING).unwrap_or(&name));
            let name = imap::MailboxName::new(&format!("{prefix}{level}"));
            found.push(Folder {
                name: name.as_str().to_owned(),
                role: None,
                octets: about.len(),
            });
        }
    }
    Ok(())
}

fn path_of(root: &Path, folder: &str) -> PathBuf {
    let mut path = root.to_owned();
    path.extend(folder.split('/').map(names::file));
    with_ending(path, ENDING)
}

fn part_of(path: &Path) -> PathBuf {
    with_ending(path.to_owned(), PART)
}

fn with_ending(path: PathBuf, ending: &str) -> PathBuf {
    let mut path = path.into_os_string();
    path.push(ending);
    path.into()
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {action} {}: {error}", path.display()))
}

const ENDING: &str = ".mbox";
const PART: &str = ".part";
const BUFFER_OCTETS: usize = 256 * 1024;
