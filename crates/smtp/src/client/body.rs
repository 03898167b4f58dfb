//! Writes a message: no line end but CRLF, and after DATA dot-stuffing.

/// How a message that is being written has ended so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    at: At,
    /// Whether dots are doubled: where a peer counts octets, it looks for no dot (RFC 3030 §2).
    stuffs: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// A CR that has not been written: what it means shows with the next octet.
    Cr,
    LineStart,
    Middle,
}

impl Writer {
    /// After DATA.
    pub(super) const fn stuffed() -> Self {
        Self {
            at: At::LineStart,
            stuffs: true,
        }
    }

    /// After BDAT.
    pub(super) const fn counted() -> Self {
        Self {
            at: At::LineStart,
            stuffs: false,
        }
    }

    /// Whether `piece` can go out as it is; then it counts as written.
    pub(super) fn passes(&mut self, piece: &[u8]) -> bool {
        if self.at == At::Cr || piece.last() == Some(&b'\r') {
            return false;
        }
        if self.stuffs && self.at == At::LineStart && piece.first() == Some(&b'.') {
            return false;
        }
        let mut rest = piece;
        while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
            if rest[end] == b'\n'
                || rest.get(end + 1) != Some(&b'\n')
                || (self.stuffs && rest.get(end + 2) == Some(&b'.'))
            {
                return false;
            }
            rest = &rest[end + 2..];
        }
        if !rest.is_empty() {
            self.at = At::Middle;
        } else if !piece.is_empty() {
            self.at = At::LineStart;
        }
        true
    }

    /// Appends `piece` to `out`. A dot at the beginning of a line is doubled (RFC 5321 §4.5.2). A
    /// bare LF becomes CRLF and a bare CR a space, so that no peer can see an end of the message
    /// that we did not mean (RFC 5321 §2.3.8).
    pub(super) fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            match (self.at, first) {
                (At::Cr, b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.at = At::LineStart;
                    rest = &rest[1..];
                    continue;
                }
                (At::Cr, _) => out.push(b' '),
                (At::LineStart, b'.') if self.stuffs => out.push(b'.'),
                (At::LineStart | At::Middle, _) => {}
            }
            let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..end]);
            self.at = At::Middle;
            rest = match rest.get(end) {
                None => return,
                Some(b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.at = At::LineStart;
                    &rest[end + 1..]
                }
                Some(_) if rest.get(end + 1) == Some(&b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.at = At::LineStart;
                    &rest[end + 2..]
                }
                Some(_) => {
                    self.at = At::Cr;
                    &rest[end + 1..]
                }
            };
        }
    }

    /// Ends the message; a last line without an end gets one (RFC 5321 §4.1.1.4).
    pub(super) fn end(self, out: &mut Vec<u8>) {
        if self.at != At::LineStart {
            out.extend_from_slice(b"\r\n");
        }
        if self.stuffs {
            out.extend_from_slice(b".\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(pieces: &[&[u8]], try_passing: bool) -> Vec<u8> {
        written_by(Writer::stuffed(), pieces, try_passing)
    }

    fn written_by(mut writer: Writer, pieces: &[&[u8]], try_passing: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in pieces {
            if try_passing && writer.passes(piece) {
                out.extend_from_slice(piece);
            } else {
                writer.write(piece, &mut out);
            }
        }
        writer.end(&mut out);
        out
    }

    #[test]
    fn dots_are_doubled_and_no_line_end_but_crlf_goes_out() {
        assert_eq!(written(&[], false), b".\r\n");
        assert_eq!(
            written(&[b".a\r\n..\r\n.b"], false),
            b"..a\r\n...\r\n..b\r\n.\r\n"
        );
        assert_eq!(
            written(&[b"a\n.\nb\r.\r\n"], false),
            b"a\r\n..\r\nb .\r\n.\r\n"
        );
        assert_eq!(
            written(&[b"a\r", b"\n.", b"\r\n"], false),
            b"a\r\n..\r\n.\r\n"
        );
        assert_eq!(written(&[b"a\r\r\n\r"], false), b"a \r\n\r\n.\r\n");
    }

    #[test]
    fn where_octets_are_counted_dots_stay_what_they_are() {
        let counted = |pieces: &[&[u8]]| written_by(Writer::counted(), pieces, true);
        assert_eq!(counted(&[b".a\r\n", b"..\n.\rb"]), b".a\r\n..\r\n. b\r\n");
        assert_eq!(counted(&[b".\r\n.\r\n"]), b".\r\n.\r\n");
        assert_eq!(counted(&[]), b"");
    }

    proptest! {
        #[test]
        fn neither_slicing_nor_passing_changes_what_goes_out(
            whole in "[a\r\n.]{0,24}", cut in 0_usize..24, passing: bool,
        ) {
            let whole = whole.into_bytes();
            let (first, second) = whole.split_at(cut.min(whole.len()));
            let expected = written(&[&whole], false);
            prop_assert_eq!(&written(&[first, second], passing), &expected);
            let ends = memchr::memmem::find_iter(&expected, b"\r\n.\r\n").count();
            prop_assert!(ends + usize::from(expected.starts_with(b".\r\n")) == 1);
        }
    }
}
