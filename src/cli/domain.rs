//! `heronry domain`: whose mail is ours.

use clap::{Args, Subcommand};

use super::{
    Failure,
    client::Client,
    output::{Output, holdings, limit, table},
};
use crate::admin::protocol::{DomainView, QuotaView, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Domain {
    /// Take mail for a domain.
    Add {
        /// Such as example.test.
        domain: mail::Domain,
    },
    /// The domains.
    List,
    /// Limit what the accounts of a domain may hold together; what is not given is without limit.
    Quota {
        /// Such as example.test.
        domain: mail::Domain,
        #[command(flatten)]
        quota: Quota,
    },
    /// A domain: how many accounts and aliases it has, what it holds and may hold.
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

/// How much the accounts of a domain may hold together.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(super) struct Quota {
    /// The sum of the sizes of their messages, in octets.
    #[arg(long, value_name = "N")]
    octets: Option<u64>,
    /// The number of their messages.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
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
            Self::Quota { domain, quota } => {
                let said = format!("{domain} has other limits");
                let Quota { octets, messages } = quota;
                let quota = QuotaView { octets, messages };
                client.ask::<()>(&Request::DomainQuota { domain, quota })?;
                output.done(&said)
            }
            Self::Show { domain } => {
                let view: DomainView = client.ask(&Request::DomainShow { domain })?;
                output.answer(&view, |view| {
                    let number = |count: Option<u64>| count.unwrap_or_default().to_string();
                    let row = vec![
                        view.domain.to_string(),
                        number(view.accounts),
                        number(view.aliases),
                        limit(view.quota.octets),
                        limit(view.quota.messages),
                    ];
                    let head = [
                        "DOMAIN",
                        "ACCOUNTS",
                        "ALIASES",
                        "OCTETS MAX",
                        "MESSAGES MAX",
                    ];
                    table(&head, &[row]) + &holdings(view.holds)
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
