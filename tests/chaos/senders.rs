//! Clients that send: one message after the other, each with a name of its own.

use std::{io, net::SocketAddr};

use testkit::{LONG, SmtpClient, SmtpReply, Wire};

use crate::{
    ledger::{Ledger, letter},
    load::Load,
};

/// Sends until the load is over. Every fourth message goes to another system.
pub(crate) fn send(door: SocketAddr, sender: usize, accounts: usize, load: &Load) -> Ledger {
    let mut ledger = Ledger::default();
    let mut client = None;
    for number in 0.. {
        if !load.turn() {
            break;
        }
        let name = format!("s{sender}n{number}");
        let (to, place) = match number % 4 {
            3 => (
                format!("a@remote{}.test", number % 3),
                "neighbour".to_owned(),
            ),
            _ => {
                let user = format!("user{}", (sender + number) % accounts);
                (format!("{user}@example.test"), user)
            }
        };
        match turn(door, &mut client, &to, &letter(&name), &mut ledger) {
            Some(250) => ledger.acknowledge(&place, name),
            _ => drop(ledger.doubtful.insert(name)),
        }
    }
    ledger
}

/// Sends one message, and connects before if need be; the last reply's code, if there was one.
fn turn(
    door: SocketAddr,
    client: &mut Option<SmtpClient>,
    to: &str,
    message: &[u8],
    ledger: &mut Ledger,
) -> Option<u16> {
    let smtp = match client {
        Some(smtp) => smtp,
        None => match enter(door, ledger) {
            Ok(smtp) => client.insert(smtp),
            Err(error) => {
                ledger.closed.push(format!("smtp: at the door: {error}"));
                return None;
            }
        },
    };
    match smtp.try_send("ann@elsewhere.test", &[to], message) {
        Ok(reply) => {
            note(&reply, ledger);
            match reply.code {
                421 => {
                    ledger.closed.push(format!("smtp: {reply}"));
                    *client = None;
                }
                250 => {}
                _ => begin_again(client, ledger),
            }
            Some(reply.code)
        }
        Err(error) => {
            let last = last_words(smtp.wire());
            ledger.closed.push(format!("smtp: {error}: {last}"));
            *client = None;
            None
        }
    }
}

/// Whatever is left of a transaction that failed is forgotten.
fn begin_again(client: &mut Option<SmtpClient>, ledger: &mut Ledger) {
    let Some(smtp) = client else { return };
    let code = loop {
        match smtp.try_command("RSET") {
            Ok(reply) if reply.code == 451 => note(&reply, ledger),
            Ok(reply) => break reply.code,
            Err(_) => break 421,
        }
    };
    if code != 250 {
        let last = last_words(smtp.wire());
        ledger.closed.push(format!("smtp: {code} to RSET: {last}"));
        *client = None;
    }
}

fn enter(door: SocketAddr, ledger: &mut Ledger) -> io::Result<SmtpClient> {
    let wire = Wire::connect(door)?;
    wire.patience(LONG)?;
    let mut smtp = SmtpClient::unheard(wire);
    let greeting = smtp.try_reply()?;
    if greeting.code != 220 {
        return Err(io::Error::other(greeting.to_string()));
    }
    loop {
        let reply = smtp.try_command("EHLO client.test")?;
        note(&reply, ledger);
        match reply.code {
            250 => return Ok(smtp),
            451 => {}
            _ => return Err(io::Error::other(reply.to_string())),
        }
    }
}

fn note(reply: &SmtpReply, ledger: &mut Ledger) {
    if reply.code != 250 {
        let enhanced = reply.lines.first().and_then(|line| line.split(' ').next());
        let enhanced = enhanced.unwrap_or_default();
        ledger.answered(format!("smtp {} {enhanced}", reply.code));
    } else {
        ledger.answered("smtp 250");
    }
    if !matches!(reply.code, 250 | 421 | 451) {
        ledger.wrong.push(format!("smtp: {reply}"));
    }
}

/// What a connection says before it is closed.
pub(crate) fn last_words(wire: &mut Wire) -> String {
    let words = wire.until_closed().unwrap_or_default();
    String::from_utf8_lossy(&words).trim_end().to_owned()
}
