//! Who is told how far a long run has come.

/// Who is told how far a long run has come.
pub trait Progress {
    /// Something begins of which so many octets are to be done.
    fn begin(&mut self, what: &str, total: u64);

    /// So many octets more are done.
    fn advance(&mut self, octets: u64);
}
