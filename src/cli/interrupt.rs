//! Ctrl-C, for a command that has something to say before it ends.

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};

/// Whether the operator wants the command to come to its end. Asked a second time, it ends at once.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on SIGINT (Ctrl-C) and SIGTERM are heard instead of ending the process.
    pub(super) fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let mut signals = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        drop(guard);
        let has_come = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&has_come);
        let hear = move || {
            runtime.block_on(next(&mut signals));
            told.store(true, Ordering::Relaxed);
            runtime.block_on(next(&mut signals));
            process::exit(INTERRUPTED);
        };
        thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(hear)?;
        Ok(Self(has_come))
    }

    pub(super) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

async fn next((interrupt, terminate): &mut (Signal, Signal)) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// As shells say it of who was ended by SIGINT.
const INTERRUPTED: i32 = 130;
