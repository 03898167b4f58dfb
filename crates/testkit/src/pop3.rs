//! A small POP3 client.

use std::net::ToSocketAddrs;

use crate::wire::Wire;

/// A client in the middle of a session.
pub struct Pop3Client {
    wire: Wire,
}

impl Pop3Client {
    /// Connects, and reads the greeting.
    ///
    /// # Panics
    /// When there is no greeting.
    #[track_caller]
    pub fn connect(address: impl ToSocketAddrs) -> Self {
        Self::greeted(Wire::connect(address).expect("the listener accepts"))
    }

    /// Goes on with a connection that has not read the greeting yet.
    ///
    /// # Panics
    /// When there is no greeting.
    #[track_caller]
    pub fn greeted(wire: Wire) -> Self {
        let mut client = Self { wire };
        let greeting = client.line();
        assert!(greeting.starts_with("+OK"), "no greeting: {greeting}");
        client
    }

    /// The connection below.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Logs in by USER and PASS.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn login(&mut self, user: &str, password: &str) {
        self.ok(&format!("USER {user}"));
        self.ok(&format!("PASS {password}"));
    }

    /// Sends a command and returns the first line of the answer.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn command(&mut self, line: &str) -> String {
        self.wire
            .send(format!("{line}\r\n").as_bytes())
            .expect("the server reads");
        self.line()
    }

    /// Sends a command that must succeed, and returns what follows `+OK`.
    ///
    /// # Panics
    /// When the answer is `-ERR`.
    #[track_caller]
    pub fn ok(&mut self, line: &str) -> String {
        let answer = self.command(line);
        let Some(rest) = answer.strip_prefix("+OK") else {
            panic!("{line} was answered: {answer}");
        };
        rest.trim_start().to_owned()
    }

    /// Sends a command with an answer of many lines, and returns them with the dots undone.
    ///
    /// # Panics
    /// When the answer is `-ERR`.
    #[track_caller]
    pub fn lines(&mut self, line: &str) -> Vec<u8> {
        self.ok(line);
        let mut body = Vec::new();
        loop {
            let line = self.wire.line().expect("the server ends what it began");
            match line.strip_prefix(b".") {
                Some(b"") => return body,
                Some(rest) => body.extend_from_slice(rest),
                None => body.extend_from_slice(&line),
            }
            body.extend_from_slice(b"\r\n");
        }
    }

    /// How many messages there are (STAT).
    ///
    /// # Panics
    /// When the answer is not a number.
    #[track_caller]
    pub fn count(&mut self) -> usize {
        let answer = self.ok("STAT");
        answer
            .split(' ')
            .next()
            .unwrap_or_default()
            .parse()
            .expect("STAT begins with a count")
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let line = self
            .wire
            .line()
            .unwrap_or_else(|error| panic!("no answer: {error}"));
        String::from_utf8_lossy(&line).into_owned()
    }
}
