//! A connection to another system: limits, TLS with and without trust, and the peer's end.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "both ends of a connection run here"
)]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::BytesMut;
use heronry_world::{
    connection::{Connection, Event, Options, Socket},
    listen::Door,
    outbound::{Dial, Internet, Outbound, OutboundError},
    tls::{Certificates, ClientTls, ServerTls, Trust},
};
use mail::Domain;

const LIMIT: Duration = Duration::from_secs(10);

/// A server that begins TLS at once and sends back what it hears.
async fn echo(folder: &Path, name: &str) -> SocketAddr {
    let certificates = Certificates::self_signed(folder, &[name.to_owned()]).unwrap();
    let options = Arc::new(Options {
        tls: Some(ServerTls::new(certificates).unwrap()),
        ..Options::default()
    });
    let door = Door::open("127.0.0.1:0".parse().unwrap(), 16).unwrap();
    let address = door.local();
    tokio::spawn(async move {
        loop {
            let options = Arc::clone(&options);
            Connection::<()>::start(door.accept().await, options, |connection, event| {
                if event == Event::Octets {
                    connection.say([connection.hear()]).unwrap();
                }
                connection.read_on();
            });
        }
    });
    address
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

/// What the client finds wrong with the certificate.
async fn objection(
    to: SocketAddr,
    tls: &ClientTls,
    name: &str,
    trust: Trust,
) -> Result<Option<Arc<str>>, OutboundError> {
    let mut out = Internet.dial(to, None, LIMIT).await.unwrap();
    let info = out
        .start_tls(tls, &domain(name), trust, LIMIT)
        .await?
        .clone();
    out.write(b"NOOP\r\n", LIMIT).await?;
    let mut heard = BytesMut::new();
    while heard.len() < 6 {
        out.read(&mut heard, LIMIT).await?;
    }
    assert_eq!((&heard[..], info.version), (&b"NOOP\r\n"[..], "TLSv1.3"));
    out.close(LIMIT).await;
    Ok(info.unverified)
}

#[tokio::test]
async fn whoever_answers_is_spoken_to_and_what_is_wrong_with_it_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let address = echo(folder.path(), "mx.test").await;
    let stranger = ClientTls::new(&[]).unwrap();
    let wrong = objection(address, &stranger, "mx.test", Trust::Opportunistic)
        .await
        .unwrap();
    assert!(wrong.is_some());
    let friend = ClientTls::new(&[folder.path().join("cert.pem")]).unwrap();
    let fine = objection(address, &friend, "mx.test", Trust::Opportunistic)
        .await
        .unwrap();
    assert_eq!(fine, None);
    let other = objection(address, &friend, "mx.other", Trust::Opportunistic)
        .await
        .unwrap();
    assert!(other.is_some());
}

#[tokio::test]
async fn a_server_that_is_met_again_takes_the_session_up_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let address = echo(folder.path(), "mx.test").await;
    let tls = ClientTls::new(&[]).unwrap();
    for resumed in [false, true] {
        let mut out = Internet.dial(address, None, LIMIT).await.unwrap();
        let name = domain("mx.test");
        let info = out.start_tls(&tls, &name, Trust::Opportunistic, LIMIT);
        let info = info.await.unwrap();
        assert_eq!(info.resumed, resumed);
        assert!(info.unverified.is_some(), "it is still nobody's friend");
        // What it needs to be met again comes with its first answer (RFC 8446 §4.6.1).
        out.write(b"x", LIMIT).await.unwrap();
        out.read(&mut BytesMut::new(), LIMIT).await.unwrap();
        out.close(LIMIT).await;
    }
}

#[tokio::test]
async fn only_the_right_server_is_spoken_to_when_that_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let address = echo(folder.path(), "mx.test").await;
    let friend = ClientTls::new(&[folder.path().join("cert.pem")]).unwrap();
    assert!(
        objection(address, &friend, "mx.test", Trust::Required)
            .await
            .unwrap()
            .is_none()
    );
    let refused = objection(address, &friend, "mx.other", Trust::Required).await;
    assert!(matches!(refused, Err(OutboundError::Tls(_))), "{refused:?}");
    let stranger = ClientTls::new(&[]).unwrap();
    let refused = objection(address, &stranger, "mx.test", Trust::Required).await;
    assert!(matches!(refused, Err(OutboundError::Tls(_))), "{refused:?}");
}

#[tokio::test]
async fn a_closed_port_is_refused_and_a_closed_connection_ends() {
    let door = Door::open("127.0.0.1:0".parse().unwrap(), 16).unwrap();
    let address = door.local();
    let from = Some("127.0.0.2".parse().unwrap());
    let mut out = Outbound::connect(address, from, LIMIT).await.unwrap();
    assert_eq!(Some(out.local().ip()), from);
    let socket: Socket = door.accept().await;
    assert_eq!(socket.peer(), out.local());
    drop((socket, door));
    let end = out.read(&mut BytesMut::new(), LIMIT).await;
    assert!(matches!(end, Err(OutboundError::Closed)));
    let refused = Outbound::connect(address, None, LIMIT).await.unwrap_err();
    assert_eq!(refused.to_string(), "connection refused");
}

#[tokio::test(start_paused = true)]
async fn no_step_lasts_longer_than_its_limit() {
    let (near, _far) = tokio::io::duplex(64);
    let somewhere: SocketAddr = "192.0.2.1:25".parse().unwrap();
    let mut out = Outbound::memory(near, somewhere, somewhere);
    let late = out.read(&mut BytesMut::new(), LIMIT).await;
    assert!(matches!(late, Err(OutboundError::TimedOut(limit)) if limit == LIMIT));
    assert!(matches!(
        out.write(&[0; 100], LIMIT).await,
        Err(OutboundError::TimedOut(_))
    ));
    let tls = ClientTls::new(&[]).unwrap();
    let late = out
        .start_tls(&tls, &domain("mx.test"), Trust::Opportunistic, LIMIT)
        .await;
    assert!(matches!(late, Err(OutboundError::TimedOut(_))));
    assert!(matches!(
        out.write(b"x", LIMIT).await,
        Err(OutboundError::Closed)
    ));
}
