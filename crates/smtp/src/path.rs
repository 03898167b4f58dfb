//! Reverse-paths and forward-paths (RFC 5321 §4.1.2).

use mail::{Address, AddressError};

/// A path as it stood between `<` and `>`.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Path {
    /// A mailbox; a source route before it has been dropped (RFC 5321 §4.1.1.3).
    Mailbox(Address),
    /// `<>`.
    Null,
    /// `<postmaster>`, the one mailbox that needs no domain (RFC 5321 §4.1.1.3).
    Postmaster,
}

/// Why there is no path.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum PathError {
    /// What stands between the brackets is not an address.
    Address(AddressError),
    /// The brackets are missing, or something follows without a space.
    Brackets,
    /// Octets above 127, and SMTPUTF8 is not offered.
    Utf8,
}

/// Reads a path and yields what follows it, without the space between.
///
/// Departs from RFC 5321 §3.3: a space before the path is let through, because so many scripts
/// and devices write one; no meaning depends on it.
pub(crate) fn read(text: &[u8]) -> Result<(Path, &[u8]), PathError> {
    let text = text.trim_ascii_start();
    let inner = text.strip_prefix(b"<").ok_or(PathError::Brackets)?;
    let end = end(inner).ok_or(PathError::Brackets)?;
    let (inner, rest) = (&inner[..end], &inner[end + 1..]);
    if !rest.is_empty() && rest[0] != b' ' {
        return Err(PathError::Brackets);
    }
    Ok((mailbox(inner)?, rest.trim_ascii_start()))
}

fn mailbox(inner: &[u8]) -> Result<Path, PathError> {
    if inner.is_empty() {
        return Ok(Path::Null);
    }
    if !inner.is_ascii() {
        return Err(PathError::Utf8);
    }
    let text = std::str::from_utf8(inner).map_err(|_| PathError::Utf8)?;
    if text.eq_ignore_ascii_case("postmaster") {
        return Ok(Path::Postmaster);
    }
    let text = match text.strip_prefix('@') {
        Some(route) => route.split_once(':').map_or(text, |(_, mailbox)| mailbox),
        None => text,
    };
    text.parse().map(Path::Mailbox).map_err(PathError::Address)
}

/// Where the closing bracket stands: the first one outside a quoted string.
fn end(inner: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    inner.iter().position(|&octet| {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return true,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mailbox_of(text: &str) -> String {
        match read(text.as_bytes()) {
            Ok((Path::Mailbox(address), rest)) => {
                format!("{address}|{}", String::from_utf8_lossy(rest))
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_read_with_what_follows() {
        assert_eq!(mailbox_of("<a@b.test>"), "a@b.test|");
        assert_eq!(
            mailbox_of(" <a@b.test> SIZE=1 BODY=7BIT"),
            "a@b.test|SIZE=1 BODY=7BIT"
        );
        assert_eq!(mailbox_of(r#"<"a>b\"c"@b.test>"#), r#""a>b\"c"@b.test|"#);
        assert_eq!(mailbox_of("<@x.test,@y.test:a@b.test>"), "a@b.test|");
        assert_eq!(read(b"<>"), Ok((Path::Null, &b""[..])));
        assert_eq!(read(b"<PostMaster>"), Ok((Path::Postmaster, &b""[..])));
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_reason() {
        for wrong in ["a@b.test", "<a@b.test", "", "<a@b.test>x", "<\"a@b.test>"] {
            assert_eq!(read(wrong.as_bytes()), Err(PathError::Brackets), "{wrong}");
        }
        assert_eq!(read("<é@b.test>".as_bytes()), Err(PathError::Utf8));
        assert_eq!(read(b"<a>"), Err(PathError::Address(AddressError::At)));
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>) {
            let _ = read(&octets);
        }
    }
}
