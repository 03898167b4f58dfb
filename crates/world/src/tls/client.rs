//! How we speak TLS to servers: whoever they are, or only to who they should be.

use std::{
    fmt,
    io::{self, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::TlsTrouble;

/// TLS as a client. Cheap to clone; sessions are resumed across its clones.
#[derive(Clone)]
pub struct ClientTls {
    opportunistic: Arc<ClientConfig>,
    required: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
}

/// Whom we speak to.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Trust {
    /// Whoever answers: encrypted to somebody is better than open to all (RFC 7435 §1). What is
    /// wrong with the certificate is recorded in [`TlsInfo::unverified`](super::TlsInfo).
    #[default]
    Opportunistic,
    /// Only the server whose name the certificate bears, vouched for by a root that we know.
    Required,
}

impl ClientTls {
    /// TLS that knows the roots of this machine, and those in the PEM files `more`.
    ///
    /// # Errors
    /// [`TlsTrouble::File`] and [`TlsTrouble::Pem`] for a file of `more` that cannot be read;
    /// [`TlsTrouble::Setting`] when the crypto provider refuses, which is our fault.
    pub fn new(more: &[PathBuf]) -> Result<Self, TlsTrouble> {
        let mut roots = RootCertStore::empty();
        let machine = rustls_native_certs::load_native_certs();
        for error in &machine.errors {
            tracing::debug!(%error, "a root certificate of this machine is left out");
        }
        roots.add_parsable_certificates(machine.certs);
        for path in more {
            roots.add_parsable_certificates(read_roots(path)?);
        }
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, TlsTrouble> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> =
            match WebPkiServerVerifier::builder_with_provider(
                Arc::new(roots),
                Arc::clone(&provider),
            )
            .build()
            {
                Ok(verifier) => verifier,
                // A machine without roots trusts nobody, and still delivers.
                Err(_) => Arc::new(Doorman {
                    algorithms: provider.signature_verification_algorithms,
                    verdict: Err(CertificateError::UnknownIssuer),
                }),
            };
        let anyone = Arc::new(Doorman {
            algorithms: provider.signature_verification_algorithms,
            verdict: Ok(()),
        });
        Ok(Self {
            opportunistic: config(Arc::clone(&provider), anyone)?,
            required: config(provider, Arc::clone(&verifier))?,
            verifier,
        })
    }

    /// Speaks TLS over a socket for a program that waits for each octet: a command line.
    ///
    /// # Errors
    /// `name` is no name of a host; the handshake itself comes with the first octets.
    pub fn blocking(
        &self,
        trust: Trust,
        name: &str,
        socket: TcpStream,
    ) -> io::Result<impl Read + Write + use<>> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(self.config(trust), name);
        let connection = connection.map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, socket))
    }

    pub(crate) fn config(&self, trust: Trust) -> Arc<ClientConfig> {
        Arc::clone(match trust {
            Trust::Opportunistic => &self.opportunistic,
            Trust::Required => &self.required,
        })
    }

    /// What is wrong with the certificates that `name` has shown; `None` if nothing is.
    pub(crate) fn objection(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        name: &ServerName<'_>,
    ) -> Option<Arc<str>> {
        let Some([leaf, others @ ..]) = chain else {
            return Some("no certificate was shown".into());
        };
        self.verifier
            .verify_server_cert(leaf, others, name, &[], UnixTime::now())
            .err()
            .map(|error| error.to_string().into())
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

fn config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Arc<ClientConfig>, TlsTrouble> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsTrouble> {
    let text = std::fs::read(path).map_err(|source| TlsTrouble::File {
        path: path.to_owned(),
        source,
    })?;
    CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|roots| !roots.is_empty())
        .ok_or_else(|| TlsTrouble::Pem {
            expected: "certificate",
            path: path.to_owned(),
        })
}

/// Lets everyone in, or nobody, whatever certificate they show; that they have its key is
/// checked all the same.
#[derive(Debug)]
struct Doorman {
    algorithms: WebPkiSupportedAlgorithms,
    verdict: Result<(), CertificateError>,
}

impl ServerCertVerifier for Doorman {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.verdict {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(error.clone().into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
