//! A connection to an IMAP server as a client: commands out, responses in, in the clear or in TLS.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use imap::client::Response;
use world::tls::{ClientTls, Trust};

use crate::cli::Failure;

/// A connection to an IMAP server.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    host: String,
    number: u32,
}

/// What came with the answer to a command.
pub(super) type Untagged = Vec<Response>;

/// Octets in both directions.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cli) enum Security {
    /// From its first octet (RFC 8314 §3.2).
    Tls,
    /// After STARTTLS (RFC 3501 §6.2.1).
    StartTls,
    /// Not at all.
    None,
}

impl Wire {
    /// Connects and reads the greeting.
    pub(super) fn connect(
        host: &str,
        port: u16,
        security: Security,
        tls: Option<&ClientTls>,
    ) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::unreachable(format!("{host}:{port}: {error}"));
        let socket = dial(host, port).map_err(|error| failed(&error))?;
        let secured = |socket: TcpStream| -> io::Result<Box<dyn Stream>> {
            match tls {
                Some(tls) => Ok(Box::new(tls.blocking(Trust::Required, host, socket)?)),
                None => Err(io::ErrorKind::Unsupported.into()),
            }
        };
        let plain = socket.try_clone().map_err(|error| failed(&error))?;
        let stream = match security {
            Security::Tls => secured(socket.try_clone().map_err(|error| failed(&error))?)
                .map_err(|error| failed(&error))?,
            Security::StartTls | Security::None => Box::new(plain),
        };
        let mut wire = Self {
            stream: BufReader::new(stream),
            host: host.to_owned(),
            number: 0,
        };
        let greeting = wire.response()?;
        if !["OK", "PREAUTH"].contains(&greeting.word(1)) {
            let said = greeting.word(2);
            return Err(Failure::new(format!("{host} does not let us in: {said}")));
        }
        if security == Security::StartTls {
            wire.command("STARTTLS", &[])?;
            if !wire.stream.buffer().is_empty() {
                // Whoever says more before the handshake is not who we speak to (RFC 3501 §6.2.1).
                return Err(Failure::new(format!(
                    "{host} speaks between STARTTLS and TLS"
                )));
            }
            let stream = secured(socket).map_err(|error| failed(&error))?;
            wire.stream = BufReader::new(stream);
        }
        Ok(wire)
    }

    /// Sends a command and reads to its answer. Each of `strings` follows as an argument, whatever
    /// its octets are.
    pub(super) fn command(
        &mut self,
        command: &str,
        strings: &[&[u8]],
    ) -> Result<Untagged, Failure> {
        let mut untagged = Vec::new();
        self.command_with(command, strings, &mut |response| {
            untagged.push(response);
            Ok(())
        })?;
        Ok(untagged)
    }

    /// The same; each response goes to `each`, as it comes.
    pub(super) fn command_with(
        &mut self,
        command: &str,
        strings: &[&[u8]],
        each: &mut dyn FnMut(Response) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.number += 1;
        let tag = format!("h{}", self.number);
        let mut line = format!("{tag} {command}").into_bytes();
        for string in strings {
            line.push(b' ');
            if string.iter().all(|octet| (b' '..=b'~').contains(octet)) {
                line.push(b'"');
                for &octet in *string {
                    if matches!(octet, b'"' | b'\\') {
                        line.push(b'\\');
                    }
                    line.push(octet);
                }
                line.push(b'"');
                continue;
            }
            line.extend_from_slice(format!("{{{}}}\r\n", string.len()).as_bytes());
            self.send(&line)?;
            line.clear();
            let go = self.response()?;
            if go.tag() != "+" {
                return Err(self.refused(command, &go));
            }
            line.extend_from_slice(string);
        }
        line.extend_from_slice(b"\r\n");
        self.send(&line)?;
        loop {
            let response = self.response()?;
            if response.tag() == tag {
                return match response.word(1) {
                    "OK" => Ok(()),
                    _ => Err(self.refused(command, &response)),
                };
            }
            if response.tag() == "*" && response.word(1) == "BYE" {
                return Err(self.refused(command, &response));
            }
            each(response)?;
        }
    }

    fn refused(&self, command: &str, response: &Response) -> Failure {
        // Never its arguments: they may be a password.
        let verb = command.split(' ').next().unwrap_or_default();
        Failure::new(format!(
            "{} says to {verb}: {} {}",
            self.host,
            response.word(1),
            response.word(2)
        ))
    }

    fn send(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let stream = self.stream.get_mut();
        let sent = stream.write_all(octets).and_then(|()| stream.flush());
        sent.map_err(|error| self.lost(&error))
    }

    /// The next response, with its literals.
    fn response(&mut self) -> Result<Response, Failure> {
        let mut octets = Vec::new();
        loop {
            let begin = octets.len();
            let mut limited = (&mut self.stream).take(LINE_OCTETS_MAX);
            let read = limited.read_until(b'\n', &mut octets);
            read.map_err(|error| self.lost(&error))?;
            let line = &octets[begin..];
            if !line.ends_with(b"\n") {
                return Err(self.lost(&io::ErrorKind::UnexpectedEof.into()));
            }
            let Some(literal) = literal_octets(line) else {
                break;
            };
            if literal > LITERAL_OCTETS_MAX {
                let what = format!("{} sends {literal} octets at once", self.host);
                return Err(Failure::new(what));
            }
            let mut limited = (&mut self.stream).take(literal);
            let read = limited.read_to_end(&mut octets);
            let read = read.map_err(|error| self.lost(&error))?;
            if (read as u64) < literal {
                return Err(self.lost(&io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let read = Response::read(&octets);
        read.map(|(response, _)| response)
            .map_err(|error| Failure::new(format!("{}: {error}", self.host)))
    }

    fn lost(&self, error: &io::Error) -> Failure {
        Failure::unreachable(format!("the connection to {} is lost: {error}", self.host))
    }
}

fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(socket) => {
                socket.set_read_timeout(Some(SILENCE_LIMIT))?;
                socket.set_write_timeout(Some(SILENCE_LIMIT))?;
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The length of the literal that a line announces at its end.
fn literal_octets(line: &[u8]) -> Option<u64> {
    let inner = line.strip_suffix(b"}\r\n")?;
    let start = inner.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&inner[start + 1..]).ok()?.parse().ok()
}

const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// A server may look for a while for a large folder.
const SILENCE_LIMIT: Duration = Duration::from_secs(300);

const LINE_OCTETS_MAX: u64 = 1024 * 1024;

/// What a server can make us take into memory.
const LITERAL_OCTETS_MAX: u64 = 1024 * 1024 * 1024;
