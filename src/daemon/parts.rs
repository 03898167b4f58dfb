//! What the supervision tree is made of.

use std::{path::PathBuf, sync::Arc};

use store::{
    DiskStore,
    port::{Accounts, Leases, MailStore, Spool},
};
use supervision::Live;
use world::{
    Clock, Random,
    dns::Dns,
    outbound::Dial,
    tls::{ClientTls, ServerTls},
};

use crate::{
    admin::{Recorder, Reloads, TreeView},
    config::Config,
    doors::Bound,
};

/// Everything that the tree is given. Clones are the same house.
#[derive(Clone)]
pub struct Parts {
    /// Domains, accounts and aliases.
    pub accounts: Arc<dyn Accounts>,
    /// TLS as a client of other systems.
    pub client_tls: ClientTls,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What the operator has set.
    pub config: Live<Config>,
    /// Where that was read; none for a demo.
    pub config_file: Option<PathBuf>,
    /// Who is asked for names.
    pub dns: Arc<dyn Dns>,
    /// The way out of this machine.
    pub dial: Arc<dyn Dial>,
    /// The store itself, for whoever opens it anew. The ports here are its handles.
    pub disk: Arc<DiskStore>,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// Mailboxes and their messages.
    pub mail: Arc<dyn MailStore>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// The numbers of this process, for the HTTP door.
    pub recorder: Recorder,
    /// Where an operator asks that the configuration be read again.
    pub reloads: Reloads,
    /// TLS as a server; none if there is no certificate.
    pub server_tls: Live<Option<ServerTls>>,
    /// The doors' sockets, bound.
    pub sockets: Arc<Vec<Bound>>,
    /// Messages that we have taken responsibility for.
    pub spool: Arc<dyn Spool>,
    /// Where the tree shows itself once it is whole.
    pub view: TreeView,
}
