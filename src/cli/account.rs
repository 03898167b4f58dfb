//! `heronry account`: who has mail here.

use clap::{Args, Subcommand};
use mail::Address;

use super::{
    Failure,
    client::Client,
    import::Import,
    output::{Output, holdings, limit, table},
    password::PasswordFrom,
};
use crate::admin::protocol::{AccountNew, AccountView, QuotaView, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// Add an account; its password is asked for.
    Add {
        /// Its address, which is its login name.
        address: Address,
        #[command(flatten)]
        password: PasswordFrom,
        #[command(flatten)]
        quota: Quota,
    },
    /// Add many accounts from a CSV file.
    Import(Import),
    /// The accounts.
    List {
        /// Only of that domain.
        domain: Option<mail::Domain>,
    },
    /// Give an account another password.
    Password {
        /// Whose.
        address: Address,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Limit what an account may hold; what is not given is without limit.
    Quota {
        /// Whose.
        address: Address,
        #[command(flatten)]
        quota: Quota,
    },
    /// Remove an account with all its mail.
    Remove {
        /// Which.
        address: Address,
    },
    /// An account, with what it holds.
    Show {
        /// Which.
        address: Address,
    },
}

/// How much an account may hold.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(super) struct Quota {
    /// The sum of the sizes of its messages, in octets.
    #[arg(long, value_name = "N")]
    quota_octets: Option<u64>,
    /// The number of its messages.
    #[arg(long, value_name = "N")]
    quota_messages: Option<u64>,
}

impl Account {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Add {
                address,
                password,
                quota,
            } => {
                let said = format!("{address} added");
                let account = AccountNew {
                    address,
                    password: password.hash()?,
                    quota: quota.view(),
                };
                let accounts = vec![account];
                client.ask::<()>(&Request::AccountAdd {
                    accounts,
                    update: false,
                })?;
                output.done(&said)
            }
            Self::Import(import) => import.run(client, output),
            Self::List { domain } => {
                let accounts = client.ask_for_all(|last: Option<&AccountView>| {
                    let after = last.map(|view| view.address.clone());
                    Request::AccountList {
                        domain: domain.clone(),
                        after,
                    }
                })?;
                output.answer(&accounts, |accounts| rows(accounts))
            }
            Self::Password { address, password } => {
                let said = format!("{address} has another password");
                let password = password.hash()?;
                client.ask::<()>(&Request::AccountPassword { address, password })?;
                output.done(&said)
            }
            Self::Quota { address, quota } => {
                let said = format!("{address} has other limits");
                let quota = quota.view();
                client.ask::<()>(&Request::AccountQuota { address, quota })?;
                output.done(&said)
            }
            Self::Remove { address } => {
                let said = format!("{address} removed");
                client.ask::<()>(&Request::AccountRemove { address })?;
                output.done(&said)
            }
            Self::Show { address } => {
                let view: AccountView = client.ask(&Request::AccountShow { address })?;
                output.answer(&view, |view| {
                    rows(std::slice::from_ref(view)) + &holdings(view.holds)
                })
            }
        }
    }
}

impl Quota {
    fn view(self) -> QuotaView {
        QuotaView {
            octets: self.quota_octets,
            messages: self.quota_messages,
        }
    }
}

fn rows(accounts: &[AccountView]) -> String {
    let row = |view: &AccountView| {
        vec![
            view.address.to_string(),
            view.id.to_string(),
            if view.can_log_in { "yes" } else { "no" }.to_owned(),
            limit(view.quota.octets),
            limit(view.quota.messages),
            view.created.clone(),
        ]
    };
    let head = [
        "ADDRESS",
        "ID",
        "LOGIN",
        "OCTETS MAX",
        "MESSAGES MAX",
        "CREATED",
    ];
    table(&head, &accounts.iter().map(row).collect::<Vec<_>>())
}
