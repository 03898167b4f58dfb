//! PIPELINING: several commands in one segment (RFC 2920).

use super::Extension;

pub(super) const EXTENSION: Extension = Extension {
    offered: |_| true,
    line: |_, out| out.extend_from_slice(b"PIPELINING"),
    mail: &[],
    rcpt: &[],
};
