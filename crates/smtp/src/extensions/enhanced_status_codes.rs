//! ENHANCEDSTATUSCODES: replies say more than three digits (RFC 2034).

use super::Extension;

pub(super) const EXTENSION: Extension = Extension {
    offered: |_| true,
    line: |_, out| out.extend_from_slice(b"ENHANCEDSTATUSCODES"),
    mail: &[],
    rcpt: &[],
};
