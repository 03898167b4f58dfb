//! The whole supervision tree, readable on one page.

use std::sync::Arc;

use supervision::{ChildSpec, ExitCause, Root, Seat, Strategy, Supervisor, actor};
use telemetry::Metric;

use crate::{
    admin::{self, Service, ServiceArgs, ServiceMsg},
    config::Protocol,
    daemon::Parts,
};

/// Every metric of the house.
#[must_use]
pub fn metrics() -> Vec<Metric> {
    actors::login::METRICS.to_vec()
}

/// Starts the house.
///
/// # Errors
/// What did not start, and why.
pub async fn start(parts: Parts) -> Result<Root, ExitCause> {
    Supervisor::new("heronry", Strategy::RestForOne)
        .child(ChildSpec::supervisor(doors(&parts)))
        .start()
        .await
}

fn doors(parts: &Parts) -> Supervisor {
    let mut doors = Supervisor::new("doors", Strategy::OneForOne);
    for listener in &parts.config.listener {
        if listener.protocol == Protocol::Http {
            let http = admin::http(listener.address, parts.recorder.clone(), parts.view.clone());
            doors = doors.child(service("http", http));
        }
    }
    doors
}

fn service(name: &'static str, args: ServiceArgs) -> ChildSpec {
    let seat: Seat<ServiceMsg> = Seat::new(name);
    ChildSpec::permanent(name, actor(|| Service, move || args.clone(), &seat))
}

#[allow(dead_code, reason = "for the operator's desk, once queues and mailboxes are in the tree")]
fn operators(parts: &Parts, desk: admin::Desk) -> ChildSpec {
    service("operators", admin::operator_socket(&parts.config.data, Arc::new(desk)))
}
