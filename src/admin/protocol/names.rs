//! The names of aliases, as people write them.

use mail::{Address, Domain};
use serde::{Deserialize, Serialize};

/// The name of an alias: `list@example.test`, or `@example.test` for the catch-all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct AliasName {
    /// The part before the `@`; empty for the catch-all.
    pub local: String,
    /// The part after it.
    pub domain: Domain,
}

impl std::str::FromStr for AliasName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(domain) = text.strip_prefix('@') {
            let domain = domain.parse().map_err(|error| format!("{text}: {error}"))?;
            return Ok(Self {
                local: String::new(),
                domain,
            });
        }
        let address: Address = text.parse().map_err(|error| {
            format!("{text}: {error}; name@example.test or @example.test is expected")
        })?;
        Ok(Self {
            local: address.local().to_owned(),
            domain: address.domain().clone(),
        })
    }
}

impl std::fmt::Display for AliasName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Address::new(&self.local, self.domain.clone()) {
            Ok(address) => write!(f, "{address}"),
            Err(_) => write!(f, "@{}", self.domain),
        }
    }
}

impl TryFrom<String> for AliasName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AliasName> for String {
    fn from(name: AliasName) -> Self {
        name.to_string()
    }
}
