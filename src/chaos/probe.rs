//! A probe: a client that says NOOP again and again, and tells how long the answers take.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What is spoken with the probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Speech {
    /// IMAP (RFC 3501).
    Imap,
    /// SMTP (RFC 5321).
    Smtp,
}

/// Something that a probe tells.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Which probe.
    pub who: Speech,
    /// When.
    pub at: Instant,
    /// What.
    pub said: Said,
}

/// What a probe tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said {
    /// It wants an answer, and connects first if it must.
    Asked,
    /// It was closed, with a word of good-bye (`421`, `BYE`) or without one.
    Closed {
        /// Whether there was a word.
        with_word: bool,
    },
    /// The answer was that something went wrong here: `451`, `NO [SERVERBUG]`.
    Failed,
    /// All is well.
    Fine,
    /// Nobody lets it in.
    Unreachable,
}

/// A probe at work. It ends when it is dropped.
#[derive(Debug)]
pub struct Probe {
    /// Dropped, so that it ends; nothing is ever sent.
    go_on: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    /// Sends a probe to that door; `tell` hears of everything.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn send(who: Speech, address: SocketAddr, tell: Sender<Heard>) -> io::Result<Self> {
        let (go_on, stop) = channel();
        let run = move || run(who, reachable(address), &tell, &stop);
        let thread = thread::Builder::new().name(format!("probe-{}", who.name()));
        Ok(Self {
            go_on: Some(go_on),
            thread: Some(thread.spawn(run)?),
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        drop(self.go_on.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing more to tell, whatever its end was
        }
    }
}

impl Speech {
    /// As it is told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }

    const fn noop(self) -> &'static [u8] {
        match self {
            Self::Imap => b"n NOOP\r\n",
            Self::Smtp => b"NOOP\r\n",
        }
    }

    /// What this line says about the answer; none if the answer goes on.
    fn verdict(self, line: &str) -> Option<Said> {
        let goodbye = Said::Closed { with_word: true };
        match self {
            Self::Imap if line.starts_with("* BYE") => Some(goodbye),
            Self::Imap if line.starts_with("n OK") => Some(Said::Fine),
            Self::Imap => line.starts_with("n ").then_some(Said::Failed),
            Self::Smtp if line.starts_with("421") => Some(goodbye),
            Self::Smtp if line.as_bytes().get(3) == Some(&b'-') => None,
            Self::Smtp if line.starts_with('2') => Some(Said::Fine),
            Self::Smtp => Some(Said::Failed),
        }
    }
}

fn run(who: Speech, address: SocketAddr, tell: &Sender<Heard>, stop: &Receiver<()>) {
    let mut door = None;
    loop {
        let asked = Instant::now();
        let _ = say(tell, who, Said::Asked); // who hears no more stops us below
        let said = ask(who, address, &mut door);
        if !matches!(said, Said::Fine | Said::Failed) {
            door = None;
        }
        let is_heard = say(tell, who, said);
        let rest = PACE.saturating_sub(asked.elapsed());
        let stopped = stop.recv_timeout(rest) == Err(RecvTimeoutError::Disconnected);
        if stopped || !is_heard {
            return;
        }
    }
}

fn say(tell: &Sender<Heard>, who: Speech, said: Said) -> bool {
    let at = Instant::now();
    tell.send(Heard { who, at, said }).is_ok()
}

fn ask(who: Speech, address: SocketAddr, door: &mut Option<BufReader<TcpStream>>) -> Said {
    let stream = match door {
        Some(stream) => stream,
        None => match enter(address) {
            Ok(stream) => door.insert(stream),
            Err(_) => return Said::Unreachable,
        },
    };
    let silent = Said::Closed { with_word: false };
    if stream.get_mut().write_all(who.noop()).is_err() {
        return silent;
    }
    loop {
        match line(stream) {
            Ok(line) => {
                if let Some(said) = who.verdict(&line) {
                    return said;
                }
            }
            Err(_) => return silent,
        }
    }
}

/// Connects, and reads the greeting.
fn enter(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    let greeting = line(&mut stream)?;
    match greeting.starts_with("220 ") || greeting.starts_with("* OK") {
        true => Ok(stream),
        false => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    let mut limited = stream.by_ref().take(LINE_OCTETS_MAX);
    match limited.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}

/// A door that is open on every address is open on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// From one question to the next.
const PACE: Duration = Duration::from_millis(100);

/// Who waits longer for an answer goes away.
const PATIENCE: Duration = Duration::from_secs(10);

const LINE_OCTETS_MAX: u64 = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_what_comes_before_it() {
        let said = |who: Speech, line: &str| who.verdict(line);
        let goodbye = Some(Said::Closed { with_word: true });
        assert_eq!(said(Speech::Smtp, "250 2.0.0 ok\r\n"), Some(Said::Fine));
        assert_eq!(said(Speech::Smtp, "250-more\r\n"), None);
        assert_eq!(said(Speech::Smtp, "451 4.3.0 x\r\n"), Some(Said::Failed));
        assert_eq!(said(Speech::Smtp, "421 4.3.2 x\r\n"), goodbye);
        assert_eq!(said(Speech::Imap, "* 3 EXISTS\r\n"), None);
        assert_eq!(said(Speech::Imap, "n OK done\r\n"), Some(Said::Fine));
        let bug = "n NO [SERVERBUG] x\r\n";
        assert_eq!(said(Speech::Imap, bug), Some(Said::Failed));
        assert_eq!(said(Speech::Imap, "* BYE later\r\n"), goodbye);
    }

    #[test]
    fn a_door_on_every_address_is_reached_at_home() {
        let of = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(of("0.0.0.0:25"), "127.0.0.1:25");
        assert_eq!(of("[::]:25"), "[::1]:25");
        assert_eq!(of("192.0.2.1:25"), "192.0.2.1:25");
    }
}
