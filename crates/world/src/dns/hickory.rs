//! The real DNS: asks the machine's servers, or the ones that the operator names.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
};
use mail::Domain;

use super::{Asking, Dns, DnsServer, Found, Missing, MxRecord, Question, Records, Trouble};

/// Asks DNS servers over UDP and TCP. It keeps no answers.
pub struct Hickory(TokioResolver);

/// The servers cannot be set up. Fault of the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsSetting {
    /// The machine's own setting cannot be read.
    #[error(
        "cannot read which DNS servers this machine uses; name one, as ADDRESS or ADDRESS:PORT"
    )]
    Machine(#[source] NetError),
    /// The resolver refuses the setting.
    #[error("cannot set up DNS")]
    Setting(#[source] NetError),
}

impl Hickory {
    /// Asks these servers, or those of this machine if there are none.
    ///
    /// # Errors
    /// As [`with_servers`](Self::with_servers) and [`of_this_machine`](Self::of_this_machine).
    pub fn new(servers: &[DnsServer]) -> Result<Self, DnsSetting> {
        if servers.is_empty() {
            return Self::of_this_machine();
        }
        Self::with_servers(servers)
    }

    /// Asks these servers.
    ///
    /// # Errors
    /// [`DnsSetting::Setting`] when they cannot be used.
    pub fn with_servers(servers: &[DnsServer]) -> Result<Self, DnsSetting> {
        let servers = servers.iter().map(|server| {
            let at = |mut connection: ConnectionConfig| {
                connection.port = server.0.port();
                connection
            };
            let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
            NameServerConfig::new(server.0.ip(), true, connections)
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        Self::build(config, ResolverOpts::default(), ResolveHosts::Never)
    }

    /// Asks the servers of this machine (`/etc/resolv.conf`), after its table of hosts.
    ///
    /// # Errors
    /// [`DnsSetting::Machine`] when that file cannot be read.
    pub fn of_this_machine() -> Result<Self, DnsSetting> {
        let (config, options) =
            hickory_resolver::system_conf::read_system_conf().map_err(DnsSetting::Machine)?;
        Self::build(config, options, ResolveHosts::Always)
    }

    fn build(
        config: ResolverConfig,
        mut options: ResolverOpts,
        hosts: ResolveHosts,
    ) -> Result<Self, DnsSetting> {
        options.cache_size = 0; // the resolver actor keeps answers, and knows for how long
        options.use_hosts_file = hosts;
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.edns0 = true;
        options.preserve_intermediates = true; // the TTL of an alias counts, too
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map(Self)
            .map_err(DnsSetting::Setting)
    }

    async fn look_up(&self, question: Question) -> Result<Found, Missing> {
        let (name, kind) = match &question {
            Question::Mx(name) => (absolute(name)?, RecordType::MX),
            Question::Ptr(address) => (Name::from(*address), RecordType::PTR),
            Question::Txt(name) => (absolute(name)?, RecordType::TXT),
            Question::V4(name) => (absolute(name)?, RecordType::A),
            Question::V6(name) => (absolute(name)?, RecordType::AAAA),
        };
        let lookup = self.0.lookup(name, kind).await.map_err(missing)?;
        let ttl = lookup.answers().iter().map(|record| record.ttl).min();
        let ttl = Duration::from_secs(ttl.unwrap_or_default().into());
        let records = records(&question, &lookup);
        let any = match &records {
            Records::Mx(all) => !all.is_empty(),
            Records::Ptr(all) => !all.is_empty(),
            Records::Txt(all) => !all.is_empty(),
            Records::V4(all) => !all.is_empty(),
            Records::V6(all) => !all.is_empty(),
        };
        if any {
            return Ok(Found { records, ttl });
        }
        let of_kind = |data: &RData| data.record_type() == kind;
        if lookup.answers().iter().any(|record| of_kind(&record.data)) {
            return Err(Trouble::Malformed.into()); // there are some, and none is usable
        }
        Err(Missing::NoData { ttl: None })
    }
}

impl Dns for Hickory {
    fn ask(&self, question: Question) -> Asking<'_> {
        Box::pin(self.look_up(question))
    }
}

impl fmt::Debug for Hickory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hickory")
    }
}

/// The records of the kind that was asked for; what is no name is left out.
fn records(question: &Question, lookup: &Lookup) -> Records {
    let data = lookup.answers().iter().map(|record| &record.data);
    match question {
        Question::Mx(_) => Records::Mx(data.filter_map(exchanger).collect()),
        Question::Ptr(_) => Records::Ptr(
            data.filter_map(|data| match data {
                RData::PTR(name) => domain(&name.0),
                _ => None,
            })
            .collect(),
        ),
        Question::Txt(_) => Records::Txt(
            data.filter_map(|data| match data {
                RData::TXT(text) => {
                    Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned())
                }
                _ => None,
            })
            .collect(),
        ),
        Question::V4(_) => Records::V4(
            data.filter_map(|data| match data {
                RData::A(address) => Some(address.0),
                _ => None,
            })
            .collect(),
        ),
        Question::V6(_) => Records::V6(
            data.filter_map(|data| match data {
                RData::AAAA(address) => Some(address.0),
                _ => None,
            })
            .collect(),
        ),
    }
}

fn exchanger(data: &RData) -> Option<MxRecord> {
    let RData::MX(mx) = data else {
        return None;
    };
    let host = if mx.exchange.is_root() {
        None
    } else {
        Some(domain(&mx.exchange)?)
    };
    Some(MxRecord {
        preference: mx.preference,
        host,
    })
}

fn domain(name: &Name) -> Option<Domain> {
    Domain::from_str(&name.to_ascii()).ok()
}

/// A name from the root on: no search list is tried.
fn absolute(domain: &Domain) -> Result<Name, Missing> {
    if domain.literal().is_some() || domain.as_str().parse::<IpAddr>().is_ok() {
        return Err(Missing::NoName { ttl: None });
    }
    let mut name = Name::from_ascii(domain.as_str()).map_err(|_| Missing::NoName { ttl: None })?;
    name.set_fqdn(true);
    Ok(name)
}

fn missing(error: NetError) -> Missing {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(nothing)) => {
            let ttl = nothing
                .negative_ttl
                .map(|ttl| Duration::from_secs(ttl.into()));
            match nothing.response_code {
                ResponseCode::NXDomain => Missing::NoName { ttl },
                ResponseCode::NoError => Missing::NoData { ttl },
                _ => Trouble::Server.into(),
            }
        }
        NetError::Dns(_) => Trouble::Server.into(),
        NetError::Busy => Trouble::Busy.into(),
        NetError::Timeout => Trouble::TimedOut.into(),
        NetError::Io(_) | NetError::NoConnections => Trouble::Unreachable.into(),
        _ => Trouble::Malformed.into(),
    }
}

/// For one try at one server.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Tries after the first one.
const ATTEMPTS: usize = 2;
