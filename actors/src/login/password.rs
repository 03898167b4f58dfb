//! Password hashes: argon2id, in the PHC string format, as the store keeps them.

use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier, Version,
    password_hash::{Output, PasswordHash, PasswordHashString, Salt, SaltString},
};
use mail::Secret;
use world::Random;

/// Why a text is not a password hash that we take. Fault of whoever wrote it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// It is no PHC string.
    #[error("not a PHC string: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash> is expected")]
    Form,
    /// It is one of another function.
    #[error("hash function {0} is not supported: argon2id, argon2i or argon2d is expected")]
    Function(String),
    /// Computing it would take more memory or time than a login may.
    #[error("parameters are too costly: at most m=262144, t=16, p=16")]
    Costly,
}

/// Hashes a password with a new salt: argon2id with [`MEMORY_KIB`], [`PASSES`] and [`LANES`].
#[must_use]
pub fn hash(password: &Secret, random: &dyn Random) -> String {
    let mut salt = [0; SALT_OCTETS];
    random.fill(&mut salt);
    let mut output = [0; OUTPUT_OCTETS];
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_OCTETS))
        .expect("the constants are within the function's limits");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2
        .hash_password_into(password.expose().as_bytes(), &salt, &mut output)
        .expect("passwords, salts and outputs of these lengths are within the function's limits");
    let salt = SaltString::encode_b64(&salt).expect("16 octets are a salt of good length");
    let output = Output::new(&output).expect("32 octets are an output of good length");
    PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: (&params)
            .try_into()
            .expect("the parameters were made a moment ago"),
        salt: Some(Salt::from(&salt)),
        hash: Some(output),
    }
    .to_string()
}

/// Whether `password` is the one that was hashed; takes the same time whether it is or not.
/// A hash that cannot be read matches nothing.
#[must_use]
pub fn matches(phc: &str, password: &Secret) -> bool {
    check(phc).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash.password_hash())
            .is_ok()
    })
}

/// Reads a hash, as an operator hands it in.
///
/// # Errors
/// See [`HashError`].
pub fn check(phc: &str) -> Result<PasswordHashString, HashError> {
    let hash = PasswordHash::new(phc).map_err(|_| HashError::Form)?;
    if Algorithm::try_from(hash.algorithm).is_err() {
        return Err(HashError::Function(hash.algorithm.to_string()));
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(HashError::Form);
    }
    let params = Params::try_from(&hash).map_err(|_| HashError::Form)?;
    if params.m_cost() > MEMORY_KIB_MAX
        || params.t_cost() > PASSES_MAX
        || params.p_cost() > LANES_MAX
    {
        return Err(HashError::Costly);
    }
    PasswordHashString::new(phc).map_err(|_| HashError::Form)
}

/// The parameters of OWASP's Password Storage Cheat Sheet for argon2id, second choice:
/// 19 MiB, two passes, one lane.
pub const MEMORY_KIB: u32 = 19_456;
/// See [`MEMORY_KIB`].
pub const PASSES: u32 = 2;
/// See [`MEMORY_KIB`].
pub const LANES: u32 = 1;
/// RFC 9106 §3.1 recommends 16 octets.
const SALT_OCTETS: usize = 16;
const OUTPUT_OCTETS: usize = 32;

/// Hashes from elsewhere may be dearer than ours, within reason: a login must not take the memory
/// of the mail.
const MEMORY_KIB_MAX: u32 = 262_144;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use world::SeededRandom;

    #[test]
    fn a_hash_matches_its_password_and_no_other() {
        let phc = hash(&Secret::new("secret"), &SeededRandom::new(1));
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(matches(&phc, &Secret::new("secret")));
        assert!(!matches(&phc, &Secret::new("Secret")));
        assert!(!matches("nonsense", &Secret::new("secret")));
    }

    #[test]
    fn the_same_password_has_another_hash_each_time() {
        let random = SeededRandom::new(1);
        let secret = Secret::new("secret");
        assert_ne!(hash(&secret, &random), hash(&secret, &random));
    }

    #[test]
    fn what_is_no_hash_of_ours_is_refused_with_its_reason() {
        let of = |phc: &str| check(phc).unwrap_err();
        assert_eq!(of("secret"), HashError::Form);
        assert_eq!(of("$argon2id$v=19$m=19456,t=2,p=1"), HashError::Form);
        assert_eq!(
            of("$pbkdf2-sha256$i=4096$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"),
            HashError::Function("pbkdf2-sha256".into())
        );
        assert_eq!(
            of("$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"),
            HashError::Costly
        );
        assert!(check("$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo").is_ok());
    }
}
