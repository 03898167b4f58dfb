//! Where a domain's mail goes: which host is tried, and which one after it.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use mail::{Domain, Enhanced, Outcome, Reply};
use policy::mx;
use supervision::Seat;
use world::Random;

use super::config::{Config, Hop, StaticRoute};
use crate::contract::{Addresses, Resolved, ResolverMsg};

/// The hosts and addresses that are still to be tried, in order.
#[derive(Debug, Default)]
pub(super) struct Way {
    hosts: VecDeque<Hop>,
    addresses: VecDeque<Stop>,
    /// Addresses that have been tried.
    tried: usize,
}

/// An address to connect to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stop {
    /// The host whose address it is.
    pub(super) host: Domain,
    /// The address.
    pub(super) address: SocketAddr,
    /// Whether TLS has failed there: it is spoken to in the clear (RFC 7435 §3).
    pub(super) in_the_clear: bool,
    /// Whether chunks have failed there: it gets its messages after DATA.
    pub(super) without_chunks: bool,
}

/// Who knows the way.
pub(super) struct Guide {
    pub(super) config: Config,
    /// Our own names: whoever finds one of them among a domain's hosts goes no farther.
    pub(super) own: Vec<Domain>,
    pub(super) random: Arc<dyn Random>,
    pub(super) resolver: Seat<ResolverMsg>,
    pub(super) routes: Vec<StaticRoute>,
}

impl Guide {
    /// The hosts of a domain.
    pub(super) async fn way(&self, domain: &Domain) -> Result<Way, Outcome> {
        let fixed = self.routes.iter().find(|route| route.domain == *domain);
        let fixed = fixed.map(|route| &route.to).or(self.config.relay.as_ref());
        let hosts = match fixed {
            Some(hop) => VecDeque::from([hop.clone()]),
            None if domain.literal().is_some() => VecDeque::from([Hop {
                host: domain.clone(),
                port: self.config.port,
            }]),
            None if self.config.dns => self.named_by_dns(domain).await?,
            None => {
                let text = "no way out: neither a relay, nor a route, nor a DNS server is set";
                return Err(Outcome::Defer(Reply::new(451, Enhanced(4, 4, 4), text)));
            }
        };
        Ok(Way {
            hosts,
            ..Way::default()
        })
    }

    /// The next address to try; `None` when there is none. Hosts without an address are passed
    /// over; `last` then says why.
    pub(super) async fn next(&self, way: &mut Way, last: &mut Option<Outcome>) -> Option<Stop> {
        loop {
            if way.tried >= STOPS_MAX {
                return None;
            }
            if let Some(stop) = way.addresses.pop_front() {
                way.tried += 1;
                return Some(stop);
            }
            let hop = way.hosts.pop_front()?;
            let stop = |ip| Stop {
                host: hop.host.clone(),
                address: SocketAddr::new(ip, hop.port),
                in_the_clear: false,
                without_chunks: false,
            };
            if let Some(ip) = hop.host.literal() {
                way.addresses.push_back(stop(ip));
                continue;
            }
            match self
                .ask(|port| ResolverMsg::Addresses(hop.host.clone(), port))
                .await
            {
                Ok(Addresses { v4, v6 }) => {
                    way.addresses = mx::addresses(&v6, &v4).into_iter().map(stop).collect();
                }
                Err(outcome) => {
                    blame(
                        last,
                        outcome.map_or_else(busy, |why| why.outcome(&hop.host)),
                    );
                }
            }
        }
    }

    async fn named_by_dns(&self, domain: &Domain) -> Result<VecDeque<Hop>, Outcome> {
        let answer = self.ask(|port| ResolverMsg::Mx(domain.clone(), port)).await;
        let answer = answer.map_err(|why| why.map_or_else(busy, |why| why.outcome(domain)))?;
        let hosts = mx::hosts(domain, answer, &self.own, || self.random.bits());
        let hop = |host| Hop {
            host,
            port: self.config.port,
        };
        Ok(hosts.map_err(Outcome::Fail)?.into_iter().map(hop).collect())
    }

    /// Asks the resolver; `Err(None)`: it is not there, or busy.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(ractor::RpcReplyPort<Resolved<T>>) -> ResolverMsg,
    ) -> Result<T, Option<crate::contract::Unresolved>> {
        let limit = Duration::from_secs(ResolverMsg::ANSWER_SECONDS_MAX);
        match self.resolver.call(question, limit).await {
            Ok(answer) => answer.map_err(Some),
            Err(_) => Err(None),
        }
    }
}

impl Way {
    /// Tries an address again before all others.
    pub(super) fn again(&mut self, stop: Stop) {
        self.tried = self.tried.saturating_sub(1);
        self.addresses.push_front(stop);
    }

    /// Tries an address again before all others, in the clear.
    pub(super) fn again_in_the_clear(&mut self, stop: Stop) {
        self.again(Stop {
            in_the_clear: true,
            ..stop
        });
    }

    /// Tries an address again before all others, without chunks.
    pub(super) fn again_without_chunks(&mut self, stop: Stop) {
        self.again(Stop {
            without_chunks: true,
            ..stop
        });
    }

    /// Whether there is another host or address to try.
    pub(super) fn goes_on(&self) -> bool {
        self.tried < STOPS_MAX && !(self.addresses.is_empty() && self.hosts.is_empty())
    }
}

impl Stop {
    /// For people: the host and its address.
    pub(super) fn name(&self) -> String {
        match self.host.literal() {
            Some(_) => self.address.to_string(),
            None => format!("{} ({})", self.host, self.address),
        }
    }
}

/// Notes why a host was of no use. One that may be well tomorrow counts for more than one that
/// will never be: as long as there is one, nothing is bounced.
pub(super) fn blame(last: &mut Option<Outcome>, why: Outcome) {
    if !matches!((&*last, &why), (Some(Outcome::Defer(_)), Outcome::Fail(_))) {
        *last = Some(why);
    }
}

fn busy() -> Outcome {
    Outcome::Defer(Reply::new(
        451,
        Enhanced(4, 4, 3),
        "the resolver is restarting",
    ))
}

/// Addresses that are tried in one attempt: a domain with hundreds of dead ones must not keep a
/// delivery for hours (RFC 5321 §5.1 asks for two at least).
const STOPS_MAX: usize = 12;
