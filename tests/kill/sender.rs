//! A client that sends one message after the other, until its server is killed.

use std::net::SocketAddr;

use testkit::SmtpClient;

use crate::{letter::letter, rounds::Round};

/// What a client sent, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Acknowledged messages for accounts here: the account's number, and the message's name.
    pub(crate) here: Vec<(usize, String)>,
    /// Acknowledged messages for elsewhere.
    pub(crate) elsewhere: Vec<String>,
    /// The one that was never answered.
    pub(crate) doubtful: Option<String>,
}

/// Sends until the server is gone. Half of it goes elsewhere.
pub(crate) fn send(door: SocketAddr, who: &str, accounts: usize, round: &Round) -> Sent {
    let mut sent = Sent::default();
    let mut client = SmtpClient::connect(door);
    client.ehlo();
    round.is_in();
    for number in 0.. {
        let name = format!("{who}n{number}");
        let account = number / 2 % accounts;
        let is_here = number % 2 == 0;
        let to = match is_here {
            true => format!("user{account}@example.test"),
            // Whoever looks at the queue sees in the address which message it is.
            false => format!("{name}@remote{}.test", number % 3),
        };
        match client.try_send("ann@elsewhere.test", &[&to], &letter(&name)) {
            Ok(reply) => assert_eq!(reply.code, 250, "{reply}"),
            Err(_) => {
                sent.doubtful = Some(name);
                break;
            }
        }
        round.answered();
        match is_here {
            true => sent.here.push((account, name)),
            false => sent.elsewhere.push(name),
        }
    }
    sent
}
