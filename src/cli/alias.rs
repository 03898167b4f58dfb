//! `heronry alias`: other names, for one or for many.

use clap::Subcommand;
use mail::Address;

use super::{
    Failure,
    client::Client,
    output::{Output, table},
};
use crate::admin::protocol::{AliasName, AliasView, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Alias {
    /// Add an alias, or give it other targets.
    Add {
        /// name@example.test, or @example.test for every name that is not there (the catch-all).
        alias: AliasName,
        /// Where its mail goes: addresses here or elsewhere.
        #[arg(required = true)]
        targets: Vec<Address>,
    },
    /// The aliases.
    List {
        /// Only of that domain.
        domain: Option<mail::Domain>,
    },
    /// An alias with its targets.
    Show {
        /// name@example.test, or @example.test for the catch-all.
        alias: AliasName,
    },
    /// Remove an alias.
    Remove {
        /// name@example.test, or @example.test for the catch-all.
        alias: AliasName,
    },
}

impl Alias {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Add { alias, targets } => {
                let said = format!("{alias} set");
                client.ask::<()>(&Request::AliasAdd(AliasView { alias, targets }))?;
                output.done(&said)
            }
            Self::List { domain } => {
                let aliases: Vec<AliasView> = client.ask(&Request::AliasList { domain })?;
                output.answer(&aliases, |aliases| rows(aliases))
            }
            Self::Show { alias } => {
                let view: AliasView = client.ask(&Request::AliasShow { alias })?;
                output.answer(&view, |view| rows(std::slice::from_ref(view)))
            }
            Self::Remove { alias } => {
                let said = format!("{alias} removed");
                client.ask::<()>(&Request::AliasRemove { alias })?;
                output.done(&said)
            }
        }
    }
}

fn rows(aliases: &[AliasView]) -> String {
    let targets = |view: &AliasView| {
        view.targets
            .iter()
            .map(Address::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let rows: Vec<_> = aliases
        .iter()
        .map(|view| vec![view.alias.to_string(), targets(view)])
        .collect();
    table(&["ALIAS", "TARGETS"], &rows)
}
