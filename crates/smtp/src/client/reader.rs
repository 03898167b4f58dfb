//! Reads a peer's replies, of whatever length, into bounded memory.

use bytes::Bytes;
use mail::{Enhanced, Reply};

/// Octets that a peer has sent, and the reply that has begun in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    /// The beginning of a line.
    carry: Vec<u8>,
    input: Bytes,
    /// The lines of the reply so far.
    text: String,
    enhanced: Option<Enhanced>,
    lines: usize,
}

/// The peer speaks something else. Fault of the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum ReadError {
    /// No three digits, or no space or hyphen after them.
    #[error("the peer does not speak SMTP")]
    Foreign,
    /// More than [`LINE_OCTETS_MAX`] or [`LINES_MAX`].
    #[error("the peer's reply is too long")]
    Overlong,
}

impl Reader {
    pub(super) fn push(&mut self, octets: Bytes) {
        if self.input.is_empty() {
            self.input = octets;
        } else {
            self.input = [&self.input[..], &octets[..]].concat().into();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.input.is_empty() && self.carry.is_empty() && self.lines == 0
    }

    /// The next whole reply.
    pub(super) fn next(&mut self) -> Result<Option<Reply>, ReadError> {
        while let Some(lf) = memchr::memchr(b'\n', &self.input) {
            let part = self.input.split_to(lf + 1);
            if self.carry.len() + part.len() > LINE_OCTETS_MAX {
                return Err(ReadError::Overlong);
            }
            let reply = if self.carry.is_empty() {
                self.line(&part)
            } else {
                let mut line = std::mem::take(&mut self.carry);
                line.extend_from_slice(&part);
                self.line(&line)
            };
            if let Some(reply) = reply? {
                return Ok(Some(reply));
            }
        }
        if self.carry.len() + self.input.len() >= LINE_OCTETS_MAX {
            return Err(ReadError::Overlong);
        }
        self.carry.extend_from_slice(&self.input);
        self.input.clear();
        Ok(None)
    }

    /// `code "-" text` goes on, `code SP text` ends (RFC 5321 §4.2.1). A reply that is only a code
    /// is one, and a bare LF ends a line: here nothing can be smuggled, the peer is who it is.
    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReadError> {
        let line = line.trim_ascii_end();
        let (code, rest) = line.split_at_checked(3).ok_or(ReadError::Foreign)?;
        let digits = std::str::from_utf8(code)
            .ok()
            .filter(|c| c.bytes().all(|b| b.is_ascii_digit()));
        let code: u16 = digits
            .and_then(|c| c.parse().ok())
            .ok_or(ReadError::Foreign)?;
        let goes_on = match rest.first() {
            Some(b'-') => true,
            Some(b' ') | None => false,
            Some(_) => return Err(ReadError::Foreign),
        };
        if !(200..600).contains(&code) {
            return Err(ReadError::Foreign);
        }
        self.lines += 1;
        if self.lines > LINES_MAX {
            return Err(ReadError::Overlong);
        }
        let text = rest.get(1..).unwrap_or_default();
        let (enhanced, text) = enhanced(code, text);
        if self.lines > 1 {
            self.text.push('\n');
        }
        self.text.push_str(&String::from_utf8_lossy(text));
        self.enhanced = self.enhanced.or(enhanced);
        if goes_on {
            return Ok(None);
        }
        self.lines = 0;
        let text = std::mem::take(&mut self.text);
        Ok(Some(Reply::new(code, self.enhanced.take(), text)))
    }
}

/// The enhanced status code at the beginning of a text, if its class is that of the reply
/// (RFC 2034 §4), and the text after it.
fn enhanced(code: u16, text: &[u8]) -> (Option<Enhanced>, &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    let Some(found) = parse_enhanced(&text[..end]) else {
        return (None, text);
    };
    if u16::from(found.0) != code / 100 {
        return (None, text);
    }
    (Some(found), text[end..].trim_ascii_start())
}

fn parse_enhanced(word: &[u8]) -> Option<Enhanced> {
    let word = std::str::from_utf8(word).ok()?;
    let mut numbers = word.split('.').map(|number| {
        let sound = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        number.parse::<u16>().ok().filter(|_| sound)
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    Some(Enhanced(class.try_into().ok()?, subject, detail))
}

/// RFC 5321 §4.5.3.1.5 says 512, and many peers say more.
const LINE_OCTETS_MAX: usize = 4096;

/// No reply that means something has more.
const LINES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(slices: &[&[u8]]) -> Vec<Result<Reply, ReadError>> {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        for slice in slices {
            reader.push(Bytes::copy_from_slice(slice));
            loop {
                match reader.next() {
                    Ok(Some(reply)) => found.push(Ok(reply)),
                    Ok(None) => break,
                    Err(error) => {
                        found.push(Err(error));
                        return found;
                    }
                }
            }
        }
        found
    }

    #[test]
    fn replies_are_read_with_their_enhanced_codes() {
        let found = all(&[
            b"250-2.1.0 one\r\n250 2.1.0 two\r\n55",
            b"0 5.1.10\r\n221\r\n354 4.1.1 x\n",
        ]);
        assert_eq!(
            found,
            [
                Ok(Reply::new(250, Enhanced(2, 1, 0), "one\ntwo")),
                Ok(Reply::new(550, Enhanced(5, 1, 10), "")),
                Ok(Reply::new(221, None, "")),
                Ok(Reply::new(354, None, "4.1.1 x")),
            ]
        );
    }

    #[test]
    fn what_is_no_reply_ends_the_reading() {
        for foreign in [
            "HTTP/1.1 200 OK\r\n",
            "25\r\n",
            "250x\r\n",
            "199 a\r\n",
            "\r\n",
        ] {
            assert_eq!(
                all(&[foreign.as_bytes()]),
                [Err(ReadError::Foreign)],
                "{foreign}"
            );
        }
        assert_eq!(
            all(&[&b"250-a\r\n".repeat(129)]),
            [Err(ReadError::Overlong)]
        );
        assert_eq!(all(&[&b"2".repeat(5000)]), [Err(ReadError::Overlong)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn slicing_changes_nothing(
            lines in prop::collection::vec("[2-5][0-9]{2}[- ]([2-5]\\.[0-9]\\.[0-9] )?[a-z ]{0,9}\r\n", 0..9),
            cut in 0_usize..300,
        ) {
            let whole = lines.concat().into_bytes();
            let (first, second) = whole.split_at(cut.min(whole.len()));
            prop_assert_eq!(all(&[first, second]), all(&[&whole]));
        }

        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>) {
            let _ = all(&[&octets]);
        }
    }
}
