//! What sessions of every protocol do alike when their machine asks for it.

use std::{net::IpAddr, time::Duration};

use mail::Credentials;
use supervision::{Seat, waits};
use world::{
    connection::{Connection, Gone},
    tls::ServerTls,
};

use crate::contract::{LoginMsg, LoginRequest, LoginVerdict};

/// What the login room says of these credentials; busy when it does not say anything in time.
pub(super) async fn verdict(
    login: &Seat<LoginMsg>,
    credentials: Credentials,
    client: IpAddr,
) -> LoginVerdict {
    let request = LoginRequest {
        credentials,
        client,
    };
    let limit = Duration::from_secs(LoginMsg::ANSWER_SECONDS_MAX);
    let verdict = login.call(|port| LoginMsg::Verify(request, port), limit);
    waits(verdict).await.unwrap_or(LoginVerdict::Busy)
}

/// Begins TLS, unless it has been ordered already, maybe by a predecessor.
///
/// # Errors
/// [`Gone`] when the connection is closed, speaks TLS already, or there is no certificate: the client was
/// told to go on in TLS, so that nothing but an end is left.
pub(super) fn secure<C>(connection: &Connection<C>, tls: Option<&ServerTls>) -> Result<(), Gone> {
    if connection.is_securing() {
        return Ok(());
    }
    connection.start_tls(tls.ok_or(Gone)?.clone())
}
