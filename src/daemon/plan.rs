//! What is to be started.

use std::path::PathBuf;

use mail::Address;

use crate::config::Config;

/// A configuration, and what a demo adds to it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) config: Config,
    /// Where the configuration was read; none for a demo.
    pub(super) file: Option<PathBuf>,
    pub(super) demo: Option<Demo>,
}

/// What a demo has besides its configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demo {
    /// How many accounts there are.
    pub(super) accounts: u32,
    /// Whether it does without doors whose ports are taken.
    pub(super) yields_ports: bool,
}

impl Plan {
    /// The demo, with `accounts` accounts. If it `yields_ports`, which nobody has chosen then, it
    /// does without a door whose port is taken.
    #[must_use]
    pub fn demo(config: Config, accounts: u32, yields_ports: bool) -> Self {
        Self {
            config,
            file: None,
            demo: Some(Demo {
                accounts,
                yields_ports,
            }),
        }
    }

    /// The daemon, with the configuration that was read from `file`.
    #[must_use]
    pub fn serve(config: Config, file: PathBuf) -> Self {
        Self {
            config,
            file: Some(file),
            demo: None,
        }
    }
}

/// The address of the demo's account of that number.
#[must_use]
pub fn demo_account(number: u32) -> Address {
    let domain = DEMO_DOMAIN.parse().expect("the demo's domain is a domain");
    Address::new(&format!("user{number}"), domain).expect("letters and digits are a name")
}

/// The domain of the demo's accounts: never anybody's (RFC 6761 §6.2).
pub const DEMO_DOMAIN: &str = "example.test";

/// The name by which the demo knows itself.
pub const DEMO_HOSTNAME: &str = "mx.example.test";

/// The password of the demo's accounts.
pub const DEMO_PASSWORD: &str = "secret";
