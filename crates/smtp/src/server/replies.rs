//! What the machine says by itself: every reply that needs no judgement.

use mail::{Enhanced, Reply};

use crate::extensions::{Offer, TABLE};

use super::body::Defect;

/// The reply to EHLO or LHLO (RFC 5321 §4.1.1.1): one line for each extension.
pub(super) fn write_hello(offer: &Offer<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"250-");
    let mut line = out.len() - 4;
    out.extend_from_slice(offer.config.hostname.as_str().as_bytes());
    for extension in TABLE.iter().filter(|extension| (extension.offered)(offer)) {
        out.extend_from_slice(b"\r\n");
        line = out.len();
        out.extend_from_slice(b"250-");
        (extension.line)(offer, out);
    }
    out[line + 3] = b' ';
    out.extend_from_slice(b"\r\n");
}

/// What a defective message is answered at its end.
pub(super) fn defect(defect: Defect, size_max: u64) -> Reply {
    match defect {
        Defect::BareLineEnd => {
            let text = "a line of the message ends with a bare CR or LF";
            Reply::new(550, Enhanced(5, 6, 11), text)
        }
        Defect::LongLine => Reply::new(554, Enhanced(5, 6, 0), "a line of the message is too long"),
        // RFC 5321 §6.3, RFC 3463 §3.5.
        Defect::Loop => Reply::new(554, Enhanced(5, 4, 6), "too many hops: this mail loops"),
        Defect::Nul => Reply::new(550, Enhanced(5, 6, 0), "the message holds a NUL"),
        Defect::Size => crate::extensions::too_big(size_max),
    }
}

/// One constructor for each reply whose words do not vary.
macro_rules! replies {
    ($($name:ident = $code:literal, $enhanced:expr, $text:literal;)*) => {$(
        pub(super) fn $name() -> Reply {
            Reply::new($code, $enhanced, $text)
        }
    )*};
}

replies! {
    ok = 250, Enhanced(2, 0, 0), "ok";
    sender_ok = 250, Enhanced(2, 1, 0), "ok";
    recipient_ok = 250, Enhanced(2, 1, 5), "ok";
    go_on = 354, None, "end with <CRLF>.<CRLF>";
    taken = 250, Enhanced(2, 0, 0), "taken";
    authenticated = 235, Enhanced(2, 7, 0), "welcome";
    not_verified = 252, Enhanced(2, 0, 0), "send mail, and see whether it arrives";
    help = 214, Enhanced(2, 0, 0), "see RFC 5321";
    bye = 221, Enhanced(2, 0, 0), "bye";
    start_tls = 220, Enhanced(2, 0, 0), "start TLS";

    // RFC 5321 §4.2.4, RFC 5248 §2.4.
    unknown = 500, Enhanced(5, 5, 1), "unknown command";
    unspoken = 502, Enhanced(5, 5, 1), "command not implemented";
    overlong = 500, Enhanced(5, 5, 2), "line too long";
    bare_lf = 500, Enhanced(5, 5, 2), "a line ends with CRLF";
    syntax = 501, Enhanced(5, 5, 2), "syntax error";
    no_arguments = 501, Enhanced(5, 5, 4), "this command takes no argument";
    hello_name = 501, Enhanced(5, 5, 4), "a host name or address literal is needed";
    argument = 501, Enhanced(5, 5, 4), "an argument is needed";
    sender_syntax = 501, Enhanced(5, 1, 7), "MAIL FROM:<address> is expected";
    recipient_syntax = 501, Enhanced(5, 1, 3), "RCPT TO:<address> is expected";
    // RFC 6531 §3.5.
    sender_utf8 = 553, Enhanced(5, 6, 7), "SMTPUTF8 is not offered";
    sequence = 503, Enhanced(5, 5, 1), "bad sequence of commands";
    hello_first = 503, Enhanced(5, 5, 1), "say hello first";
    no_recipients = 503, Enhanced(5, 5, 1), "no valid recipients";
    // RFC 5321 §4.5.3.1.10.
    recipients = 452, Enhanced(4, 5, 3), "too many recipients";

    // RFC 3207 §4.
    tls_first = 530, Enhanced(5, 7, 0), "STARTTLS first";
    tls_injection = 503, Enhanced(5, 5, 1), "nothing may follow STARTTLS in the clear";
    // RFC 4954 §6.
    auth_first = 530, Enhanced(5, 7, 0), "authentication required";
    auth_cancelled = 501, Enhanced(5, 7, 0), "authentication cancelled";
    auth_in_clear = 538, Enhanced(5, 7, 11), "encryption required";
    auth_malformed = 501, Enhanced(5, 5, 2), "cannot decode that";
    auth_mechanism = 504, Enhanced(5, 5, 4), "unknown mechanism";
    auth_overlong = 500, Enhanced(5, 5, 6), "authentication exchange line too long";

    foreign = 421, Enhanced(4, 7, 0), "this is a mail server";
    too_many_errors = 421, Enhanced(4, 7, 0), "too many errors";
}
