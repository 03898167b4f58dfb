//! From a plan to a house, and back.

use std::{
    io::{self, Write},
    sync::Arc,
};

use store::{DiskStore, StoreError};
use supervision::{ExitCause, blocking};
use world::{
    Clock, Random, SystemClock, SystemRandom,
    dns::Hickory,
    outbound::Internet,
    tls::{Certificates, ClientTls, ServerTls},
};

use super::{Parts, Plan, StartError, banner::banner, folder, furnish, signals::Signals};
use crate::{
    admin::{Recorder, TreeView},
    config::{Config, LogFormat},
    doors::{self, Bound},
    tree::{self, House},
};

/// Brings the house up, and returns when it is down again.
///
/// # Errors
/// [`StartError`]: it did not come up, or one part failed so often that the house gave up.
pub fn run(plan: Plan) -> Result<(), StartError> {
    // Whatever is written from here on is nobody else's: mail, hashes, keys, the socket.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    set_up_logging(&plan)?;
    supervision::install_panic_hook();
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    runtime.block_on(live(plan))
}

async fn live(plan: Plan) -> Result<(), StartError> {
    // Before anything else, so that a stop is never missed.
    let mut signals = Signals::listen().map_err(StartError::Runtime)?;
    let (parts, store) = tokio::select! {
        parts = parts(&plan) => parts?,
        signal = signals.next() => return stopped_early(signal),
    };
    let lived = serve(&plan, parts, &mut signals).await;
    close_store(store).await;
    lived
}

/// The tree, from its start to its end.
async fn serve(plan: &Plan, parts: Parts, signals: &mut Signals) -> Result<(), StartError> {
    let house = tokio::select! {
        house = tree::start(parts.clone()) => house.map_err(StartError::Tree)?,
        signal = signals.next() => return stopped_early(signal),
    };
    parts.view.show(house.root.clone());
    announce(plan, &parts.sockets);
    let ended = tokio::select! {
        cause = house.root.ended() => Some(cause),
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            None
        }
    };
    match ended {
        Some(cause) => Err(StartError::Tree(cause)),
        None => stop(&house, signals).await,
    }
}

/// The doors close first, the store last. A second signal ends the wait: nothing that was
/// answered 250 needs it.
async fn stop(house: &House, signals: &mut Signals) -> Result<(), StartError> {
    let cause = tokio::select! {
        cause = house.stop(GOODBYE) => cause,
        signal = signals.next() => {
            tracing::warn!(signal, "stopping at once");
            return Ok(());
        }
    };
    match cause {
        ExitCause::Normal | ExitCause::Drained => {
            tracing::info!("stopped");
            Ok(())
        }
        cause => Err(StartError::Tree(cause)),
    }
}

fn stopped_early(signal: &str) -> Result<(), StartError> {
    tracing::info!(signal, "stopped before the house was up");
    Ok(())
}

/// What the tree is made of. The store comes last of what may be refused for good, and is closed
/// again if anything fails after it.
async fn parts(plan: &Plan) -> Result<(Parts, Arc<DiskStore>), StartError> {
    let config = &plan.config;
    folder::prepare(&config.data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ground = Ground {
        dns: Arc::new(Hickory::new(&config.dns.servers)?),
        recorder: Recorder::install(&tree::metrics())?,
        sockets: Arc::new(match plan.demo {
            Some(demo) if demo.yields_ports => doors::bind_free(config)?,
            _ => doors::bind_all(config)?,
        }),
        clock: clock.clone(),
    };
    let store = Arc::new(open_store(config, &clock).await?);
    match furnished(plan, ground, &store).await {
        Ok(parts) => Ok((parts, store)),
        Err(error) => {
            close_store(store).await;
            Err(error)
        }
    }
}

/// What is there before the store is open.
struct Ground {
    clock: Arc<dyn Clock>,
    dns: Arc<Hickory>,
    recorder: Recorder,
    sockets: Arc<Vec<Bound>>,
}

async fn furnished(
    plan: &Plan,
    ground: Ground,
    store: &Arc<DiskStore>,
) -> Result<Parts, StartError> {
    let config = &plan.config;
    let store = Arc::clone(store);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    furnish::domains(&*store, &*store, &config.domains)
        .await
        .map_err(|source| trouble(config, source))?;
    if let Some(demo) = plan.demo {
        furnish::demo(&*store, &*store, &*random, demo)
            .await
            .map_err(|source| trouble(config, source))?;
    }
    Ok(Parts {
        accounts: store.clone(),
        client_tls: ClientTls::new(&[])?,
        clock: ground.clock,
        config: Arc::new(config.clone()),
        dial: Arc::new(Internet),
        dns: ground.dns,
        leases: store.clone(),
        mail: store.clone(),
        random,
        recorder: ground.recorder,
        server_tls: server_tls(config)?,
        sockets: ground.sockets,
        spool: store,
        view: TreeView::default(),
    })
}

/// Opens the store off the runtime's threads: after a crash it reads for a while.
async fn open_store(config: &Config, clock: &Arc<dyn Clock>) -> Result<DiskStore, StartError> {
    let (settings, clock) = (config.store(), Arc::clone(clock));
    let open = move || DiskStore::open(settings, Arc::new(move || clock.now()));
    let opened = blocking(open).await.map_err(StartError::Tree)?;
    let store = opened.map_err(|source| trouble(config, source))?;
    report(store.opened());
    Ok(store)
}

fn report(opened: &store::Opened) {
    for damage in &opened.damage {
        tracing::error!(%damage, "the store is damaged; the rest is served");
    }
    tracing::info!(
        clean = opened.clean,
        replayed_frames = opened.replayed_frames,
        rebuilt = ?opened.rebuilt,
        torn_octets = opened.torn_octets,
        seconds = opened.took.as_secs_f64(),
        "the store is open"
    );
}

/// What cannot be put in order now, the next start puts in order.
async fn close_store(store: Arc<DiskStore>) {
    match blocking(move || store.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the store was not closed in order"),
        Err(cause) => tracing::warn!(%cause, "the store was not closed in order"),
    }
}

fn trouble(config: &Config, source: StoreError) -> StartError {
    StartError::Store {
        folder: config.data.clone(),
        source,
    }
}

fn server_tls(config: &Config) -> Result<Option<ServerTls>, StartError> {
    let certificates = match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => {
            Certificates::read(&[(certificate.clone(), key.clone())])?
        }
        _ if config.tls.self_signed => {
            let mut names = vec![config.hostname.to_string()];
            for name in ["localhost", "127.0.0.1", "::1"] {
                if names[0] != name {
                    names.push(name.to_owned());
                }
            }
            Certificates::self_signed(&config.data.join("tls"), &names)?
        }
        _ => return Ok(None),
    };
    Ok(Some(ServerTls::new(certificates)?))
}

fn set_up_logging(plan: &Plan) -> Result<(), StartError> {
    let format = match plan.config.log.format {
        LogFormat::Auto => telemetry::Format::Auto,
        LogFormat::Json => telemetry::Format::Json,
        LogFormat::Text => telemetry::Format::Text,
    };
    Ok(telemetry::set_up(format, &plan.config.log.filter)?)
}

/// A connection is a descriptor: as many as the system lets us have.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, limit = before, "cannot raise the limit of open files");
    }
}

fn announce(plan: &Plan, sockets: &[Bound]) {
    let Some(demo) = plan.demo else {
        let doors = sockets.len();
        tracing::info!(hostname = %plan.config.hostname, doors, "up");
        return;
    };
    let open: Vec<_> = sockets.iter().map(|bound| bound.listener).collect();
    let text = banner(&plan.config, demo, &open);
    // Nobody may be reading: that is no reason to go down again.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// How long clients have to hear that the house is closing.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(5);
