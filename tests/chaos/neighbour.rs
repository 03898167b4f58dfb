//! Another mail system: it takes everything, and knows what came and how often.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::ledger::{letter, name_of};

/// Another mail system; its threads end with the test.
#[derive(Debug)]
pub(crate) struct Neighbour {
    address: SocketAddr,
    came: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Neighbour {
    /// Opens its door.
    pub(crate) fn open() -> Self {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        let came: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let book = Arc::clone(&came);
        thread::spawn(move || {
            for guest in door.incoming().flatten() {
                let book = Arc::clone(&book);
                // A guest that leaves in the middle has brought nothing.
                thread::spawn(move || drop(serve(&guest, &book)));
            }
        });
        Self { address, came }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many messages came that had come before.
    pub(crate) fn again(&self) -> u64 {
        self.came
            .lock()
            .unwrap()
            .values()
            .map(|times| times - 1)
            .sum()
    }

    /// How often each message came.
    pub(crate) fn came(&self) -> BTreeMap<String, u64> {
        self.came.lock().unwrap().clone()
    }
}

/// Speaks as little SMTP as a server may (RFC 5321 §4.5.1).
fn serve(guest: &TcpStream, book: &Mutex<BTreeMap<String, u64>>) -> io::Result<()> {
    guest.set_nodelay(true)?;
    let (mut read, mut write) = (BufReader::new(guest), guest);
    write.write_all(b"220 neighbour.test\r\n")?;
    let mut line = String::new();
    loop {
        line.clear();
        if read.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.trim_end().split([' ', ':']).next().unwrap_or_default();
        match verb.to_ascii_uppercase().as_str() {
            "DATA" => {
                write.write_all(b"354 go on\r\n")?;
                let message = body(&mut read)?;
                let name = name_of(&message).filter(|name| message.ends_with(&letter(name)));
                let name = name.unwrap_or_else(|| "torn".to_owned());
                *book.lock().unwrap().entry(name).or_default() += 1;
                write.write_all(b"250 taken\r\n")?;
            }
            "QUIT" => return write.write_all(b"221 bye\r\n"),
            _ => write.write_all(b"250 fine\r\n")?,
        }
    }
}

/// Up to the line that is a dot (RFC 5321 §4.5.2).
fn body(read: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let begin = message.len();
        if read.read_until(b'\n', &mut message)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match &message[begin..] {
            b".\r\n" => {
                message.truncate(begin);
                return Ok(message);
            }
            [b'.', ..] => drop(message.remove(begin)),
            _ => {}
        }
    }
}
