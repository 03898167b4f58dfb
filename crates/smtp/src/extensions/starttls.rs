//! STARTTLS: the dialogue goes on in private (RFC 3207). The change itself is the server's.

use super::Extension;

pub(super) const EXTENSION: Extension = Extension {
    // RFC 3207 §4.2: not offered once it is done.
    offered: |offer| offer.config.tls_offered && !offer.tls,
    line: |_, out| out.extend_from_slice(b"STARTTLS"),
    mail: &[],
    rcpt: &[],
};
