//! Another mail system: it takes everything, or nothing for a while, and knows what came how often.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::letter::name_of;

/// Another mail system; its threads end with the test.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    book: Arc<Book>,
}

#[derive(Debug, Default)]
struct Book {
    came: Mutex<BTreeMap<String, u64>>,
    is_full: AtomicBool,
}

impl Sink {
    /// Opens its door.
    pub(crate) fn open() -> Self {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        let book = Arc::new(Book::default());
        let sink = Self {
            address,
            book: book.clone(),
        };
        thread::spawn(move || {
            for guest in door.incoming().flatten() {
                let book = book.clone();
                // A guest that was killed in the middle has brought nothing.
                thread::spawn(move || drop(serve(&guest, &book)));
            }
        });
        sink
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it says "later" to everything, or not any more.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.book.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Whether it says so.
    pub(crate) fn is_full(&self) -> bool {
        self.book.is_full.load(Ordering::Relaxed)
    }

    /// Whether a message came.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.book.came.lock().unwrap().contains_key(name)
    }

    /// How many messages came, and how many of them once more.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let came = self.book.came.lock().unwrap();
        (came.len(), came.values().map(|times| times - 1).sum())
    }

    /// The names of all that came.
    pub(crate) fn names(&self) -> Vec<String> {
        self.book.came.lock().unwrap().keys().cloned().collect()
    }
}

/// Speaks as little SMTP as a server may (RFC 5321 §4.5.1).
fn serve(guest: &TcpStream, book: &Book) -> io::Result<()> {
    guest.set_nodelay(true)?;
    let (mut read, mut write) = (BufReader::new(guest), guest);
    write.write_all(b"220 sink.test\r\n")?;
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
                let name = name_of(&body(&mut read)?);
                *book.came.lock().unwrap().entry(name).or_default() += 1;
                write.write_all(b"250 taken\r\n")?;
            }
            "MAIL" if book.is_full.load(Ordering::Relaxed) => write.write_all(b"451 later\r\n")?,
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
