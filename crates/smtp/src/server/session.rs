//! What a session knows of its client: the part of it that outlives a crash.

use std::sync::Arc;

use crate::{Family, Mail};

use super::recipients::Recipients;

/// Who the client is and what it has said in this transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) hello: Option<Hello>,
    pub(super) tls: bool,
    /// The user name with which the client logged in.
    pub(super) identity: Option<Arc<str>>,
    pub(super) transaction: Option<Transaction>,
    pub(super) errors: u32,
    pub(super) auth_failures: u32,
}

/// How the client has introduced itself.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub(super) name: Arc<str>,
    /// By EHLO or LHLO.
    pub(super) extended: bool,
}

/// What has been accepted since MAIL.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) mail: Mail,
    pub(super) recipients: Recipients,
}

impl Session {
    /// What remains after STARTTLS: nothing that was heard before (RFC 3207 §4.2), and the errors,
    /// so that nobody gets new ones for a handshake.
    pub(super) fn in_private(&self) -> Self {
        Self {
            tls: true,
            errors: self.errors,
            auth_failures: self.auth_failures,
            ..Self::default()
        }
    }

    /// The transmission type for the `with` of a Received field (RFC 3848).
    pub(super) fn protocol(&self, family: Family) -> &'static str {
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        match (family, self.tls, self.identity.is_some()) {
            (Family::Lmtp, false, false) => "LMTP",
            (Family::Lmtp, false, true) => "LMTPA",
            (Family::Lmtp, true, false) => "LMTPS",
            (Family::Lmtp, true, true) => "LMTPSA",
            (_, false, false) if !extended => "SMTP",
            (_, false, false) => "ESMTP",
            (_, false, true) => "ESMTPA",
            (_, true, false) => "ESMTPS",
            (_, true, true) => "ESMTPSA",
        }
    }
}
