//! The values of keys that are not set.

use mail::Domain;

/// The folder of a system daemon (FHS §5.8).
pub(super) const DATA: &str = "/var/lib/heronry";

/// As large as the largest mail providers take: 50 MB, grown by a third by base64.
pub(super) const MESSAGE_OCTETS_MAX: u64 = 70_000_000;

/// RFC 5321 §4.5.3.1.8 asks for 100 at least; mailing lists send to more.
pub(super) const RECIPIENTS_MAX: usize = 1000;

/// A thousand sessions that each receive a message of ordinary size.
pub(super) const MEMORY_OCTETS: u64 = 256 * 1024 * 1024;

/// RFC 3501 §5.4: half an hour at least once somebody has logged in.
pub(super) const IMAP_SILENCE_SECONDS: u64 = 30 * 60;

/// RFC 1939 §3: ten minutes at least.
pub(super) const POP3_SILENCE_SECONDS: u64 = 10 * 60;

/// RFC 5321 §4.5.3.2.7: five minutes at least.
pub(super) const SMTP_SILENCE_SECONDS: u64 = 5 * 60;

/// Long enough for a message of ordinary size over a slow line; systemd kills after 90.
pub(super) const STOP_SECONDS: u64 = 30;

/// What an operator wants to see of a house that is well.
pub(super) const LOG_FILTER: &str = "info";

/// The machine's own name, if it is one that mail can be sent from.
pub(super) fn hostname() -> Domain {
    let name = rustix::system::uname();
    let own = name
        .nodename()
        .to_str()
        .ok()
        .and_then(|name| name.parse().ok());
    own.unwrap_or_else(|| {
        "localhost"
            .parse()
            .expect("a name of nine letters is a domain")
    })
}
