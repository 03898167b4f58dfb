//! A peer that answers as its script says.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use world::{
    Switchboard,
    connection::{Connection, Event, Socket},
};

/// A line that a peer has heard: the number of the connection, from 0, and the command; a whole
/// message is a single dot.
pub(crate) type Heard = (usize, String);

/// What a script says to a command on a connection: a reply without its end; `-` before it says
/// that the peer closes behind it. An empty reply is the usual one.
type Script = Arc<dyn Fn(&str, usize) -> &'static str + Send + Sync>;

/// Listens; every connection is answered by the script. The greeting answers the command "".
///
/// Before each answer to a whole message it takes that time.
pub(crate) fn listen(
    network: &Switchboard,
    address: &str,
    pause: Duration,
    script: impl Fn(&str, usize) -> &'static str + Send + Sync + 'static,
) -> UnboundedReceiver<Heard> {
    let mut calls = network.listen(address.parse().unwrap());
    let (log, heard) = unbounded_channel();
    let script: Script = Arc::new(script);
    tokio::spawn(async move {
        let mut number = 0;
        while let Some(socket) = calls.recv().await {
            tokio::spawn(serve(socket, number, pause, script.clone(), log.clone()));
            number += 1;
        }
    });
    heard
}

async fn serve(
    socket: Socket,
    number: usize,
    pause: Duration,
    script: Script,
    log: UnboundedSender<Heard>,
) {
    let (ear, mut events) = unbounded_channel();
    let connection = Connection::<()>::start(socket, Arc::default(), move |_, event| {
        let _ = ear.send(event);
    });
    let (mut buffer, mut in_message) = (Vec::new(), false);
    if !answer(&connection, script("", number), "220 peer.test") {
        return;
    }
    connection.read_on();
    while let Some(Event::Octets) = events.recv().await {
        buffer.extend_from_slice(&connection.hear());
        if in_message && script("DATA...", number).starts_with('-') {
            answer(&connection, script("DATA...", number), "");
            return;
        }
        while let Some((line, length)) = next(&buffer, in_message) {
            buffer.drain(..length);
            let _ = log.send((number, line.clone()));
            if line == "." && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let usual = match line.split(' ').next().unwrap_or_default() {
                "EHLO" => "250-peer.test\r\n250 8BITMIME",
                "DATA" => "354 go on",
                "QUIT" => "-221 bye",
                _ => "250 2.0.0 fine",
            };
            let reply = script(&line, number);
            in_message = line == "DATA" && (reply.is_empty() || reply.starts_with("354"));
            if !answer(&connection, reply, usual) {
                return;
            }
        }
        connection.read_on();
    }
}

/// A line, or a message to its dot, and its length.
fn next(buffer: &[u8], in_message: bool) -> Option<(String, usize)> {
    let end: &[u8] = if in_message { b"\r\n.\r\n" } else { b"\r\n" };
    let at = buffer.windows(end.len()).position(|w| w == end)?;
    let line = match in_message {
        true => ".".to_owned(),
        false => String::from_utf8_lossy(&buffer[..at]).into_owned(),
    };
    Some((line, at + end.len()))
}

/// Says it; false if that is the end.
fn answer(connection: &Connection<()>, scripted: &'static str, usual: &'static str) -> bool {
    let reply = if scripted.is_empty() { usual } else { scripted };
    let (ends, words) = match reply.strip_prefix('-') {
        Some(words) => (true, words),
        None => (false, reply),
    };
    let mut said = words.as_bytes().to_vec();
    if !said.is_empty() {
        said.extend_from_slice(b"\r\n");
    }
    if ends {
        connection.close_after(Bytes::from(said));
    } else {
        let _ = connection.say([Bytes::from(said)]);
    }
    !ends
}
