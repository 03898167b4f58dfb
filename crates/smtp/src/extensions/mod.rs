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
mod table;

pub(crate) use parameters::{Extension, Offer, Parameter, read_mail, read_rcpt};
pub(crate) use size::too_big;
pub(crate) use table::TABLE;
