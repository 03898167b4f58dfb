//! May this client do this? Never an open relay.

use std::net::IpAddr;

use mail::{AccountId, Address, Enhanced, Network, Recipient, Reply, Target};

use crate::route::{self, Facts, Route, Rules};

/// Through which door a client came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Door {
    /// Other systems bring mail for us (port 25).
    Smtp,
    /// Our users hand in their mail (ports 587, 465; RFC 6409).
    Submission,
    /// A neighbour hands over mail for our mailboxes (RFC 2033).
    Lmtp,
}

/// Who is at the door.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Through which door.
    pub door: Door,
    /// From where.
    pub address: IpAddr,
    /// As whom it has logged in.
    pub account: Option<AccountId>,
    /// The networks whose clients may relay without logging in.
    pub trusted: &'a [Network],
}

impl Client<'_> {
    /// Whether the client comes from a trusted network.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(self.address))
    }

    /// Whether the client may send to other systems through us.
    #[must_use]
    pub fn may_relay(&self) -> bool {
        self.door != Door::Lmtp && (self.account.is_some() || self.is_trusted())
    }

    /// Whether a transaction may begin at all: submission is for those who have logged in
    /// (RFC 6409 §4.3).
    ///
    /// # Errors
    /// The reply to MAIL.
    pub fn begin(&self) -> Result<(), Reply> {
        if self.door == Door::Submission && !self.may_relay() {
            return Err(Reply::new(
                530,
                Enhanced(5, 7, 0),
                "authentication required",
            ));
        }
        Ok(())
    }

    /// Whether the client may send as `from` (RFC 6409 §6.1): who has logged in uses an address
    /// whose mail comes to that account: its own, one with a detail, an alias of it. Everybody may
    /// send as nobody, `<>`.
    ///
    /// # Errors
    /// The facts' own; within, the reply to MAIL.
    pub fn send_as<F: Facts>(
        &self,
        from: Option<&Address>,
        rules: &Rules,
        facts: &F,
    ) -> Result<Result<(), Reply>, F::Error> {
        if let Err(reply) = self.begin() {
            return Ok(Err(reply));
        }
        let (Some(account), Some(from)) = (self.account, from) else {
            return Ok(Ok(()));
        };
        let is_theirs = match route::route(rules, facts, from, false)? {
            Route::Accept { recipients, .. } => recipients.iter().any(|r| is_of(r, account)),
            Route::Refuse(_) => false,
        };
        Ok(if is_theirs {
            Ok(())
        } else {
            let text = format!("you may not send as {from}");
            Err(Reply::new(553, Enhanced(5, 7, 1), text))
        })
    }

    /// Where mail for `to` goes, if the client may send there.
    ///
    /// # Errors
    /// The facts' own.
    pub fn send_to<F: Facts>(
        &self,
        to: &Address,
        rules: &Rules,
        facts: &F,
    ) -> Result<Route, F::Error> {
        route::route(rules, facts, to, self.may_relay())
    }
}

fn is_of(recipient: &Recipient, account: AccountId) -> bool {
    matches!(&recipient.target, Target::Local { account: a, .. } if *a == account)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use mail::Domain;

    use super::*;
    use crate::route::Entry;

    struct Here;

    impl Facts for Here {
        type Error = Infallible;

        fn has_domain(&self, domain: &Domain) -> Result<bool, Infallible> {
            Ok(domain.as_str() == "here.test")
        }

        fn entry(&self, local: &str, _: &Domain) -> Result<Option<Entry>, Infallible> {
            Ok(match local {
                "ann" => Some(Entry::Account(AccountId(1))),
                "bob" => Some(Entry::Account(AccountId(2))),
                "info" => Some(Entry::Alias(vec!["ann@here.test".parse().unwrap()])),
                _ => None,
            })
        }
    }

    const ANN: Option<AccountId> = Some(AccountId(1));

    fn client(door: Door, address: &str, account: Option<AccountId>) -> Client<'static> {
        let trusted: &[Network] = Box::leak(Box::new(["127.0.0.0/8".parse().unwrap()]));
        Client {
            door,
            address: address.parse().unwrap(),
            account,
            trusted,
        }
    }

    #[test]
    fn only_who_is_known_sends_elsewhere() {
        let cases = [
            (Door::Smtp, "192.0.2.1", None, Some(550)),
            (Door::Smtp, "127.0.0.1", None, None),
            (Door::Smtp, "::ffff:127.0.0.1", None, None),
            (Door::Smtp, "192.0.2.1", ANN, None),
            (Door::Submission, "192.0.2.1", None, Some(550)),
            (Door::Submission, "192.0.2.1", ANN, None),
            (Door::Lmtp, "127.0.0.1", None, Some(550)),
            (Door::Lmtp, "127.0.0.1", ANN, Some(550)),
        ];
        for (door, address, account, expected) in cases {
            let client = client(door, address, account);
            let to = "x@there.test".parse().unwrap();
            let Ok(route) = client.send_to(&to, &Rules::default(), &Here);
            let code = match route {
                Route::Accept { .. } => None,
                Route::Refuse(reply) => Some(reply.code()),
            };
            assert_eq!(code, expected, "{door:?} {address} {account:?}");
        }
    }

    #[test]
    fn accounts_send_only_as_themselves() {
        let cases = [
            (Door::Submission, None, "ann@here.test", Some(530)),
            (Door::Submission, ANN, "ann@here.test", None),
            (Door::Submission, ANN, "Ann+shop@here.test", None),
            (Door::Submission, ANN, "info@here.test", None),
            (Door::Submission, ANN, "bob@here.test", Some(553)),
            (Door::Submission, ANN, "ann@there.test", Some(553)),
            (Door::Submission, ANN, "nobody@here.test", Some(553)),
            (Door::Submission, ANN, "", None),
            (Door::Smtp, ANN, "bob@here.test", Some(553)),
            (Door::Smtp, None, "x@there.test", None),
        ];
        for (door, account, from, expected) in cases {
            let client = client(door, "192.0.2.1", account);
            let address = from.parse().ok();
            let Ok(verdict) = client.send_as(address.as_ref(), &Rules::default(), &Here);
            let code = verdict.err().map(|reply| reply.code());
            assert_eq!(code, expected, "{door:?} {account:?} {from}");
        }
    }
}
