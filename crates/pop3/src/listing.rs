//! The replies of several lines: CAPA, LIST, UIDL.

use crate::{config::Config, maildrop::Maildrop};

/// A LIST or UIDL that is being written: in portions, so that a slow client of a large maildrop
/// costs little memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {
    /// Unique ids, not lengths.
    unique: bool,
    /// The place to go on from.
    next: usize,
}

impl Listing {
    pub(crate) const fn new(unique: bool) -> Self {
        Self { unique, next: 0 }
    }

    /// Appends lines until there are `octets_max` octets; whether it has ended.
    pub(crate) fn write(&mut self, drop: &Maildrop, octets_max: usize, out: &mut Vec<u8>) -> bool {
        while let Some((index, entry)) = drop.next(self.next) {
            if out.len() >= octets_max {
                return false;
            }
            write_number(index as u64 + 1, out);
            out.push(b' ');
            if self.unique {
                out.extend_from_slice(entry.unique.as_bytes());
            } else {
                write_number(entry.octets, out);
            }
            out.extend_from_slice(b"\r\n");
            self.next = index + 1;
        }
        out.extend_from_slice(b".\r\n");
        true
    }
}

/// The reply to CAPA (RFC 2449 §5); `logged_in` ends what is only for the beginning.
pub(crate) fn write_capabilities(config: &Config, tls: bool, logged_in: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n",
    );
    if !logged_in && config.tls_offered && !tls {
        out.extend_from_slice(b"STLS\r\n");
    }
    if tls || config.plaintext_auth_allowed {
        out.extend_from_slice(b"USER\r\nSASL PLAIN\r\n");
    }
    if let Some(implementation) = &config.implementation {
        out.extend_from_slice(b"IMPLEMENTATION ");
        out.extend_from_slice(implementation.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
}

/// Appends a number in decimal.
pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    if number >= 10 {
        write_number(number / 10, out);
    }
    out.push(b'0' + (number % 10) as u8);
}
