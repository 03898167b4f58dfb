//! How a password comes in: never as an argument, where every user of the machine could read it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::Path,
};

use clap::Args;
use mail::Secret;
use world::SystemRandom;

use super::Failure;

/// Where the password comes from; without any of these it is asked for, or read from standard
/// input if that is no terminal.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct PasswordFrom {
    /// A ready-made hash in PHC form instead of a password: $argon2id$v=19$…
    #[arg(long, value_name = "PHC", conflicts_with = "locked")]
    pub(super) hash: Option<String>,
    /// No password: nobody can log in.
    #[arg(long)]
    pub(super) locked: bool,
}

impl PasswordFrom {
    /// The hash to be stored.
    pub(super) fn hash(&self) -> Result<Option<String>, Failure> {
        if self.locked {
            return Ok(None);
        }
        if let Some(hash) = &self.hash {
            let checked = actors::login::password::check(hash);
            return match checked {
                Ok(_) => Ok(Some(hash.clone())),
                Err(error) => Err(Failure::usage(format!("--hash: {error}"))),
            };
        }
        let password = read()?;
        if password.expose().is_empty() {
            return Err(Failure::usage(
                "a password is not empty; --locked gives none",
            ));
        }
        Ok(Some(actors::login::password::hash(
            &password,
            &SystemRandom,
        )))
    }
}

fn read() -> Result<Secret, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot read the password: {error}"));
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line(&mut stdin.lock()).map_err(failed);
    }
    let hidden = Hidden::begin().map_err(failed)?;
    let ask = |prompt: &str| {
        let mut stderr = io::stderr();
        stderr.write_all(prompt.as_bytes())?;
        stderr.flush()?;
        let password = line(&mut stdin.lock())?;
        stderr.write_all(b"\n")?;
        Ok(password)
    };
    let password = ask("Password: ").map_err(failed)?;
    let again = ask("Again: ").map_err(failed)?;
    drop(hidden);
    if password == again {
        Ok(password)
    } else {
        Err(Failure::usage("the two passwords differ"))
    }
}

/// A password that somebody else has set: from a file, from standard input, or asked for once.
pub(super) fn of_another(file: Option<&Path>) -> Result<Secret, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot read the password: {error}"));
    if let Some(path) = file {
        let named = |error| Failure::usage(format!("{}: {error}", path.display()));
        let mut file = BufReader::new(File::open(path).map_err(named)?);
        return line(&mut file).map_err(named);
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line(&mut stdin.lock()).map_err(failed);
    }
    let hidden = Hidden::begin().map_err(failed)?;
    let mut stderr = io::stderr();
    let asked = stderr
        .write_all(b"Password: ")
        .and_then(|()| stderr.flush())
        .and_then(|()| line(&mut stdin.lock()))
        .and_then(|password| stderr.write_all(b"\n").map(|()| password));
    drop(hidden);
    asked.map_err(failed)
}

fn line(input: &mut impl BufRead) -> io::Result<Secret> {
    let mut text = String::new();
    input.read_line(&mut text)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(Secret::new(text))
}

/// The terminal shows nothing of what is typed while this lives.
struct Hidden(rustix::termios::Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // If the terminal is gone there is nothing to put back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_line_without_its_end() {
        let read = |text: &str| line(&mut text.as_bytes()).unwrap().expose().to_owned();
        assert_eq!(read(" a b \r\nrest"), " a b ");
        assert_eq!(read("last"), "last");
    }
}
