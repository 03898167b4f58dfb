//! The command line's side of the operator socket.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::{Failure, args::Reach, demo};
use crate::{
    admin::{
        SOCKET_NAME,
        protocol::{Answer, LINE_OCTETS_MAX, Page, RefusalKind, Request},
    },
    config::Config,
};

/// A connection to a running daemon.
pub(super) struct Client {
    socket: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the daemon that `reach` names.
    pub(super) fn of(reach: &Reach) -> Result<Self, Failure> {
        Self::connect(&reach.folder()?)
    }

    /// Connects to the daemon on that data folder.
    pub(super) fn connect(folder: &Path) -> Result<Self, Failure> {
        let socket = folder.join(SOCKET_NAME);
        let stream = UnixStream::connect(&socket).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    "no daemon runs on this data folder; start one, or name another folder with --data"
                }
                io::ErrorKind::PermissionDenied => "only the daemon's user and root may steer it",
                _ => "is this the daemon's data folder?",
            };
            Failure::unreachable(format!("cannot reach {}: {error}: {hint}", socket.display()))
        })?;
        let limited = stream
            .set_read_timeout(Some(ANSWER_LIMIT))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_LIMIT)));
        limited.map_err(|error| Failure::unreachable(format!("{}: {error}", socket.display())))?;
        Ok(Self {
            socket,
            stream: BufReader::new(stream),
        })
    }

    /// Asks for what may take hours, and waits as long as the daemon is there.
    pub(super) fn ask_patiently<T: DeserializeOwned>(
        &mut self,
        request: &Request,
    ) -> Result<T, Failure> {
        let unlimited = self.stream.get_ref().set_read_timeout(None);
        unlimited.map_err(|error| self.lost(&error))?;
        self.ask(request)
    }

    /// Asks, and reads the answer.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        self.ask_with(request, &[])
    }

    /// Asks for page after page: `request` makes the question from the last item so far.
    pub(super) fn ask_for_all<T: DeserializeOwned>(
        &mut self,
        mut request: impl FnMut(Option<&T>) -> Request,
    ) -> Result<Vec<T>, Failure> {
        let mut items: Vec<T> = Vec::new();
        loop {
            let page: Page<T> = self.ask(&request(items.last()))?;
            let is_last = !page.more || page.items.is_empty();
            items.extend(page.items);
            if is_last {
                return Ok(items);
            }
        }
    }

    /// Asks with octets that follow the request.
    pub(super) fn ask_with<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        octets: &[&[u8]],
    ) -> Result<T, Failure> {
        let sent = self.send(request, octets).and_then(|()| self.hear());
        self.answered(sent)
    }

    /// The same; none, if it is refused for that reason.
    pub(super) fn ask_unless<T: DeserializeOwned>(
        &mut self,
        reason: RefusalKind,
        request: &Request,
        octets: &[&[u8]],
    ) -> Result<Option<T>, Failure> {
        let answer = self.send(request, octets).and_then(|()| self.hear());
        match &answer {
            Ok(Answer::Refused(refusal)) if refusal.kind == reason => Ok(None),
            _ => self.answered(answer).map(Some),
        }
    }

    /// Asks, and reads the octets that follow the answer; `length` says how many they are. None if
    /// what is asked for is not there.
    pub(super) fn fetch<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        length: impl FnOnce(&T) -> u64,
    ) -> Result<Option<(T, Vec<u8>)>, Failure> {
        let answer = self.send(request, &[]).and_then(|()| self.hear());
        if let Ok(Answer::Refused(refusal)) = &answer
            && refusal.kind == RefusalKind::Missing
        {
            return Ok(None);
        }
        let answer: T = self.answered(answer)?;
        let (wanted, mut octets) = (length(&answer), Vec::new());
        let read = self.stream.by_ref().take(wanted).read_to_end(&mut octets);
        match read {
            Ok(read) if read as u64 == wanted => Ok(Some((answer, octets))),
            Ok(_) => Err(self.lost(&io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn answered<T: DeserializeOwned>(&self, answer: io::Result<Answer>) -> Result<T, Failure> {
        match answer.map_err(|error| self.lost(&error))? {
            Answer::Done(value) => {
                serde_json::from_value(value).map_err(|error| self.lost(&error.into()))
            }
            Answer::Refused(refusal) => Err(refusal.into()),
        }
    }

    fn send(&mut self, request: &Request, octets: &[&[u8]]) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let stream = self.stream.get_mut();
        stream.write_all(&line)?;
        octets
            .iter()
            .try_for_each(|octets| stream.write_all(octets))
    }

    fn hear(&mut self) -> io::Result<Answer> {
        let mut answer = Vec::new();
        let limit = LINE_OCTETS_MAX as u64;
        self.stream
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut answer)?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&answer)?)
    }

    fn lost(&self, error: &io::Error) -> Failure {
        let what = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("no answer within {} seconds", ANSWER_LIMIT.as_secs())
            }
            io::ErrorKind::UnexpectedEof => "the daemon hung up; its log says why".to_owned(),
            _ => error.to_string(),
        };
        Failure::unreachable(format!("{}: {what}", self.socket.display()))
    }
}

impl Reach {
    /// The data folder of the daemon that is meant: the one given, the one that the configuration
    /// names, or the demo's.
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.data {
            return Ok(folder.clone());
        }
        if let Some(file) = &self.config {
            return Ok(Config::read(file)?.effective.data);
        }
        let usual = Path::new(USUAL_CONFIG);
        if usual.exists() {
            return Ok(Config::read(usual)?.effective.data);
        }
        Ok(demo::default_folder())
    }
}

impl Reach {
    /// The store of the daemon that is meant. Without a configuration its settings are the
    /// defaults.
    pub(super) fn store(&self) -> Result<store::Config, Failure> {
        let usual = Path::new(USUAL_CONFIG);
        match &self.config {
            Some(file) => Ok(Config::read(file)?.effective.store()),
            None if self.data.is_none() && usual.exists() => {
                Ok(Config::read(usual)?.effective.store())
            }
            None => Ok(store::Config::new(self.folder()?)),
        }
    }
}

impl Reach {
    /// The configuration that is meant, and the certificate and key that it names.
    pub(super) fn settings(&self) -> Result<Vec<PathBuf>, Failure> {
        let usual = Path::new(USUAL_CONFIG);
        let file = match &self.config {
            Some(file) => file,
            None if self.data.is_none() && usual.exists() => usual,
            None => return Ok(Vec::new()),
        };
        let tls = Config::read(file)?.effective.tls;
        let named = [tls.certificate, tls.key].into_iter().flatten();
        Ok(std::iter::once(file.to_owned()).chain(named).collect())
    }
}

/// Read when neither `--data` nor `--config` is given.
const USUAL_CONFIG: &str = "/etc/heronry/heronry.toml";

/// The longest request makes a thousand accounts durable.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
