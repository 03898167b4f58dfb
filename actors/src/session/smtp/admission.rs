//! Who may send what to whom through one listener.

use std::net::IpAddr;

use mail::{AccountId, Address, Domain, Network, Recipient, Reply};
use policy::{
    admit::{Client, Door},
    route::{self, Route, Rules},
};
use store::StoreError;

use crate::facts::AccountFacts;

/// The rules of one listener; its sessions share them.
#[derive(Clone)]
pub struct Admission {
    /// What the house knows of domains, accounts and aliases.
    pub facts: AccountFacts,
    /// Through which door its clients come.
    pub door: Door,
    /// How addresses are followed.
    pub rules: Rules,
    /// Clients that may relay without logging in.
    pub trusted: Vec<Network>,
}

impl Admission {
    /// May this client send from that address?
    pub(super) fn mail(
        &self,
        from: Option<&Address>,
        client: IpAddr,
        account: Option<AccountId>,
    ) -> Result<(), Reply> {
        let client = self.client(client, account);
        client
            .send_as(from, &self.rules, &self.facts)
            .unwrap_or_else(|error| Err(unknown(&error)))
    }

    /// Do we take mail from this client for that address, and for whom is it in the end? `home`
    /// is this system's own name, whose postmaster is there whatever else is (RFC 5321 §4.5.1).
    pub(super) fn rcpt(
        &self,
        to: &Address,
        home: &Domain,
        client: IpAddr,
        account: Option<AccountId>,
    ) -> Result<Vec<Recipient>, Reply> {
        let client = self.client(client, account);
        let is_our_postmaster =
            to.domain() == home && to.local().eq_ignore_ascii_case("postmaster");
        let route = if is_our_postmaster {
            route::postmaster(&self.rules, &self.facts, home)
        } else {
            client.send_to(to, &self.rules, &self.facts)
        };
        match route {
            Ok(Route::Accept {
                recipients,
                dangling,
            }) => {
                if !dangling.is_empty() {
                    tracing::warn!(%to, ?dangling, "an alias has targets that do not exist");
                }
                Ok(recipients)
            }
            Ok(Route::Refuse(reply)) => Err(reply),
            Err(error) => Err(unknown(&error)),
        }
    }

    fn client(&self, address: IpAddr, account: Option<AccountId>) -> Client<'_> {
        Client {
            door: self.door,
            address,
            account,
            trusted: &self.trusted,
        }
    }
}

/// Who cannot be looked up now may be there: never a 5xx.
fn unknown(error: &StoreError) -> Reply {
    tracing::error!(%error, "cannot look up an address");
    error.reply()
}
