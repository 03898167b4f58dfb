//! A connection, and what it does for a session and against a peer.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "both ends of a connection run here"
)]

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use heronry_world::{
    connection::{Connection, Event, Limit, Options, Refused, Socket, Why},
    tls::{Certificates, ServerTls},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

/// A served connection, its events, and the client's end.
struct Pair {
    connection: Connection<u32>,
    events: UnboundedReceiver<Event>,
    client: TcpStream,
}

impl Pair {
    async fn new(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, served) = tokio::join!(client, listener.accept());
        let (connection, events) = serve(served.unwrap().0.try_into().unwrap(), options);
        Self {
            connection,
            events,
            client: client.unwrap(),
        }
    }

    async fn heard(&mut self) -> Event {
        self.events.recv().await.unwrap()
    }

    async fn octets(&mut self) -> Bytes {
        octets(&self.connection, &mut self.events).await
    }

    async fn read(&mut self, n: usize) -> Vec<u8> {
        let mut octets = vec![0; n];
        self.client.read_exact(&mut octets).await.unwrap();
        octets
    }
}

fn serve(socket: Socket, options: Options) -> (Connection<u32>, UnboundedReceiver<Event>) {
    let (ear, events) = unbounded_channel();
    let connection = Connection::start(socket, Arc::new(options), move |_, event| {
        let _ = ear.send(event);
    });
    (connection, events)
}

fn memory(options: Options) -> (Connection<u32>, UnboundedReceiver<Event>, DuplexStream) {
    let (client, served) = tokio::io::duplex(1024);
    let (connection, events) = serve(in_memory(served), options);
    (connection, events, client)
}

fn in_memory(pipe: DuplexStream) -> Socket {
    let somewhere: SocketAddr = "192.0.2.1:25".parse().unwrap();
    Socket::memory(pipe, somewhere, somewhere)
}

/// What the client says next.
async fn octets<C>(connection: &Connection<C>, events: &mut UnboundedReceiver<Event>) -> Bytes {
    assert_eq!(events.recv().await.unwrap(), Event::Octets);
    connection.hear()
}

fn tls(name: &str) -> (ServerTls, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::self_signed(folder.path(), &[name.to_owned()]).unwrap();
    (ServerTls::new(certificates).unwrap(), folder)
}

/// Options that begin with TLS.
fn secured(tls: ServerTls) -> Options {
    Options {
        tls: Some(tls),
        ..Options::default()
    }
}

/// A client that trusts the certificate in `folder` and nothing else.
fn connector(folder: &tempfile::TempDir) -> tokio_rustls::TlsConnector {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let root = CertificateDer::from_pem_file(folder.path().join("cert.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

fn name(name: &str) -> ServerName<'static> {
    name.to_owned().try_into().unwrap()
}

#[tokio::test]
async fn octets_go_both_ways_and_each_read_needs_leave() {
    let mut pair = Pair::new(Options::default()).await;
    pair.client.write_all(b"EHLO a\r\n").await.unwrap();
    pair.connection.write("220 hello\r\n".into()).await.unwrap();
    assert_eq!(pair.read(11).await, b"220 hello\r\n");
    assert!(pair.events.try_recv().is_err());
    pair.connection.read_on();
    assert_eq!(pair.octets().await, "EHLO a\r\n");
    pair.client.write_all(b"NOOP\r\n").await.unwrap();
    let replies = ["250-a\r\n", "250 b\r\n"].map(Bytes::from);
    pair.connection.say(replies).unwrap();
    assert_eq!(pair.read(14).await, b"250-a\r\n250 b\r\n");
    assert!(pair.events.try_recv().is_err());
    pair.connection.read_on();
    assert_eq!(pair.octets().await, "NOOP\r\n");
}

#[tokio::test]
async fn what_a_session_has_not_kept_is_heard_by_its_successor() {
    let mut pair = Pair::new(Options::default()).await;
    pair.client.write_all(b"EHLO a\r\n").await.unwrap();
    pair.connection.read_on();
    assert_eq!(pair.heard().await, Event::Octets);
    assert_eq!(pair.connection.take_over(), None);
    assert_eq!(pair.connection.hear(), "EHLO a\r\n", "the event was lost");
    assert_eq!(pair.connection.hear(), "", "once is enough");
    assert_eq!(pair.connection.take_over(), None);
    assert_eq!(pair.connection.hear(), "EHLO a\r\n", "so was the session");
    pair.connection.keep(1);
    assert_eq!(pair.connection.take_over(), Some(1));
    assert_eq!(pair.connection.hear(), "", "it is kept");
}

#[tokio::test]
async fn what_nobody_has_heard_is_neither_forgotten_nor_followed_by_more() {
    let mut pair = Pair::new(Options::default()).await;
    pair.client.write_all(b"EHLO a\r\n").await.unwrap();
    pair.connection.read_on();
    assert_eq!(pair.heard().await, Event::Octets);
    pair.client.write_all(b"NOOP\r\n").await.unwrap();
    pair.connection.keep(1); // about something else
    pair.connection.read_on();
    assert_eq!(pair.connection.hear(), "EHLO a\r\n");
    pair.connection.read_on();
    assert_eq!(pair.octets().await, "NOOP\r\n");
}

#[tokio::test]
async fn a_connection_knows_its_ends_and_keeps_a_checkpoint() {
    let pair = Pair::new(Options::default()).await;
    assert_eq!(pair.connection.peer(), pair.client.local_addr().unwrap());
    assert_eq!(pair.connection.local(), pair.client.peer_addr().unwrap());
    pair.connection.keep(6);
    assert!(pair.connection.amend(|kept| *kept += 1).is_some());
    assert_eq!(pair.connection.clone().take_over(), Some(7));
    assert_eq!(pair.connection, pair.connection.clone());
    assert_ne!(
        pair.connection,
        Pair::new(Options::default()).await.connection
    );
}

#[tokio::test]
async fn last_words_arrive_before_the_end_although_the_peer_talks_on() {
    let mut pair = Pair::new(Options::default()).await;
    pair.client.write_all(&[b'x'; 50_000]).await.unwrap();
    pair.connection.close_after("221 bye\r\n".into());
    assert_eq!(pair.heard().await, Event::Closed(Why::Ended));
    pair.client.write_all(&[b'x'; 50_000]).await.unwrap();
    let mut said = Vec::new();
    pair.client.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, b"221 bye\r\n");
    assert!(!pair.connection.is_open());
    assert_eq!(pair.connection.try_write("x".into()), Err(Refused::Gone));
}

#[tokio::test]
async fn the_peers_end_is_told_after_its_last_octets() {
    let mut pair = Pair::new(Options::default()).await;
    pair.client.write_all(b"QUIT\r\n").await.unwrap();
    pair.client.shutdown().await.unwrap();
    pair.connection.read_on();
    assert_eq!(pair.octets().await, "QUIT\r\n");
    pair.connection.write("221 bye\r\n".into()).await.unwrap();
    pair.connection.read_on();
    assert_eq!(pair.heard().await, Event::Closed(Why::Peer));
    assert_eq!(pair.read(9).await, b"221 bye\r\n");
}

#[tokio::test]
async fn a_reset_is_told_as_one_and_the_ear_is_let_go() {
    let Pair {
        connection,
        mut events,
        client,
    } = Pair::new(Options::default()).await;
    client.set_zero_linger().unwrap();
    connection.read_on();
    drop(client);
    assert_eq!(events.recv().await, Some(Event::Closed(Why::Reset)));
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
async fn a_connection_can_be_broken_off() {
    let mut pair = Pair::new(Options::default()).await;
    pair.connection.abort();
    assert_eq!(pair.heard().await, Event::Closed(Why::Ended));
    assert_eq!(pair.client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_writer_waits_for_a_slow_reader_and_nothing_is_lost() {
    let mut pair = Pair::new(Options::default()).await;
    let connection = pair.connection.clone();
    let writer = tokio::spawn(async move {
        for n in 0..400_u32 {
            let piece = Bytes::from(vec![n.to_le_bytes()[0]; 40_000]);
            connection.write(piece).await.unwrap();
            assert!(connection.queued() <= 256 * 1024);
        }
        connection.close_after(Bytes::new());
    });
    let mut said = Vec::new();
    pair.client.read_to_end(&mut said).await.unwrap();
    writer.await.unwrap();
    assert_eq!(said.len(), 400 * 40_000);
    let pieces = said.chunks(40_000).zip(0..400_u32);
    for (piece, n) in pieces {
        assert!(piece.iter().all(|&octet| octet == n.to_le_bytes()[0]));
    }
    assert_eq!(pair.heard().await, Event::Closed(Why::Ended));
}

#[tokio::test]
async fn who_was_refused_hears_of_room() {
    let options = Options {
        queue_octets: 1000,
        ..Options::default()
    };
    let (connection, mut events, mut client) = memory(options);
    connection.try_write(Bytes::from(vec![b'a'; 2000])).unwrap(); // 1024 fit into the pipe
    let more = Bytes::from(vec![b'b'; 500]);
    assert_eq!(connection.try_write(more.clone()), Err(Refused::Full(more)));
    client.read_exact(&mut [0; 2000]).await.unwrap();
    assert_eq!(events.recv().await.unwrap(), Event::Room);
    connection.try_write("more".into()).unwrap();
    client.read_exact(&mut [0; 4]).await.unwrap();
}

#[tokio::test]
async fn who_asks_on_and_on_and_takes_no_answer_is_not_listened_to() {
    let (client, served) = tokio::io::duplex(4096);
    let options = Options {
        queue_octets: 10_000,
        ..Options::default()
    };
    let connection =
        Connection::<()>::start(in_memory(served), Arc::new(options), |connection, event| {
            if event == Event::Octets {
                let _ = connection.say([connection.hear()]);
                connection.read_on();
            }
        });
    connection.read_on();
    let (mut from, mut to) = tokio::io::split(client);
    let asker = tokio::spawn(async move { to.write_all(&[b'x'; 100_000]).await });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        assert!(connection.queued() <= 10_000 + 4096);
    }
    assert!(connection.queued() > 0 && !asker.is_finished());
    from.read_exact(&mut vec![0; 100_000]).await.unwrap();
    asker.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_what_we_have_to_say_is_not_silent() {
    let (connection, mut events, mut client) = memory(Options::default());
    connection.set_idle(Duration::from_secs(60));
    connection.say([Bytes::from(vec![b'a'; 2000])]).unwrap();
    connection.read_on();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        client.read_exact(&mut [0; 100]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_once_and_ends_the_connection_if_nobody_says_goodbye() {
    let (connection, mut events, mut client) = memory(Options::default());
    connection.set_idle(Duration::from_secs(60));
    connection.read_on();
    assert_eq!(events.recv().await.unwrap(), Event::TimedOut(Limit::Idle));
    assert_eq!(events.recv().await.unwrap(), Event::Closed(Why::Idle));
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn goodbye_can_be_said_when_time_is_up() {
    let (connection, mut events, mut client) = memory(Options::default());
    connection.read_on();
    assert_eq!(connection.overdue(), None);
    assert_eq!(events.recv().await.unwrap(), Event::TimedOut(Limit::Idle));
    assert_eq!(connection.overdue(), Some(Limit::Idle));
    connection.close_after("421 too late\r\n".into());
    assert_eq!(events.recv().await.unwrap(), Event::Closed(Why::Ended));
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "421 too late\r\n");
}

#[tokio::test(start_paused = true)]
async fn silence_does_not_count_while_the_session_is_at_work() {
    let (connection, mut events, mut client) = memory(Options::default());
    client.write_all(b"DATA\r\n").await.unwrap();
    connection.read_on();
    assert_eq!(octets(&connection, &mut events).await, "DATA\r\n");
    tokio::time::sleep(Duration::from_secs(598)).await;
    assert!(events.try_recv().is_err());
    connection.read_on();
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert!(events.try_recv().is_err());
    assert_eq!(events.recv().await.unwrap(), Event::TimedOut(Limit::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (connection, mut events, _client) = memory(Options::default());
    connection
        .write(Bytes::from(vec![b'a'; 5000]))
        .await
        .unwrap();
    connection.read_on();
    assert_eq!(events.recv().await.unwrap(), Event::Closed(Why::Write));
    assert!(connection.write("x".into()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_ends_although_the_peer_is_busy() {
    let options = Options {
        lifetime: Some(Duration::from_secs(1000)),
        ..Options::default()
    };
    let (connection, mut events, mut client) = memory(options);
    let talker = tokio::spawn(async move {
        while client.write_all(b"NOOP\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(90)).await;
        }
    });
    loop {
        connection.read_on();
        match events.recv().await.unwrap() {
            Event::Octets => drop(connection.hear()),
            Event::TimedOut(limit) => break assert_eq!(limit, Limit::Lifetime),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events.recv().await.unwrap(), Event::Closed(Why::Lifetime));
    talker.await.unwrap();
}

#[tokio::test]
async fn tls_begins_after_what_was_said_in_the_clear() {
    let (tls, folder) = tls("mx.test");
    let mut pair = Pair::new(Options::default()).await;
    pair.connection
        .write("220 go ahead\r\n".into())
        .await
        .unwrap();
    pair.connection.start_tls(tls.clone()).unwrap();
    assert!(pair.connection.start_tls(tls).is_err());
    assert!(pair.connection.is_securing());
    assert_eq!(pair.read(14).await, b"220 go ahead\r\n");
    let Pair {
        connection,
        mut events,
        client,
    } = pair;
    let mut client = connector(&folder)
        .connect(name("mx.test"), client)
        .await
        .unwrap();
    let Event::Secured(info) = events.recv().await.unwrap() else {
        panic!("TLS comes first");
    };
    assert_eq!(
        (info.version, info.sni.as_deref()),
        ("TLSv1.3", Some("mx.test"))
    );
    assert!(info.cipher.starts_with("TLS_"), "{}", info.cipher);
    assert_eq!(connection.tls(), Some(info));
    assert!(!connection.is_securing());
    assert!(connection.channel_binding().is_some());

    client.write_all(b"EHLO b\r\n").await.unwrap();
    connection.read_on();
    assert_eq!(octets(&connection, &mut events).await, "EHLO b\r\n");
    connection.write("250 well\r\n".into()).await.unwrap();
    connection.close_after("221 bye\r\n".into());
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap(); // an error without close_notify
    assert_eq!(said, "250 well\r\n221 bye\r\n");
}

#[tokio::test]
async fn octets_that_come_with_the_end_of_the_handshake_are_not_left_lying() {
    let (tls, folder) = tls("mx.test");
    let mut pair = Pair::new(secured(tls)).await;
    let config = connector(&folder).config().clone();
    let mut session = rustls::ClientConnection::new(config, name("mx.test")).unwrap();
    let mut records = Vec::new();
    session.write_tls(&mut records).unwrap();
    pair.client.write_all(&records).await.unwrap();
    while session.is_handshaking() {
        let mut flight = [0; 4096];
        let n = pair.client.read(&mut flight).await.unwrap();
        session.read_tls(&mut &flight[..n]).unwrap();
        session.process_new_packets().unwrap();
    }
    session.writer().write_all(b"EHLO b\r\n").unwrap();
    records.clear();
    while session.wants_write() {
        session.write_tls(&mut records).unwrap();
    }
    pair.client.write_all(&records).await.unwrap();
    assert!(matches!(pair.heard().await, Event::Secured(_)));
    pair.connection.read_on();
    let said = tokio::time::timeout(Duration::from_secs(20), pair.octets()).await;
    assert_eq!(said.unwrap(), "EHLO b\r\n");
}

#[tokio::test]
async fn much_goes_through_tls_both_ways() {
    let (tls, folder) = tls("mx.test");
    let Pair {
        connection,
        mut events,
        client,
    } = Pair::new(secured(tls)).await;
    let client = connector(&folder)
        .connect(name("mx.test"), client)
        .await
        .unwrap();
    assert!(matches!(events.recv().await.unwrap(), Event::Secured(_)));
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (mut from, mut to) = tokio::io::split(client);
    let echo = async {
        let mut echoed = 0;
        while echoed < sent.len() {
            connection.read_on();
            match events.recv().await.unwrap() {
                Event::Octets => {
                    let octets = connection.hear();
                    echoed += octets.len();
                    connection.write(octets).await.unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    };
    let mut back = vec![0; sent.len()];
    let (wrote, read, ()) = tokio::join!(
        async {
            to.write_all(&sent).await?;
            to.flush().await
        },
        from.read_exact(&mut back),
        echo
    );
    wrote.and(read.map(|_| ())).unwrap();
    assert!(back == sent);
    to.write_all(b"QUIT").await.unwrap();
    to.shutdown().await.unwrap(); // TLS says its end, in the same breath
    connection.read_on();
    assert_eq!(octets(&connection, &mut events).await, "QUIT");
    connection.read_on();
    assert_eq!(events.recv().await.unwrap(), Event::Closed(Why::Peer));
}

#[tokio::test]
async fn what_is_no_tls_ends_the_handshake() {
    let (tls, _folder) = tls("mx.test");
    let mut pair = Pair::new(secured(tls)).await;
    pair.client.write_all(b"EHLO plain.test\r\n").await.unwrap();
    assert_eq!(pair.heard().await, Event::Closed(Why::Tls));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_comes_is_not_waited_for() {
    let (tls, _folder) = tls("mx.test");
    let (_connection, mut events, _client) = memory(secured(tls.clone()));
    assert_eq!(events.recv().await.unwrap(), Event::Closed(Why::Tls));

    let (connection, mut events, _client) = memory(secured(tls));
    connection.close_after("421 going down\r\n".into());
    assert_eq!(events.recv().await.unwrap(), Event::Closed(Why::Ended));
}

#[tokio::test]
async fn a_panic_in_the_ear_closes_the_socket() {
    let (mut client, served) = tokio::io::duplex(64);
    let connection =
        Connection::<()>::start(in_memory(served), Arc::default(), |_, _| panic!("deaf"));
    client.write_all(b"x").await.unwrap();
    connection.read_on();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert!(!connection.is_open());
}
