//! From an address as a sender wrote it to the final recipients it stands for.

use std::collections::HashSet;

use mail::{AccountId, Address, Domain, Enhanced, Recipient, Reply, Target};
use serde::{Deserialize, Serialize};

/// What there is to know about local domains; over the store in the daemon, over a table in tests.
pub trait Facts {
    /// Why a fact cannot be had.
    type Error;

    /// Whether mail for the domain is ours.
    ///
    /// # Errors
    /// When nobody can say now.
    fn has_domain(&self, domain: &Domain) -> Result<bool, Self::Error>;

    /// What that local part, lower-case, stands for in a domain of ours, exactly as it is written.
    /// An empty one asks for the catch-all.
    ///
    /// # Errors
    /// When nobody can say now.
    fn entry(&self, local: &str, domain: &Domain) -> Result<Option<Entry>, Self::Error>;
}

/// What a local part stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// A mailbox of ours.
    Account(AccountId),
    /// Other addresses, here or elsewhere.
    Alias(Vec<Address>),
}

/// How addresses are understood.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// What separates `user` from `detail` in `user+detail`; none: nothing does.
    pub separator: Option<char>,
    /// Who gets the mail for a postmaster that has no entry: RFC 5321 §4.5.1 wants one in every
    /// domain, so a system without this must have the entries.
    pub postmaster: Option<Address>,
    /// How many final recipients one address may stand for.
    pub expansion_max: usize,
}

/// The verdict on an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// Mail for it is taken.
    Accept {
        /// The final recipients, each once, in the order of the aliases; at least one. Those that
        /// are not what was asked for know it as their original.
        recipients: Vec<Recipient>,
        /// Targets of aliases that lead nowhere: for the operator's log, no reason to refuse.
        dangling: Vec<Address>,
    },
    /// It is not, and the sender is told so.
    Refuse(Reply),
}

/// Follows an address to its final recipients. `may_relay`: whether who asks may send to other
/// systems through us; an alias to another system is the operator's word and needs no leave.
///
/// # Errors
/// The facts' own.
pub fn route<F: Facts>(
    rules: &Rules,
    facts: &F,
    asked: &Address,
    may_relay: bool,
) -> Result<Route, F::Error> {
    if !facts.has_domain(asked.domain())? {
        return Ok(if may_relay {
            let target = Target::Remote(asked.domain().clone());
            let recipients = vec![Recipient::new(asked.clone(), target)];
            Route::Accept {
                recipients,
                dangling: Vec::new(),
            }
        } else {
            Route::Refuse(Reply::new(550, Enhanced(5, 7, 1), "relaying denied"))
        });
    }
    let mut walk = Walk {
        rules,
        facts,
        asked,
        seen: HashSet::new(),
        known: HashSet::new(),
        recipients: Vec::new(),
        dangling: Vec::new(),
        is_looping: false,
    };
    let mut open = vec![Step {
        address: asked.clone(),
        detail: None,
        depth: 0,
    }];
    while let Some(step) = open.pop() {
        walk.step(step, &mut open)?;
        if walk.recipients.len() > rules.expansion_max || walk.seen.len() > SEEN_MAX {
            let text = "the address stands for too many recipients";
            return Ok(Route::Refuse(Reply::new(550, Enhanced(5, 2, 4), text)));
        }
    }
    Ok(walk.verdict())
}

/// Where mail for the bare `<postmaster>` goes, the one address without a domain
/// (RFC 5321 §4.5.1). `home` is this system's own domain.
///
/// # Errors
/// The facts' own.
pub fn postmaster<F: Facts>(rules: &Rules, facts: &F, home: &Domain) -> Result<Route, F::Error> {
    match (&rules.postmaster, Address::new(POSTMASTER, home.clone())) {
        (_, Ok(own)) if facts.has_domain(home)? => route(rules, facts, &own, false),
        (Some(address), _) => route(rules, facts, address, true),
        (None, _) => Ok(Route::Refuse(unknown())),
    }
}

/// An address still to be followed.
struct Step {
    address: Address,
    /// What stood behind the separator in an address on the way here.
    detail: Option<String>,
    depth: u32,
}

/// What makes two recipients the same.
#[derive(Eq, Hash, PartialEq)]
enum Known {
    Local(AccountId),
    Remote(Address),
}

struct Walk<'a, F> {
    rules: &'a Rules,
    facts: &'a F,
    asked: &'a Address,
    /// Addresses already followed; an alias that comes back to one of them ends there.
    seen: HashSet<(String, Domain)>,
    /// Who is among the recipients.
    known: HashSet<Known>,
    recipients: Vec<Recipient>,
    dangling: Vec<Address>,
    is_looping: bool,
}

impl<F: Facts> Walk<'_, F> {
    fn step(&mut self, step: Step, open: &mut Vec<Step>) -> Result<(), F::Error> {
        let domain = step.address.domain();
        let local = step.address.local().to_ascii_lowercase();
        if !self.seen.insert((local.clone(), domain.clone())) || step.depth > DEPTH_MAX {
            self.is_looping = true;
            return Ok(());
        }
        // The first step's domain is known to be ours.
        if step.depth > 0 && !self.facts.has_domain(domain)? {
            let target = Target::Remote(domain.clone());
            self.add(step.address, target);
            return Ok(());
        }
        let found = self.find(&local, &step.address)?;
        let Some((entry, own_detail)) = found else {
            self.dangling.push(step.address);
            return Ok(());
        };
        let detail = own_detail.or(step.detail);
        match entry {
            Entry::Account(account) => {
                self.add(step.address, Target::Local { account, detail });
            }
            Entry::Alias(targets) => {
                let depth = step.depth + 1;
                // The last is taken first: so they keep their order.
                open.extend(targets.into_iter().rev().map(|address| Step {
                    address,
                    detail: detail.clone(),
                    depth,
                }));
            }
        }
        Ok(())
    }

    /// The entry for a local part: itself, without its detail, as postmaster, as anybody.
    fn find(
        &self,
        local: &str,
        address: &Address,
    ) -> Result<Option<(Entry, Option<String>)>, F::Error> {
        let domain = address.domain();
        if let Some(entry) = self.facts.entry(local, domain)? {
            return Ok(Some((entry, None)));
        }
        if let Some((user, detail)) = self.split(address.local()) {
            let user = user.to_ascii_lowercase();
            if let Some(entry) = self.facts.entry(&user, domain)? {
                return Ok(Some((entry, Some(detail.to_owned()))));
            }
        }
        if local == POSTMASTER
            && let Some(address) = &self.rules.postmaster
        {
            return Ok(Some((Entry::Alias(vec![address.clone()]), None)));
        }
        let anybody = self.facts.entry("", domain)?;
        Ok(anybody.map(|entry| (entry, None)))
    }

    fn split<'l>(&self, local: &'l str) -> Option<(&'l str, &'l str)> {
        let (user, detail) = local.split_once(self.rules.separator?)?;
        (!user.is_empty()).then_some((user, detail))
    }

    fn add(&mut self, address: Address, target: Target) {
        let known = match &target {
            Target::Local { account, .. } => Known::Local(*account),
            Target::Remote(_) => Known::Remote(address.clone()),
        };
        if !self.known.insert(known) {
            return;
        }
        let original = (address != *self.asked).then(|| self.asked.clone());
        self.recipients.push(Recipient {
            original,
            ..Recipient::new(address, target)
        });
    }

    fn verdict(self) -> Route {
        if !self.recipients.is_empty() {
            return Route::Accept {
                recipients: self.recipients,
                dangling: self.dangling,
            };
        }
        Route::Refuse(if self.is_looping {
            Reply::new(550, Enhanced(5, 4, 6), "the address is an alias of itself")
        } else {
            unknown()
        })
    }
}

fn unknown() -> Reply {
    Reply::new(550, Enhanced(5, 1, 1), "no such user here")
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            separator: Some('+'),
            postmaster: None,
            expansion_max: 1000,
        }
    }
}

const POSTMASTER: &str = "postmaster";
/// Aliases of aliases of aliases: deeper than this it is a mistake.
const DEPTH_MAX: u32 = 32;
/// Addresses followed for one that was asked for.
const SEEN_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, convert::Infallible};

    use proptest::prelude::*;

    use super::*;

    /// `name = 7` is an account, `name = a@b c@d` an alias.
    struct Table(HashMap<String, Entry>);

    impl Table {
        fn new(lines: &[&str]) -> Self {
            let entry = |line: &&str| {
                let (name, value) = line.split_once(" = ").unwrap();
                let entry = match value.parse() {
                    Ok(number) => Entry::Account(AccountId(number)),
                    Err(_) => Entry::Alias(value.split(' ').map(|a| a.parse().unwrap()).collect()),
                };
                (name.to_owned(), entry)
            };
            Self(lines.iter().map(entry).collect())
        }
    }

    impl Facts for Table {
        type Error = Infallible;

        fn has_domain(&self, domain: &Domain) -> Result<bool, Infallible> {
            Ok(domain.is_within(&"here.test".parse().unwrap()))
        }

        fn entry(&self, local: &str, domain: &Domain) -> Result<Option<Entry>, Infallible> {
            Ok(self.0.get(&format!("{local}@{domain}")).cloned())
        }
    }

    const LINES: &[&str] = &[
        "ann@here.test = 1",
        "bob@here.test = 2",
        "a+b@here.test = 3",
        "sales@here.test = ann@here.test bob@here.test",
        "all@here.test = sales@here.test ann@here.test carl@there.test",
        "away@here.test = ann@there.test",
        "loop@here.test = pool@here.test",
        "pool@here.test = loop@here.test",
        "keep@here.test = keep@here.test bob@here.test",
        "stale@here.test = gone@here.test ann@here.test",
        "void@here.test = gone@here.test",
        "@any.here.test = ann@here.test",
        "bob@any.here.test = bob@here.test",
        "postmaster@own.here.test = bob@here.test",
    ];

    fn shown(route: Route) -> String {
        match route {
            Route::Refuse(reply) => format!("{} {}", reply.code(), reply.enhanced().unwrap()),
            Route::Accept { recipients, .. } => {
                let one = |r: &Recipient| match &r.target {
                    Target::Local { account, detail } => {
                        let detail = detail.as_ref().map(|d| format!("+{d}"));
                        format!("{account}{}", detail.unwrap_or_default())
                    }
                    Target::Remote(domain) => format!("{}>{domain}", r.address),
                };
                recipients.iter().map(one).collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn rules() -> Rules {
        Rules {
            postmaster: Some("ann@here.test".parse().unwrap()),
            ..Rules::default()
        }
    }

    #[test]
    fn addresses_lead_to_their_final_recipients() {
        let table = Table::new(LINES);
        let cases = [
            ("ann@here.test", false, "1"),
            ("Ann@HERE.test", false, "1"),
            ("ann+Shop@here.test", false, "1+Shop"),
            ("a+b@here.test", false, "3"),
            ("a+c@here.test", false, "550 5.1.1"),
            ("+x@here.test", false, "550 5.1.1"),
            ("nobody@here.test", false, "550 5.1.1"),
            ("nobody@here.test", true, "550 5.1.1"),
            ("sales@here.test", false, "1 2"),
            ("sales+q@here.test", false, "1+q 2+q"),
            ("all@here.test", false, "1 2 carl@there.test>there.test"),
            ("away@here.test", false, "ann@there.test>there.test"),
            ("loop@here.test", false, "550 5.4.6"),
            ("keep@here.test", false, "2"),
            ("stale@here.test", false, "1"),
            ("void@here.test", false, "550 5.1.1"),
            ("whoever@any.here.test", false, "1"),
            ("bob@any.here.test", false, "2"),
            ("bob+x@any.here.test", false, "2+x"),
            ("postmaster@here.test", false, "1"),
            ("PostMaster@any.here.test", false, "1"),
            ("postmaster@own.here.test", false, "2"),
            ("x@there.test", true, "x@there.test>there.test"),
            ("x@there.test", false, "550 5.7.1"),
        ];
        for (address, may_relay, expected) in cases {
            let asked = address.parse().unwrap();
            let Ok(route) = route(&rules(), &table, &asked, may_relay);
            assert_eq!(shown(route), expected, "{address}");
        }
    }

    #[test]
    fn recipients_know_the_address_that_was_asked_for() {
        let asked: Address = "stale@here.test".parse().unwrap();
        let Ok(Route::Accept {
            recipients,
            dangling,
        }) = route(&rules(), &Table::new(LINES), &asked, false)
        else {
            panic!("it is accepted");
        };
        assert_eq!(recipients[0].original, Some(asked));
        assert_eq!(dangling, ["gone@here.test".parse().unwrap()]);
        let own: Address = "ann@here.test".parse().unwrap();
        let Ok(Route::Accept { recipients, .. }) = route(&rules(), &Table::new(LINES), &own, false)
        else {
            panic!("it is accepted");
        };
        assert_eq!(recipients[0].original, None);
    }

    #[test]
    fn the_bare_postmaster_is_at_home_or_configured() {
        let table = Table::new(LINES);
        let Ok(home) = postmaster(&rules(), &table, &"own.here.test".parse().unwrap());
        assert_eq!(shown(home), "2");
        let Ok(away) = postmaster(&rules(), &table, &"mx.other.test".parse().unwrap());
        assert_eq!(shown(away), "1");
    }

    #[test]
    fn an_alias_to_too_many_is_refused() {
        let targets: Vec<_> = (0..1001).map(|n| format!("u{n}@there.test")).collect();
        let line = format!("many@here.test = {}", targets.join(" "));
        let asked = "many@here.test".parse().unwrap();
        let Ok(route) = route(&rules(), &Table::new(&[&line]), &asked, false);
        assert_eq!(shown(route), "550 5.2.4");
    }

    proptest! {
        #[test]
        fn every_net_of_aliases_comes_to_an_end(edges in proptest::collection::vec((0_u8..8, 0_u8..10), 0..40)) {
            let mut aliases: HashMap<String, Vec<Address>> = HashMap::new();
            for (from, to) in edges {
                let target = format!("n{to}@here.test").parse().unwrap();
                aliases.entry(format!("n{from}@here.test")).or_default().push(target);
            }
            let mut table: HashMap<_, _> =
                aliases.into_iter().map(|(name, targets)| (name, Entry::Alias(targets))).collect();
            table.insert("n9@here.test".to_owned(), Entry::Account(AccountId(9)));
            let Ok(route) = route(&rules(), &Table(table), &"n0@here.test".parse().unwrap(), false);
            if let Route::Accept { recipients, .. } = route {
                prop_assert_eq!(recipients.len(), 1);
            }
        }
    }
}
