//! Clients that read: each sees a mailbox by what it is told, and changes it.

use std::{io, net::SocketAddr, time::Duration};

use testkit::{ImapClient, LONG, PASSWORD, Wire};

use crate::{
    ledger::{Ledger, letter},
    load::Load,
    senders::last_words,
    view::View,
};

/// A client that reads the INBOX of an account.
pub(crate) struct Reader {
    door: SocketAddr,
    number: usize,
    pub(crate) user: String,
    pub(crate) ledger: Ledger,
    client: Option<ImapClient>,
    /// What it sees, once it has selected its mailbox.
    pub(crate) view: Option<View>,
    /// The last lines that it was told, for whoever has to understand what was wrong.
    heard: Vec<String>,
}

/// The connection is closed; the ledger has its last words.
pub(crate) struct Gone;

impl Reader {
    pub(crate) fn new(door: SocketAddr, number: usize, user: String) -> Self {
        Self {
            door,
            number,
            user,
            ledger: Ledger::default(),
            client: None,
            view: None,
            heard: Vec::new(),
        }
    }

    /// Reads until the load is over.
    pub(crate) fn read(mut self, load: &Load) -> Self {
        for number in 0.. {
            if !load.turn() {
                break;
            }
            if self.turn(number).is_err() {
                self.client = None;
                self.view = None;
            }
        }
        self
    }

    /// Asks for everything that it does not know, now that nobody changes anything.
    pub(crate) fn look_for_the_last_time(&mut self) -> Result<(), Gone> {
        self.enter()?;
        while self.view.is_none() {
            self.select()?;
        }
        while !self.command("NOOP")? {}
        while let Some(first) = self.unknown() {
            self.command(&format!("FETCH {first}:* (UID FLAGS {NAME})"))?;
        }
        Ok(())
    }

    fn turn(&mut self, number: usize) -> Result<(), Gone> {
        self.enter()?;
        if self.view.is_none() || number % 40 == 39 {
            return self.select();
        }
        match number % 8 {
            0 => self.append(number)?,
            1 | 5 => self.idle()?,
            2 => self.flag(number, "+FLAGS")?,
            6 => self.flag(number, "-FLAGS")?,
            7 => self.expunge()?,
            _ => drop(self.command("NOOP")?),
        }
        if let Some(first) = self.unknown() {
            let last = first + FETCHED_AT_ONCE;
            let last = last.min(self.view().messages.len());
            self.command(&format!("FETCH {first}:{last} (UID FLAGS {NAME})"))?;
        }
        Ok(())
    }

    /// Connects and logs in, if it has not.
    fn enter(&mut self) -> Result<(), Gone> {
        if self.client.is_some() {
            return Ok(());
        }
        let greeted = Wire::connect(self.door).and_then(|wire| {
            wire.patience(LONG)?;
            let mut client = ImapClient::unheard(wire);
            let greeting = client.try_response()?.text();
            match greeting.starts_with("* OK") {
                true => Ok(client),
                false => Err(io::Error::other(greeting)),
            }
        });
        match greeted {
            Ok(client) => self.client = Some(client),
            Err(error) => {
                self.ledger
                    .closed
                    .push(format!("imap: at the door: {error}"));
                return Err(Gone);
            }
        }
        let login = format!("LOGIN {} {PASSWORD}", self.user);
        while !self.command(&login)? {} // hashers come back
        Ok(())
    }

    fn select(&mut self) -> Result<(), Gone> {
        self.view = Some(View::default());
        if !self.command("SELECT INBOX")? {
            self.view = None;
        } else if !self.view().messages.is_empty() {
            self.command("UID FETCH 1:* (FLAGS)")?;
        }
        Ok(())
    }

    fn append(&mut self, number: usize) -> Result<(), Gone> {
        let name = format!("a{}n{number}", self.number);
        let message = letter(&name);
        let command = format!("APPEND INBOX (\\Seen) {{{}}}", message.len());
        let tag = self.start(&command)?;
        let mut is_sent = false;
        let is_taken = loop {
            match self.hear(&tag)? {
                Heard::GoOn => {
                    is_sent = true;
                    self.send(&[&message, &b"\r\n"[..]].concat())?;
                }
                Heard::Tagged(is_ok) => break is_ok,
                Heard::Untagged => {}
            }
        };
        match (is_taken, is_sent) {
            (true, _) => self.ledger.acknowledge(&self.user, name),
            (false, true) => drop(self.ledger.doubtful.insert(name)),
            (false, false) => {}
        }
        Ok(())
    }

    /// Idles until it is told something, or nothing for a moment.
    fn idle(&mut self) -> Result<(), Gone> {
        let tag = self.start("IDLE")?;
        loop {
            match self.hear(&tag)? {
                Heard::GoOn => break,
                Heard::Tagged(_) => return Ok(()),
                Heard::Untagged => {}
            }
        }
        self.client().wire().patience(MOMENT).unwrap();
        let told = self.client().wire().peek();
        self.client().wire().patience(LONG).unwrap();
        if told.is_ok() {
            self.hear(&tag)?;
        }
        self.send(b"DONE\r\n")?;
        while !matches!(self.hear(&tag)?, Heard::Tagged(_)) {}
        Ok(())
    }

    fn flag(&mut self, number: usize, how: &str) -> Result<(), Gone> {
        let count = self.view().messages.len();
        if count > 0 {
            let at = 1 + (number * 31 + self.number) % count;
            self.command(&format!("STORE {at} {how} (\\Flagged)"))?;
        }
        Ok(())
    }

    /// Removes a message that this client appended.
    fn expunge(&mut self) -> Result<(), Gone> {
        let own = format!("a{}n", self.number);
        let is_own = |name: &String| name.starts_with(&own);
        let found = self
            .view()
            .find(|seen| seen.name.as_ref().is_some_and(is_own));
        let Some(at) = found else { return Ok(()) };
        let name = self.view().messages[at - 1].name.clone();
        self.ledger.removed.extend(name);
        if self.command(&format!("STORE {at} +FLAGS (\\Deleted)"))? {
            self.command("EXPUNGE")?;
        }
        Ok(())
    }

    /// The first message that it knows nothing of.
    fn unknown(&mut self) -> Option<usize> {
        let is_unknown = |seen: &crate::view::Seen| seen.name.is_none() || seen.flags.is_none();
        self.view().find(is_unknown)
    }

    fn view(&mut self) -> &mut View {
        self.view.get_or_insert_default()
    }

    fn client(&mut self) -> &mut ImapClient {
        self.client.as_mut().unwrap()
    }

    /// Says a command and hears its answer; whether that was OK.
    fn command(&mut self, command: &str) -> Result<bool, Gone> {
        let tag = self.start(command)?;
        loop {
            if let Heard::Tagged(is_ok) = self.hear(&tag)? {
                return Ok(is_ok);
            }
        }
    }

    fn start(&mut self, command: &str) -> Result<String, Gone> {
        self.note(format!("> {command}"));
        let tag = self.client().start(command.as_bytes());
        tag.map_err(|error| self.gone(&error))
    }

    fn send(&mut self, octets: &[u8]) -> Result<(), Gone> {
        let sent = self.client().wire().send(octets);
        sent.map_err(|error| self.gone(&error))
    }

    fn hear(&mut self, tag: &str) -> Result<Heard, Gone> {
        let response = match self.client().try_response() {
            Ok(response) => response,
            Err(error) => return Err(self.gone(&error)),
        };
        let text = response.text();
        self.note(text.clone());
        if let Some(tagged) = text.strip_prefix(tag) {
            return Ok(Heard::Tagged(self.tagged(tagged.trim_start())));
        }
        if text.starts_with("* BYE") {
            self.ledger.closed.push(format!("imap: {text}"));
            return Err(Gone);
        }
        if text.starts_with('+') {
            return Ok(Heard::GoOn);
        }
        let seen = self.view.as_mut().map(|view| view.hear(&response));
        if let Some(Err(wrong)) = seen {
            let story = self.heard.join("\n    ");
            let who = format!("imap {} of {}", self.number, self.user);
            self.ledger
                .wrong
                .push(format!("{who}: {wrong}\n    {story}"));
        }
        Ok(Heard::Untagged)
    }

    fn tagged(&mut self, text: &str) -> bool {
        let mut words = text.split(' ');
        let status = words.next().unwrap_or_default();
        let code = words
            .next()
            .filter(|word| word.starts_with('[') && status == "NO");
        let answer = format!("imap {status} {}", code.unwrap_or_default());
        self.ledger.answered(answer.trim_end());
        if status == "BAD" {
            let story = self.heard.join("\n    ");
            self.ledger.wrong.push(format!("imap: {text}\n    {story}"));
        }
        status == "OK"
    }

    fn gone(&mut self, error: &io::Error) -> Gone {
        let last = last_words(self.client().wire());
        self.ledger.closed.push(format!("imap: {error}: {last}"));
        Gone
    }

    fn note(&mut self, line: String) {
        if self.heard.len() == STORY {
            self.heard.remove(0);
        }
        self.heard.push(line);
    }
}

enum Heard {
    GoOn,
    Tagged(bool),
    Untagged,
}

const NAME: &str = "BODY.PEEK[HEADER.FIELDS (SUBJECT)]";

const FETCHED_AT_ONCE: usize = 50;

/// How many lines tell what happened.
const STORY: usize = 12;

/// How long a client idles if nothing comes.
const MOMENT: Duration = Duration::from_millis(100);
