//! From a plan to a house, and back.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use actors::contract::RouterMsg;
use store::{DiskStore, StoreError};
use supervision::{ExitCause, Live, blocking};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use world::{
    Clock, Random, SystemClock, SystemRandom,
    dns::Hickory,
    outbound::Internet,
    tls::{Certificates, ClientTls, ServerTls},
};

use super::{
    Parts, Plan, StartError,
    banner::banner,
    folder, furnish,
    manager::Manager,
    quiet::Quiet,
    reload::Reloader,
    signals::{Signal, Signals},
    stop::{self, Deadline},
};
use crate::{
    admin::{Recorder, Reload, Reloads, TreeView},
    allocator::keep_by,
    backup::Last,
    config::{Change, Config, LogFormat},
    doors::{self, Bound, Inherited},
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
    let inherited = Inherited::from_environment();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(keep_by)
        .build()
        .map_err(StartError::Runtime)?;
    let lived = runtime.block_on(live(plan, inherited));
    // What is still at work does not hold up the end: what had to be kept is kept.
    runtime.shutdown_background();
    lived
}

async fn live(plan: Plan, inherited: Inherited) -> Result<(), StartError> {
    // Before anything else, so that a stop is never missed.
    let mut signals = Signals::listen().map_err(StartError::Runtime)?;
    let (parts, store, asked) = tokio::select! {
        parts = parts(&plan, &inherited) => parts?,
        signal = signals.stop() => return stopped_early(signal),
    };
    let mut serving = Serving {
        asked,
        is_ill: false,
        manager: Manager::from_environment(),
        quiet: Quiet::since(Instant::now()),
        reloader: Reloader {
            file: plan.file.clone(),
            inherited,
        },
        signals,
    };
    match serving.serve(&plan, parts).await {
        Ok(Some(deadline)) => stop::close_store(store, deadline).await,
        Ok(None) => {} // a second signal: what was acknowledged is safe
        Err(error) => {
            stop::close_store(store, deadline(&plan.config)).await;
            return Err(error);
        }
    }
    Ok(())
}

fn deadline(config: &Config) -> Deadline {
    Deadline::within(Duration::from_secs(config.stop.seconds))
}

/// Who speaks to the house while it serves.
struct Serving {
    asked: mpsc::Receiver<Reload>,
    /// Whether the service manager was told last that something is not up.
    is_ill: bool,
    manager: Manager,
    quiet: Quiet,
    reloader: Reloader,
    signals: Signals,
}

impl Serving {
    /// The tree, from its start to its end; until when the store has to be closed. `None` if there
    /// is no time for that.
    async fn serve(&mut self, plan: &Plan, parts: Parts) -> Result<Option<Deadline>, StartError> {
        let mut house = tokio::select! {
            house = tree::start(parts.clone()) => house.map_err(StartError::Tree)?,
            signal = self.signals.stop() => {
                return stopped_early(signal).map(|()| Some(deadline(&plan.config)));
            }
        };
        parts.view.show(house.root.clone());
        announce(plan, &parts.sockets);
        self.manager.ready(up(&house));
        let mut pulse = tokio::time::interval(self.manager.pulse().unwrap_or(LOOK).min(LOOK));
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                cause = house.root.ended() => return Err(StartError::Tree(cause)),
                signal = self.signals.next() => match signal {
                    Signal::Reload => {
                        // Who sent it hears of the outcome in the log only.
                        let _ = self.reload(&mut house, &parts, "SIGHUP").await;
                    }
                    Signal::Stop(signal) => {
                        tracing::info!(signal, "stopping");
                        return self.stop(&house, &parts).await;
                    }
                },
                Some(asker) = self.asked.recv() => {
                    let outcome = self.reload(&mut house, &parts, "operator").await;
                    let _ = asker.send(outcome); // whoever asked may have left
                }
                _ = pulse.tick() => {
                    parts.recorder.tidy();
                    self.quiet.look(&parts.disk);
                    self.look(&mut house, &parts).await;
                }
            }
        }
    }

    /// The doors close first, the store last. A second signal ends the wait: nothing that was
    /// answered 250 needs it.
    async fn stop(&mut self, house: &House, parts: &Parts) -> Result<Option<Deadline>, StartError> {
        self.manager.stopping();
        let deadline = deadline(&parts.config.get());
        let cause = tokio::select! {
            cause = stop::stop(house, parts, deadline) => cause,
            signal = self.signals.stop() => {
                tracing::warn!(signal, "stopping at once");
                return Ok(None);
            }
        };
        match cause {
            Some(ExitCause::Normal | ExitCause::Drained) => tracing::info!("stopped"),
            Some(cause) => return Err(StartError::Tree(cause)),
            None => tracing::warn!("stopped before everything was at rest: the time is over"),
        }
        Ok(Some(deadline))
    }

    async fn reload(
        &mut self,
        house: &mut House,
        parts: &Parts,
        by: &str,
    ) -> Result<Vec<Change>, String> {
        self.manager.reloading();
        let outcome = self.reloader.reload(house, parts).await;
        match &outcome {
            Ok(changes) => {
                for change in changes {
                    tracing::info!(%change, "the configuration changes");
                }
                tracing::info!(
                    by,
                    changes = changes.len(),
                    "the configuration was read again"
                );
            }
            Err(why) => tracing::error!(by, %why, "{by} changes nothing: the configuration stays"),
        }
        self.manager.ready(up(house));
        outcome
    }

    /// Tells the service manager that the house lives, while it does.
    async fn look(&mut self, house: &mut House, parts: &Parts) {
        house.doors.look(&house.root).await;
        if self.manager.pulse().is_none() {
            return;
        }
        let outcome = alive(house, parts).await;
        // Another process would wait for the same disk, and keep nobody's connection.
        if outcome.is_ok() || !parts.disk.is_running() {
            self.manager.alive();
        }
        match outcome {
            Ok(()) if self.is_ill => self.manager.status(up(house)),
            Ok(()) => {}
            Err(ref why) => self.manager.status(format_args!("not ready: {why}")),
        }
        self.is_ill = outcome.is_err();
    }
}

/// Whether everything is up, and who moves the mail answers.
async fn alive(house: &House, parts: &Parts) -> Result<(), String> {
    parts.view.ready()?;
    let answer = house.seats.router.call(RouterMsg::Inspect, LOOK).await;
    answer
        .map(|_| ())
        .map_err(|error| format!("the router does not answer: {error}"))
}

fn up(house: &House) -> String {
    format!("up, {} doors for mail are open", house.doors.count())
}

fn stopped_early(signal: &str) -> Result<(), StartError> {
    tracing::info!(signal, "stopped before the house was up");
    Ok(())
}

/// What the tree is made of. The store comes last of what may be refused for good, and is closed
/// again if anything fails after it.
async fn parts(
    plan: &Plan,
    inherited: &Inherited,
) -> Result<(Parts, Arc<DiskStore>, mpsc::Receiver<Reload>), StartError> {
    let config = &plan.config;
    folder::prepare(&config.data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ground = Ground {
        dns: Arc::new(Hickory::new(&config.dns.servers)?),
        recorder: Recorder::install(&tree::metrics())?,
        sockets: Arc::new(match plan.demo {
            Some(demo) if demo.yields_ports => doors::bind_free(config)?,
            _ => doors::bind_all(config, inherited)?,
        }),
        clock: clock.clone(),
    };
    Last::show(Last::read(&config.data).as_ref());
    let store = Arc::new(open_store(config, &clock).await?);
    let (reloads, asked) = Reloads::new();
    match furnished(plan, ground, &store, reloads).await {
        Ok(parts) => Ok((parts, store, asked)),
        Err(error) => {
            stop::close_store(store, deadline(config)).await;
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
    reloads: Reloads,
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
        config: Live::new(config.clone()),
        config_file: plan.file.clone(),
        dial: Arc::new(Internet),
        disk: store.clone(),
        dns: ground.dns,
        leases: store.clone(),
        mail: store.clone(),
        random,
        recorder: ground.recorder,
        reloads,
        server_tls: Live::new(server_tls(config)?),
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
    let formats = store.formats().map_err(|source| trouble(config, source))?;
    if formats.written < formats.newest {
        tracing::info!(
            written = formats.written,
            newest = formats.newest,
            "the data folder is written as the version before can read it; heronry store \
             commit-format agrees to the newest format"
        );
    }
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

fn trouble(config: &Config, source: StoreError) -> StartError {
    StartError::Store {
        folder: config.data.clone(),
        source,
    }
}

/// What clients are shown; none without a certificate.
pub(super) fn server_tls(config: &Config) -> Result<Option<ServerTls>, StartError> {
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

/// How often the house is looked at, at least.
const LOOK: Duration = Duration::from_secs(1);
