//! The ESMTP extensions: each is one file, and one line in [`TABLE`].
//!
//! An extension says when it is offered, what its line in the reply to EHLO is, and which
//! parameters of `MAIL` and `RCPT` it brings. A parameter of an extension that is not offered is
//! not known (RFC 5321 §4.1.1.11).

pub(crate) mod auth;
mod dsn;
mod eight_bit_mime;
mod enhanced_status_codes;
mod parameters;
mod pipelining;
mod size;
mod starttls;

pub(crate) use parameters::{Extension, Offer, Parameter, read_mail, read_rcpt};
pub(crate) use size::too_big;

/// Every extension, in the order of the reply to EHLO.
pub(crate) const TABLE: &[Extension] = &[
    pipelining::EXTENSION,
    size::EXTENSION,
    eight_bit_mime::EXTENSION,
    enhanced_status_codes::EXTENSION,
    dsn::EXTENSION,
    starttls::EXTENSION,
    auth::EXTENSION,
];
