//! A file in memory that is only read: whatever octets a test or a fuzzer makes.

use std::io::{self, IoSlice};

use super::File;

/// The octets of a file.
#[derive(Debug)]
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl File for Octets {
    fn write_at(&self, _: &mut [IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at(&self, octets: &mut [u8], at: u64) -> io::Result<usize> {
        let from = usize::try_from(at).map_or(self.0.len(), |at| at.min(self.0.len()));
        let read = octets.len().min(self.0.len() - from);
        octets[..read].copy_from_slice(&self.0[from..from + read]);
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn modified(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn cut(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
