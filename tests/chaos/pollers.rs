//! Clients that fetch: each asks its maildrop for messages, and leaves them there.

use std::{io, net::SocketAddr};

use testkit::{LONG, PASSWORD, Wire};

use crate::{
    ledger::{Ledger, letter, name_of},
    load::Load,
    senders::last_words,
};

/// Fetches until the load is over.
pub(crate) fn poll(door: SocketAddr, user: &str, load: &Load) -> Ledger {
    let mut poller = Poller {
        ledger: Ledger::default(),
        wire: None,
    };
    for number in 0.. {
        if !load.turn() {
            break;
        }
        if poller.turn(door, user, number).is_err() {
            poller.wire = None;
        }
    }
    poller.ledger
}

struct Poller {
    ledger: Ledger,
    wire: Option<Wire>,
}

/// The connection is over; the ledger knows why, if that was not our wish.
struct Gone;

impl Poller {
    fn turn(&mut self, door: SocketAddr, user: &str, number: usize) -> Result<(), Gone> {
        self.enter(door, user)?;
        let Some(count) = self.ask("STAT")?.and_then(|answer| {
            let count = answer.split(' ').next()?;
            count.parse::<usize>().ok()
        }) else {
            return Ok(());
        };
        if count > 0
            && self
                .ask(&format!("RETR {}", 1 + number * 7 % count))?
                .is_some()
        {
            let message = self.rest()?;
            let name = name_of(&message).unwrap_or_default();
            if !message.ends_with(&letter(&name)) {
                self.ledger.wrong.push(format!("pop3: {name:?} is torn"));
            }
        }
        if number % 20 == 19 {
            self.ask("QUIT")?;
            return Err(Gone);
        }
        Ok(())
    }

    /// Connects and logs in, if it has not.
    fn enter(&mut self, door: SocketAddr, user: &str) -> Result<(), Gone> {
        if self.wire.is_some() {
            return Ok(());
        }
        let greeted = Wire::connect(door).and_then(|mut wire| {
            wire.patience(LONG)?;
            let greeting = String::from_utf8_lossy(&wire.line()?).into_owned();
            match greeting.starts_with("+OK") {
                true => Ok(wire),
                false => Err(io::Error::other(greeting)),
            }
        });
        match greeted {
            Ok(wire) => self.wire = Some(wire),
            Err(error) => {
                let closed = &mut self.ledger.closed;
                closed.push(format!("pop3: at the door: {error}"));
                return Err(Gone);
            }
        }
        loop {
            let (name, word) = (format!("USER {user}"), format!("PASS {PASSWORD}"));
            if self.ask(&name)?.is_some() && self.ask(&word)?.is_some() {
                return Ok(());
            }
        }
    }

    /// Says a command; what follows `+OK`. None: not now.
    fn ask(&mut self, command: &str) -> Result<Option<String>, Gone> {
        let wire = self.wire.as_mut().ok_or(Gone)?;
        let said = wire.send(format!("{command}\r\n").as_bytes());
        let line = match said.and_then(|()| wire.line()) {
            Ok(line) => String::from_utf8_lossy(&line).into_owned(),
            Err(error) => {
                let last = last_words(wire);
                self.ledger.closed.push(format!("pop3: {error}: {last}"));
                return Err(Gone);
            }
        };
        let word = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        if let Some(answer) = line.strip_prefix("+OK") {
            self.ledger.answered("pop3 +OK");
            return Ok(Some(answer.trim_start().to_owned()));
        }
        if !["-ERR [SYS/TEMP]", "-ERR [IN-USE]"].contains(&&*word) {
            self.ledger.wrong.push(format!("pop3: {command}: {line}"));
        }
        if line.contains("come back later") {
            self.ledger.closed.push(format!("pop3: {line}"));
            return Err(Gone);
        }
        self.ledger.answered(format!("pop3 {word}"));
        Ok(None)
    }

    /// The lines of an answer, up to the one that is a dot.
    fn rest(&mut self) -> Result<Vec<u8>, Gone> {
        let wire = self.wire.as_mut().ok_or(Gone)?;
        let mut message = Vec::new();
        loop {
            let line = match wire.line() {
                Ok(line) => line,
                Err(error) => {
                    let closed = &mut self.ledger.closed;
                    closed.push(format!("pop3: in the middle of an answer: {error}"));
                    return Err(Gone);
                }
            };
            match line.strip_prefix(b".") {
                Some(b"") => return Ok(message),
                Some(rest) => message.extend_from_slice(rest),
                None => message.extend_from_slice(&line),
            }
            message.extend_from_slice(b"\r\n");
        }
    }
}
