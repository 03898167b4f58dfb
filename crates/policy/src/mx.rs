//! Where the mail of a remote domain goes: which hosts in which order, which addresses of each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mail::{Domain, Enhanced, Reply};

/// One MX record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mx {
    /// The lower, the sooner.
    pub preference: u16,
    /// The host; `None` is the root, `.`: the domain takes no mail (RFC 7505 §3).
    pub host: Option<Domain>,
}

/// The hosts to try, in order, for a domain whose MX records are `answer` (empty: it has none, and
/// is its own host, RFC 5321 §5.1). `own` are the names of this system; `random` yields random
/// numbers, for a fair choice among equals.
///
/// # Errors
/// The reply with which every recipient of the domain fails: it takes no mail, or what is to be
/// tried is only ourselves.
pub fn hosts(
    domain: &Domain,
    mut answer: Vec<Mx>,
    own: &[Domain],
    mut random: impl FnMut() -> u64,
) -> Result<Vec<Domain>, Reply> {
    if answer.is_empty() {
        let host = Some(domain.clone());
        answer.push(Mx {
            preference: 0,
            host,
        });
    } else if answer.iter().all(|mx| mx.host.is_none()) {
        // RFC 7504 §4, RFC 7505 §4.1
        let text = format!("{domain} accepts no mail (null MX)");
        return Err(Reply::new(556, Enhanced(5, 1, 10), text));
    }
    answer.retain(|mx| mx.host.is_some());
    shuffle(&mut answer, &mut random);
    answer.sort_by_key(|mx| mx.preference);
    // Hosts as far away as we are, or farther, would send it to us again (RFC 5321 §5.1).
    let is_own = |mx: &&Mx| mx.host.as_ref().is_some_and(|host| own.contains(host));
    if let Some(nearest) = answer.iter().find(is_own).map(|mx| mx.preference) {
        answer.retain(|mx| mx.preference < nearest);
    }
    let mut hosts: Vec<Domain> = Vec::new();
    for host in answer.into_iter().filter_map(|mx| mx.host) {
        if !hosts.contains(&host) && hosts.len() < HOSTS_MAX {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        let text = format!("mail for {domain} loops back to this system");
        return Err(Reply::new(554, Enhanced(5, 4, 6), text));
    }
    Ok(hosts)
}

/// The addresses of a host in the order of trying: IPv6 and IPv4 in turn, IPv6 first, so that a
/// broken network of one kind costs one attempt (RFC 8305 §4).
#[must_use]
pub fn addresses(v6: &[Ipv6Addr], v4: &[Ipv4Addr]) -> Vec<IpAddr> {
    let longer = v6.len().max(v4.len());
    (0..longer)
        .flat_map(|at| {
            let v6 = v6.get(at).copied().map(IpAddr::V6);
            let v4 = v4.get(at).copied().map(IpAddr::V4);
            v6.into_iter().chain(v4)
        })
        .take(ADDRESSES_MAX)
        .collect()
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], random: &mut impl FnMut() -> u64) {
    for last in (1..items.len()).rev() {
        let chosen = random() % (last as u64 + 1);
        items.swap(last, chosen as usize);
    }
}

/// RFC 5321 §5.1 asks for two at least; nobody needs more than this, and an answer may have
/// hundreds.
const HOSTS_MAX: usize = 16;
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Records, own names, what is tried.
    type Case = (
        &'static [(u16, &'static str)],
        &'static [&'static str],
        Result<&'static str, &'static str>,
    );

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    fn answer(records: &[(u16, &str)]) -> Vec<Mx> {
        let mx = |&(preference, host): &(u16, &str)| Mx {
            preference,
            host: (host != ".").then(|| domain(host)),
        };
        records.iter().map(mx).collect()
    }

    fn tried(records: &[(u16, &str)], own: &[&str]) -> Result<String, String> {
        let own: Vec<_> = own.iter().map(|name| domain(name)).collect();
        let hosts = hosts(&domain("d.test"), answer(records), &own, || 0);
        let names = |hosts: Vec<Domain>| {
            hosts
                .iter()
                .map(Domain::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        };
        hosts
            .map(names)
            .map_err(|reply| format!("{} {}", reply.code(), reply.enhanced().unwrap()))
    }

    #[test]
    fn hosts_are_tried_by_preference_and_never_ourselves() {
        let cases: [Case; 9] = [
            (&[(20, "b.test"), (10, "a.test")], &[], Ok("a.test b.test")),
            (&[], &[], Ok("d.test")),
            (&[], &["d.test"], Err("554 5.4.6")),
            (&[(0, ".")], &[], Err("556 5.1.10")),
            (&[(0, "."), (10, "a.test")], &[], Ok("a.test")),
            (
                &[
                    (10, "a.test"),
                    (20, "me.test"),
                    (20, "b.test"),
                    (30, "c.test"),
                ],
                &["me.test"],
                Ok("a.test"),
            ),
            (
                &[(10, "me.test"), (10, "a.test")],
                &["me.test"],
                Err("554 5.4.6"),
            ),
            (&[(10, "a.test"), (20, "a.test")], &[], Ok("a.test")),
            (
                &[(30, "me.test"), (20, "b.test"), (10, "a.test")],
                &["other.test", "me.test"],
                Ok("a.test b.test"),
            ),
        ];
        for (records, own, expected) in cases {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(tried(records, own), expected, "{records:?}");
        }
    }

    #[test]
    fn equals_take_turns() {
        let mut seed = 1_u64;
        let mut firsts = [0; 3];
        for _ in 0..3000 {
            let random = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed >> 33
            };
            let records = answer(&[(5, "a.test"), (5, "b.test"), (5, "c.test"), (9, "z.test")]);
            let hosts = hosts(&domain("d.test"), records, &[], random).unwrap();
            assert_eq!(hosts[3].as_str(), "z.test");
            firsts[usize::from(hosts[0].as_str().as_bytes()[0] - b'a')] += 1;
        }
        assert!(
            firsts.iter().all(|&n| (800..1200).contains(&n)),
            "{firsts:?}"
        );
    }

    #[test]
    fn addresses_take_turns_and_ipv6_begins() {
        let v6 = ["2001:db8::1".parse().unwrap()];
        let v4 = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        let shown: Vec<_> = addresses(&v6, &v4)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    }
}
