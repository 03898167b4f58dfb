//! Writes a message as the reply of several lines that RETR and TOP are (RFC 1939 §3, §7).

/// A message that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    at: At,
    top: Option<Top>,
}

/// What was written last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    Cr,
    /// CRLF, or nothing at all.
    Crlf,
    /// A bare LF.
    Lf,
    Middle,
}

/// How much of a message TOP wants.
#[derive(Clone, Copy, Debug)]
struct Top {
    in_header: bool,
    /// Whether this line has any octets but a CR.
    filled: bool,
    /// Lines of the body that are still wanted.
    lines: u64,
}

impl Stream {
    /// The whole message, or its header and so many lines of its body.
    pub(crate) fn new(lines: Option<u64>) -> Self {
        let top = |lines| Top {
            in_header: true,
            filled: false,
            lines,
        };
        Self {
            at: At::Crlf,
            top: lines.map(top),
        }
    }

    /// How much of `piece` is wanted, and whether that is the end.
    pub(crate) fn cut(&mut self, piece: &[u8]) -> (usize, bool) {
        let Some(top) = &mut self.top else {
            return (piece.len(), false);
        };
        let mut wanted = 0;
        while wanted < piece.len() {
            if !top.in_header && top.lines == 0 {
                return (wanted, true);
            }
            let rest = &piece[wanted..];
            let end = memchr::memchr(b'\n', rest);
            let text = &rest[..end.unwrap_or(rest.len())];
            top.filled |= text.iter().any(|&octet| octet != b'\r');
            wanted += text.len();
            if end.is_some() {
                wanted += 1;
                if !top.in_header {
                    top.lines -= 1;
                } else if !top.filled {
                    top.in_header = false;
                }
                top.filled = false;
            }
        }
        (wanted, !top.in_header && top.lines == 0)
    }

    /// Whether `piece` can go out as it is; then it counts as written.
    pub(crate) fn passes(&mut self, piece: &[u8]) -> bool {
        let begins = matches!(self.at, At::Crlf | At::Lf);
        if begins && piece.first() == Some(&b'.') || has_dots(piece) {
            return false;
        }
        self.note(piece);
        true
    }

    /// Appends `piece` to `out`. A dot after any LF is doubled: also after a bare one, which some
    /// clients take for the end of a line and would then see the end of the message.
    pub(crate) fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if matches!(self.at, At::Crlf | At::Lf) && piece.first() == Some(&b'.') {
            out.push(b'.');
        }
        let mut rest = piece;
        while let Some(lf) = memchr::memmem::find(rest, b"\n.") {
            out.extend_from_slice(&rest[..lf + 2]);
            out.push(b'.');
            rest = &rest[lf + 2..];
        }
        out.extend_from_slice(rest);
        self.note(piece);
    }

    /// Appends the end; a last line without CRLF gets one.
    pub(crate) fn end(&self, out: &mut Vec<u8>) {
        if self.at != At::Crlf {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    fn note(&mut self, piece: &[u8]) {
        self.at = match (piece, self.at) {
            ([], at) => at,
            ([b'\n'], At::Cr) | ([.., b'\r', b'\n'], _) => At::Crlf,
            ([.., b'\n'], _) => At::Lf,
            ([.., b'\r'], _) => At::Cr,
            _ => At::Middle,
        };
    }
}

fn has_dots(piece: &[u8]) -> bool {
    memchr::memmem::find(piece, b"\n.").is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(pieces: &[&[u8]], lines: Option<u64>, try_passing: bool) -> Vec<u8> {
        let mut stream = Stream::new(lines);
        let mut out = Vec::new();
        for piece in pieces {
            let (wanted, ended) = stream.cut(piece);
            let piece = &piece[..wanted];
            if try_passing && stream.passes(piece) {
                out.extend_from_slice(piece);
            } else {
                stream.write(piece, &mut out);
            }
            if ended {
                break;
            }
        }
        stream.end(&mut out);
        out
    }

    #[test]
    fn dots_are_doubled_and_the_end_is_one() {
        assert_eq!(written(&[], None, false), b".\r\n");
        assert_eq!(
            written(&[b".a\r\n.\r\nb"], None, false),
            b"..a\r\n..\r\nb\r\n.\r\n"
        );
        assert_eq!(
            written(&[b"a\n.\nb\n"], None, false),
            b"a\n..\nb\n\r\n.\r\n"
        );
        assert_eq!(
            written(&[b"a\r", b"\n", b"."], None, false),
            b"a\r\n..\r\n.\r\n"
        );
    }

    #[test]
    fn top_is_the_header_and_so_many_lines() {
        let message = b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
        let top = |lines| String::from_utf8(written(&[message], Some(lines), false)).unwrap();
        assert_eq!(top(0), "A: 1\r\nB: 2\r\n\r\n.\r\n");
        assert_eq!(top(2), "A: 1\r\nB: 2\r\n\r\none\r\n\r\n.\r\n");
        assert_eq!(top(9), "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n.\r\n");
        assert_eq!(written(&[b"A: 1"], Some(0), false), b"A: 1\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn neither_slicing_nor_passing_changes_what_goes_out(
            whole in "[a\r\n.]{0,24}", cut in 0_usize..24, passing: bool,
            lines in prop::option::of(0_u64..4),
        ) {
            let whole = whole.into_bytes();
            let (first, second) = whole.split_at(cut.min(whole.len()));
            let expected = written(&[&whole], lines, false);
            prop_assert_eq!(written(&[first, second], lines, passing), expected);
        }
    }
}
