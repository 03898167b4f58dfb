//! The certificates of a server: read from files or made, and exchanged while it runs.

use std::{
    fs,
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::TlsTrouble;

/// What a server shows, by the name that the client asks for. Clones show the same, also after
/// [`replace`](Self::replace).
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Shelf>);

#[derive(Debug)]
struct Shelf(RwLock<Vec<Pair>>);

/// A certificate chain, its key, and the names it is for.
#[derive(Clone, Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
}

impl Certificates {
    /// Reads pairs of a certificate chain and its key, both PEM. The first pair is shown to
    /// clients that ask for no name, or for one that no pair has.
    ///
    /// # Errors
    /// [`TlsTrouble::Empty`] without a pair, [`TlsTrouble::File`] and [`TlsTrouble::Pem`] for what
    /// cannot be read, [`TlsTrouble::Pair`] when key and certificate do not belong together.
    pub fn read(pairs: &[(PathBuf, PathBuf)]) -> Result<Self, TlsTrouble> {
        Ok(Self(Arc::new(Shelf(RwLock::new(read_pairs(pairs)?)))))
    }

    /// The self-signed certificate in `folder`, made now for `names` if there is none.
    ///
    /// It is for a start without configuration: no client has a reason to trust it.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`TlsTrouble::Make`] for a name that no certificate can have.
    pub fn self_signed(folder: &Path, names: &[String]) -> Result<Self, TlsTrouble> {
        let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        if !chain.exists() || !key.exists() {
            make(folder, &chain, &key, names)?;
        }
        Self::read(&[(chain, key)])
    }

    /// Reads the pairs anew: every handshake from now on shows them. On an error the old ones stay.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn replace(&self, pairs: &[(PathBuf, PathBuf)]) -> Result<(), TlsTrouble> {
        let pairs = read_pairs(pairs)?;
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = pairs;
        Ok(())
    }

    /// Shows what `other` shows, in every handshake from now on.
    pub fn take_over(&self, other: &Self) {
        let pairs = other.0.0.read().unwrap_or_else(PoisonError::into_inner);
        let pairs = pairs.clone();
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = pairs;
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>
    }
}

impl Shelf {
    fn choose(&self, asked: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let pairs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = asked.and_then(|asked| pairs.iter().find(|pair| pair.is_for(asked)));
        fitting.or(pairs.first()).map(|pair| Arc::clone(&pair.key))
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

impl Pair {
    /// Whether the certificate is for this name; a star stands for one label (RFC 6125 §6.4.3).
    fn is_for(&self, asked: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            None => name.eq_ignore_ascii_case(asked),
            Some(parent) => asked
                .split_once('.')
                .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        })
    }
}

fn read_pairs(pairs: &[(PathBuf, PathBuf)]) -> Result<Vec<Pair>, TlsTrouble> {
    if pairs.is_empty() {
        return Err(TlsTrouble::Empty);
    }
    pairs
        .iter()
        .map(|(chain, key)| read_pair(chain, key))
        .collect()
}

fn read_pair(chain_path: &Path, key_path: &Path) -> Result<Pair, TlsTrouble> {
    let missing = |expected, path: &Path| TlsTrouble::Pem {
        expected,
        path: path.to_owned(),
    };
    let text = read_file(chain_path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| missing("certificate", chain_path))?;
    let leaf = chain
        .first()
        .ok_or_else(|| missing("certificate", chain_path))?;
    let names = names_in(leaf).ok_or_else(|| missing("certificate", chain_path))?;
    let key = PrivateKeyDer::from_pem_slice(&read_file(key_path)?)
        .map_err(|_| missing("private key", key_path))?;
    let key =
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|source| {
            TlsTrouble::Pair {
                path: key_path.to_owned(),
                source,
            }
        })?;
    Ok(Pair {
        key: Arc::new(key),
        names,
    })
}

/// The DNS names that a certificate is for; `None` if it is none.
fn names_in(leaf: &CertificateDer<'_>) -> Option<Vec<String>> {
    let leaf = webpki::EndEntityCert::try_from(leaf).ok()?;
    Some(leaf.valid_dns_names().map(str::to_owned).collect())
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsTrouble> {
    fs::read(path).map_err(trouble_with(path))
}

fn trouble_with(path: &Path) -> impl FnOnce(io::Error) -> TlsTrouble {
    let path = path.to_owned();
    move |source| TlsTrouble::File { path, source }
}

fn make(folder: &Path, chain: &Path, key: &Path, names: &[String]) -> Result<(), TlsTrouble> {
    let trouble = |source| TlsTrouble::Make {
        names: names.join(", "),
        source,
    };
    let pair = rcgen::KeyPair::generate().map_err(trouble)?;
    let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(trouble)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let first = names.iter().find(|name| name.parse::<IpAddr>().is_err());
    params.distinguished_name.push(
        rcgen::DnType::CommonName,
        first.map_or("heronry", |name| name),
    );
    let certificate = params.self_signed(&pair).map_err(trouble)?;
    fs::create_dir_all(folder).map_err(trouble_with(folder))?;
    // The key first: with both there, the pair is whole.
    write_secret(key, &pair.serialize_pem()).map_err(trouble_with(key))?;
    fs::write(chain, certificate.pem()).map_err(trouble_with(chain))
}

/// Readable by its owner only, from the first moment on.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(path);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn shown(certificates: &Certificates, asked: Option<&str>) -> Vec<u8> {
        certificates.0.choose(asked).unwrap().cert[0].to_vec()
    }

    fn pair_in(folder: &Path) -> (PathBuf, PathBuf) {
        (folder.join("cert.pem"), folder.join("key.pem"))
    }

    #[test]
    fn a_certificate_that_was_made_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let made = Certificates::self_signed(folder.path(), &names(&["mx.test", "127.0.0.1"]));
        let found = Certificates::self_signed(folder.path(), &names(&["mx.test"]));
        assert_eq!(shown(&made.unwrap(), None), shown(&found.unwrap(), None));
        let mode = fs::metadata(folder.path().join("key.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_name_asked_for_chooses_and_the_first_is_for_the_rest() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = Certificates::self_signed(a.path(), &names(&["mx.a.test"])).unwrap();
        let second = Certificates::self_signed(b.path(), &names(&["*.b.test"])).unwrap();
        let both = Certificates::read(&[pair_in(a.path()), pair_in(b.path())]).unwrap();
        let (first, second) = (shown(&first, None), shown(&second, None));
        assert_eq!(shown(&both, Some("mx.b.test")), second);
        assert_eq!(shown(&both, Some("mx.a.test")), first);
        assert_eq!(shown(&both, Some("x.mx.b.test")), first);
        assert_eq!(shown(&both, None), first);
    }

    #[test]
    fn clones_show_what_replaced_it_and_a_failed_replacement_changes_nothing() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let shelf = Certificates::self_signed(a.path(), &names(&["mx.a.test"])).unwrap();
        let clone = shelf.clone();
        let before = shown(&clone, None);
        assert!(shelf.replace(&[pair_in(b.path())]).is_err());
        assert_eq!(shown(&clone, None), before);
        Certificates::self_signed(b.path(), &names(&["mx.b.test"])).unwrap();
        shelf.replace(&[pair_in(b.path())]).unwrap();
        assert_ne!(shown(&clone, None), before);
        clone.take_over(&Certificates::read(&[pair_in(a.path())]).unwrap());
        assert_eq!(shown(&shelf, None), before);
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_said() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Certificates::self_signed(a.path(), &names(&["mx.a.test"])).unwrap();
        Certificates::self_signed(b.path(), &names(&["mx.b.test"])).unwrap();
        let ((chain, key), (_, other)) = (pair_in(a.path()), pair_in(b.path()));
        let error = |chain: &Path, key: &Path| {
            Certificates::read(&[(chain.to_owned(), key.to_owned())]).unwrap_err()
        };
        assert!(matches!(error(&chain, &other), TlsTrouble::Pair { .. }));
        assert!(matches!(
            error(&key, &key),
            TlsTrouble::Pem {
                expected: "certificate",
                ..
            }
        ));
        assert!(matches!(
            error(&chain, &chain),
            TlsTrouble::Pem {
                expected: "private key",
                ..
            }
        ));
        assert!(matches!(
            error(&a.path().join("none"), &key),
            TlsTrouble::File { .. }
        ));
        assert!(matches!(Certificates::read(&[]), Err(TlsTrouble::Empty)));
    }
}
