//! A letter, a folder of letters, and who has them and takes them.

use mail::Time;

use crate::cli::Failure;

/// A message with what a mailbox knows about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) struct Letter {
    /// Flags and keywords, by name.
    pub(in crate::cli) flags: Vec<String>,
    /// `INTERNALDATE`.
    pub(in crate::cli) date: Time,
    pub(in crate::cli) octets: Vec<u8>,
}

/// A folder of letters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) struct Folder {
    /// Its full name, UTF-8, levels separated by `/`.
    pub(in crate::cli) name: String,
    /// Its role, as in RFC 6154.
    pub(in crate::cli) role: Option<String>,
    /// About how many octets it has, if that is known.
    pub(in crate::cli) octets: u64,
}

/// Where letters come from.
pub(in crate::cli) trait Source {
    /// The folders.
    fn folders(&mut self) -> Result<Vec<Folder>, Failure>;

    /// Offers every letter of a folder to the sink, the oldest first. A source that knows the
    /// digest of a letter reads it only if the sink wants it.
    fn letters(&mut self, folder: &Folder, sink: &mut dyn Sink) -> Result<(), Failure>;
}

/// Where letters go.
pub(in crate::cli) trait Sink {
    /// What comes from now on belongs to that folder; it is made if it is not there.
    fn begin(&mut self, folder: &Folder) -> Result<(), Failure>;

    /// Whether a letter with that digest is still to be brought. Asked once for each letter: of
    /// two that are the same, the second one is wanted too.
    fn wants(&mut self, digest: &[u8; 32], octets: u64) -> bool;

    /// Takes a letter that it wants. It is there for good when the folder has ended.
    fn take(&mut self, letter: Letter, digest: [u8; 32]) -> Result<(), Failure>;

    /// The folder has no more letters.
    fn end(&mut self) -> Result<(), Failure>;

    /// How many letters it took since the last time and then found to be there already, and octets
    /// of them.
    fn late(&mut self) -> (u64, u64) {
        (0, 0)
    }
}

impl Letter {
    pub(super) fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.octets).as_bytes()
    }

    /// Offers it to a sink.
    pub(super) fn offer(self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let digest = self.digest();
        if sink.wants(&digest, self.octets.len() as u64) {
            sink.take(self, digest)?;
        }
        Ok(())
    }
}

/// The octets with CRLF at the end of each line, as mail travels. What has it at the end of its
/// first line is taken as it is, octet for octet.
pub(super) fn with_crlf(octets: Vec<u8>) -> Vec<u8> {
    let Some(first) = memchr::memchr(b'\n', &octets) else {
        return octets;
    };
    if first > 0 && octets[first - 1] == b'\r' {
        return octets;
    }
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut before = 0;
    for octet in octets {
        if octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(octet);
        before = octet;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_unix_become_lines_of_mail_and_lines_of_mail_stay() {
        let crlf = |text: &[u8]| with_crlf(text.to_vec());
        assert_eq!(crlf(b"a: b\n\nc\r\nd\n"), b"a: b\r\n\r\nc\r\nd\r\n");
        assert_eq!(crlf(b"a: b\r\n\r\nc\nd"), b"a: b\r\n\r\nc\nd");
        assert_eq!(crlf(b"\n"), b"\r\n");
        assert_eq!(crlf(b"no line"), b"no line");
    }
}
