//! Another mail system: it takes everything, or nothing for a while, and knows what came how often.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// Another mail system; its threads end with the test.
#[derive(Clone, Debug)]
pub struct Neighbour {
    address: SocketAddr,
    book: Arc<Book>,
}

#[derive(Debug)]
struct Book {
    /// What a message is called.
    name_of: fn(&[u8]) -> String,
    came: Mutex<BTreeMap<String, u64>>,
    is_full: AtomicBool,
    /// What it makes of a chunk, if it offers CHUNKING (RFC 3030).
    offers: Option<OnChunk>,
    chunked: AtomicU64,
}

/// What a system does over a chunk that offers CHUNKING and cannot do it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnChunk {
    /// It closes the connection without a word.
    Close,
    /// It says that it does not know BDAT, and reads the message as commands.
    Refuse,
}

impl Neighbour {
    /// Opens its door. What comes it calls by the name that `name_of` reads in it; a message over
    /// which that panics is not taken.
    pub fn open(name_of: fn(&[u8]) -> String) -> Self {
        Self::with(name_of, None)
    }

    /// As [`open`](Self::open), but it offers CHUNKING, and PIPELINING, and cannot do the first.
    pub fn that_cannot_chunk(name_of: fn(&[u8]) -> String, on_chunk: OnChunk) -> Self {
        Self::with(name_of, Some(on_chunk))
    }

    fn with(name_of: fn(&[u8]) -> String, offers: Option<OnChunk>) -> Self {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        let book = Arc::new(Book {
            name_of,
            came: Mutex::default(),
            is_full: AtomicBool::new(false),
            offers,
            chunked: AtomicU64::new(0),
        });
        let neighbour = Self {
            address,
            book: book.clone(),
        };
        thread::spawn(move || {
            for guest in door.incoming().flatten() {
                let book = book.clone();
                // A guest that leaves in the middle has brought nothing.
                thread::spawn(move || drop(book.serve(&guest)));
            }
        });
        neighbour
    }

    /// Where its door is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it says "later" to everything, or not any more.
    pub fn set_full(&self, is_full: bool) {
        self.book.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Whether it says so.
    pub fn is_full(&self) -> bool {
        self.book.is_full.load(Ordering::Relaxed)
    }

    /// Whether a message came.
    pub fn has(&self, name: &str) -> bool {
        self.book.came.lock().unwrap().contains_key(name)
    }

    /// How often each message came.
    pub fn came(&self) -> BTreeMap<String, u64> {
        self.book.came.lock().unwrap().clone()
    }

    /// On how many connections it was sent chunks.
    pub fn chunked(&self) -> u64 {
        self.book.chunked.load(Ordering::Relaxed)
    }

    /// How many messages came that had come before.
    pub fn again(&self) -> u64 {
        let came = self.book.came.lock().unwrap();
        came.values().map(|times| times - 1).sum()
    }
}

impl Book {
    /// Speaks as little SMTP as a server may (RFC 5321 §4.5.1).
    fn serve(&self, guest: &TcpStream) -> io::Result<()> {
        guest.set_nodelay(true)?;
        let (mut read, mut write) = (BufReader::new(guest), guest);
        write.write_all(b"220 neighbour.test\r\n")?;
        let (mut line, mut is_chunked) = (String::new(), false);
        loop {
            line.clear();
            if read.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let verb = line.trim_end().split([' ', ':']).next().unwrap_or_default();
            match verb.to_ascii_uppercase().as_str() {
                "DATA" => {
                    write.write_all(b"354 go on\r\n")?;
                    let name = (self.name_of)(&body(&mut read)?);
                    *self.came.lock().unwrap().entry(name).or_default() += 1;
                    write.write_all(b"250 taken\r\n")?;
                }
                "EHLO" if self.offers.is_some() => {
                    write.write_all(b"250-neighbour.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n")?;
                }
                "BDAT" => {
                    if !std::mem::replace(&mut is_chunked, true) {
                        self.chunked.fetch_add(1, Ordering::Relaxed);
                    }
                    match self.offers {
                        Some(OnChunk::Close) => return Ok(()),
                        _ => write.write_all(b"502 what is that\r\n")?,
                    }
                }
                "MAIL" if self.is_full.load(Ordering::Relaxed) => {
                    write.write_all(b"451 later\r\n")?;
                }
                "QUIT" => return write.write_all(b"221 bye\r\n"),
                _ => write.write_all(b"250 fine\r\n")?,
            }
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
