//! What a TLS handshake agreed upon.

use std::sync::Arc;

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

/// What a TLS handshake agreed upon, for `Received` lines, logs and policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsInfo {
    /// The cipher suite by its name at IANA, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// Whether an earlier session was taken up again.
    pub resumed: bool,
    /// The name that the client asked for (RFC 6066 §3).
    pub sni: Option<Arc<str>>,
    /// Why the server's certificate is not the one that was to be expected; `None` if it is, and
    /// on connections from clients.
    pub unverified: Option<Arc<str>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
}

impl TlsInfo {
    pub(crate) fn of(session: &CommonState, sni: Option<&str>) -> Self {
        Self {
            cipher: session
                .negotiated_cipher_suite()
                .and_then(|suite| match suite.suite().as_str() {
                    // rustls names the suites of TLS 1.3 so that they sort apart.
                    Some("TLS13_AES_128_GCM_SHA256") => Some("TLS_AES_128_GCM_SHA256"),
                    Some("TLS13_AES_256_GCM_SHA384") => Some("TLS_AES_256_GCM_SHA384"),
                    Some("TLS13_CHACHA20_POLY1305_SHA256") => Some("TLS_CHACHA20_POLY1305_SHA256"),
                    name => name,
                })
                .unwrap_or("unknown"),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            sni: sni.map(Arc::from),
            unverified: None,
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "unknown",
            },
        }
    }
}
