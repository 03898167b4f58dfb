//! Health and metrics over HTTP.

use std::{future, io, net::TcpListener, sync::Arc};

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};

use supervision::Live;

use super::{Recorder, ServiceArgs, TreeView, service::Serving};

/// Serves `/metrics`, `/health/live` and `/health/ready` on a bound socket.
///
/// Live means that this process answers; ready, that the whole house is up. Neither asks for a
/// password: listen where only machines that may know are let in.
#[must_use]
pub fn http(socket: Live<Option<TcpListener>>, recorder: Recorder, view: TreeView) -> ServiceArgs {
    ServiceArgs {
        bind: Arc::new(move || {
            let router = router(recorder.clone(), view.clone());
            let socket = socket.get().as_ref().as_ref().map(TcpListener::try_clone);
            Box::pin(async move {
                match socket {
                    Some(socket) => serving(socket?, router),
                    None => Ok(Box::pin(future::pending()) as Serving), // the door is closed
                }
            })
        }),
    }
}

fn serving(socket: TcpListener, router: Router) -> io::Result<Serving> {
    socket.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(socket)?;
    Ok(Box::pin(async move { axum::serve(listener, router).await }))
}

fn router(recorder: Recorder, view: TreeView) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route(
            "/metrics",
            get({
                let view = view.clone();
                move || metrics(recorder, view)
            }),
        )
        .route("/health/ready", get(move || ready(view)))
}

async fn ready(view: TreeView) -> impl IntoResponse {
    match view.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        ),
    }
}

async fn metrics(recorder: Recorder, view: TreeView) -> impl IntoResponse {
    let head = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
    (head, recorder.render(&view))
}
