//! `heronry domain`: whose mail is ours.

use clap::Subcommand;

use super::{
    Failure,
    client::Client,
    output::{Output, table},
};
use crate::admin::protocol::{DomainView, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Domain {
    /// Take mail for a domain.
    Add {
        /// Such as example.test.
        domain: mail::Domain,
    },
    /// The domains.
    List,
    /// A domain, with the number of its accounts and aliases.
    Show {
        /// Such as example.test.
        domain: mail::Domain,
    },
    /// Take no mail for a domain any more; it must be without accounts and aliases.
    Remove {
        /// Such as example.test.
        domain: mail::Domain,
    },
}

impl Domain {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Add { domain } => {
                let said = format!("{domain} added");
                client.ask::<()>(&Request::DomainAdd { domain })?;
                output.done(&said)
            }
            Self::List => {
                let domains: Vec<DomainView> = client.ask(&Request::DomainList)?;
                output.answer(&domains, |domains| {
                    domains
                        .iter()
                        .map(|view| format!("{}\n", view.domain))
                        .collect()
                })
            }
            Self::Show { domain } => {
                let view: DomainView = client.ask(&Request::DomainShow { domain })?;
                output.answer(&view, |view| {
                    let number = |count: Option<u64>| count.unwrap_or_default().to_string();
                    let row = vec![
                        view.domain.to_string(),
                        number(view.accounts),
                        number(view.aliases),
                    ];
                    table(&["DOMAIN", "ACCOUNTS", "ALIASES"], &[row])
                })
            }
            Self::Remove { domain } => {
                let said = format!("{domain} removed");
                client.ask::<()>(&Request::DomainRemove { domain })?;
                output.done(&said)
            }
        }
    }
}
