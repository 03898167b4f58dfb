//! What the directory asks of its engine; any ordered map of keys will do.

use bytes::Bytes;

use crate::StoreError;

/// A row that is set, or removed.
pub(crate) type Row = (Bytes, Option<Bytes>);

/// One partition of the directory. What it holds survives the process, but not the power.
pub(crate) trait Engine: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Calls `each` for the rows from `from` to before `until`, ascending, until it returns
    /// `false`.
    fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;

    /// Applies rows in one step; with `applied`, everything up to that LSN is in now.
    fn apply(&self, rows: Vec<Row>, applied: Option<u64>) -> Result<(), StoreError>;

    /// Adds rows to a partition that is being made: nobody reads it, and it is thrown away if it is not
    /// finished. Those that come in the order of their keys are added fast.
    fn load(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.apply(rows, None)
    }

    /// Everything up to this LSN is in; `None` for a partition that is new.
    fn applied(&self) -> Result<Option<u64>, StoreError>;

    /// Puts everything where a new process finds it.
    fn flush(&self) -> Result<(), StoreError>;

    /// Gives back memory that it holds, if that is worth the work now; what is much work only if
    /// `may_work`. To be called every few seconds, by the thread that applies. Yields whether it was
    /// much work.
    fn trim(&self, may_work: bool) -> Result<bool, StoreError> {
        let _ = may_work; // most have nothing to give back
        Ok(false)
    }
}

/// Makes partitions.
pub(crate) trait Engines: Send + Sync {
    /// Opens a partition.
    fn open(&self, partition: &str) -> Result<Box<dyn Engine>, StoreError>;

    /// Throws a partition away; it is not open.
    fn wipe(&self, partition: &str) -> Result<(), StoreError>;

    /// Makes what was flushed survive the power, too; nobody applies anything any more.
    fn persist(&self) -> Result<(), StoreError>;

    /// Whether a partition is known to be broken, and must not be trusted.
    fn is_suspect(&self, partition: &str) -> bool;
}
