//! `heronry demo`: a complete private system without configuration.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use actors::delivery::Hop;
use clap::Args;
use mail::Network;
use world::dns::DnsServer;

use super::Failure;
use crate::{
    config::{Config, Listener, Protocol, Tls},
    daemon,
};

/// Start a complete private system without configuration, on loopback only.
///
/// Domain example.test, accounts user0 to user9 with the password "secret". Without --relay and
/// --dns nothing is sent out: mail for other systems waits in its queue.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Where the mail is kept; the next start has it [default: a folder of the user's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many accounts there are: user0, user1, …
    #[arg(long, value_name = "N", default_value_t = 10)]
    accounts: u32,
    /// A listener's port is this plus its standard port [default: 2000, without what is taken]
    #[arg(long, value_name = "P",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(PORT_BASE_MAX)))]
    port_base: Option<u16>,
    /// Clients that may send to other systems without logging in; may be given more than once.
    #[arg(long, value_name = "CIDR")]
    trust: Vec<Network>,
    /// Send all mail for other systems to this hop.
    #[arg(long, value_name = "HOST:PORT")]
    relay: Option<Hop>,
    /// Ask this DNS server where other systems are.
    #[arg(long, value_name = "ADDR")]
    dns: Option<DnsServer>,
}

impl Demo {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (accounts, yields_ports) = (self.accounts, self.port_base.is_none());
        daemon::run(daemon::Plan::demo(self.config(), accounts, yields_ports))?;
        Ok(())
    }

    fn config(self) -> Config {
        let loopback: [Network; 2] = [
            Network::around(Ipv4Addr::LOCALHOST.into(), 8),
            Network::around(IpAddr::from(std::net::Ipv6Addr::LOCALHOST), 128),
        ];
        let port_base = self.port_base.unwrap_or(PORT_BASE);
        let listener = |protocol: Protocol| Listener {
            protocol,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port_base + protocol.port())),
        };
        let domain: mail::Domain = daemon::DEMO_DOMAIN
            .parse()
            .expect("the demo's domain is a domain");
        let mut config = Config {
            hostname: daemon::DEMO_HOSTNAME
                .parse()
                .expect("the demo's name is a domain"),
            data: self.data.unwrap_or_else(default_folder),
            domains: vec![domain],
            trusted: self.trust,
            login_without_tls: loopback.to_vec(),
            listener: Protocol::ALL
                .iter()
                .map(|&protocol| listener(protocol))
                .collect(),
            tls: Tls {
                self_signed: true,
                ..Tls::default()
            },
            ..Config::default()
        };
        // RFC 5321 §4.5.1 wants a postmaster in every domain.
        if self.accounts > 0 {
            config.address.postmaster = Some(daemon::demo_account(0));
        }
        config.delivery.dns = self.dns.is_some();
        config.delivery.relay = self.relay;
        config.dns.servers = self.dns.into_iter().collect();
        // Everybody here is the same person: one network must not be told from the others.
        let connections = &mut config.limits.connections;
        connections.connections_per_network_max = connections.connections_max;
        config.login.refusal_first_milliseconds = REFUSAL_FIRST_MILLISECONDS;
        config.login.refusal_longest_milliseconds = REFUSAL_LONGEST_MILLISECONDS;
        config
    }
}

/// Where a demo keeps its mail if nobody says otherwise.
pub(super) fn default_folder() -> PathBuf {
    let own = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    own("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| own("HOME").map(|home| home.join(".local/share")))
        .map_or_else(
            || PathBuf::from("heronry-demo"),
            |base| base.join("heronry/demo"),
        )
}

/// Where a demo's ports begin if nobody says otherwise.
const PORT_BASE: u16 = 2000;

/// The highest standard port is 995.
const PORT_BASE_MAX: u16 = u16::MAX - 995;

/// Whoever tries the demo out types a wrong password to see what happens, not to break in.
const REFUSAL_FIRST_MILLISECONDS: u64 = 100;
const REFUSAL_LONGEST_MILLISECONDS: u64 = 1000;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        demo: Demo,
    }

    fn config(words: &[&str]) -> Config {
        let words = std::iter::once(&"demo").chain(words);
        Words::try_parse_from(words)
            .map(|words| words.demo.config())
            .unwrap_or_default()
    }

    #[test]
    fn a_listener_is_at_the_base_plus_its_standard_port() {
        let config = config(&["--data", "x", "--port-base", "4000"]);
        let port = |protocol| {
            let listener = config
                .listener
                .iter()
                .find(|l| l.protocol == protocol)
                .unwrap();
            (listener.address.ip().is_loopback(), listener.address.port())
        };
        assert_eq!(port(Protocol::Smtp), (true, 4025));
        assert_eq!(port(Protocol::Pop3s), (true, 4995));
        assert_eq!(port(Protocol::Http), (true, 4080));
    }

    #[test]
    fn nothing_is_sent_out_unless_a_relay_or_a_dns_server_is_named() {
        let sends = |words: &[&str]| !config(words).holds_remote_mail();
        assert!(!sends(&["--data", "x"]));
        assert!(sends(&["--data", "x", "--relay", "127.0.0.1:2525"]));
        assert!(sends(&["--data", "x", "--dns", "127.0.0.1:5353"]));
    }

    #[test]
    fn a_port_base_beyond_the_last_port_is_refused() {
        let words = ["demo", "--port-base", "64541"];
        assert!(Words::try_parse_from(words).is_err());
    }
}
