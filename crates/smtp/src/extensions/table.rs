//! Every ESMTP extension, in the order of the reply to EHLO.

use super::{
    Extension, auth, dsn, eight_bit_mime, enhanced_status_codes, pipelining, size, starttls,
};

/// The table: a new extension is one line here.
pub(crate) const TABLE: &[Extension] = &[
    pipelining::EXTENSION,
    size::EXTENSION,
    eight_bit_mime::EXTENSION,
    enhanced_status_codes::EXTENSION,
    dsn::EXTENSION,
    starttls::EXTENSION,
    auth::EXTENSION,
];
