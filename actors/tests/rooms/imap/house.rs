//! A house with sessions of IMAP, and clients without a network.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use heronry_actors::{
    contract::{MailboxMsg, SessionMsg},
    refused::RefusedCommands,
    session::imap::{ImapConnection, ImapSession, ImapSessionArgs},
};
use imap::client::{ReadError, Response};
use mail::AccountId;
use ractor::{Actor, ActorRef};
use store::{MemoryStore, port::Quota};
use supervision::{Budget, Family, Root, Seat, Strategy, Supervisor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::watch,
};
use world::{
    SystemClock,
    connection::{Event, Options, Socket},
};

use super::warden::{Caught, Fate, gate};
use crate::ann;

/// Everything that a session needs, in memory.
pub(crate) struct House {
    pub(crate) args: Arc<ImapSessionArgs>,
    pub(crate) mailboxes: Family<AccountId, MailboxMsg>,
    pub(crate) account: AccountId,
    _gate: Option<Root>,
    _root: Root,
}

/// A client at the other end of a session.
pub(crate) struct Client {
    stream: DuplexStream,
    heard: Vec<u8>,
    tags: u32,
    pub(crate) session: ActorRef<SessionMsg>,
    seat: Seat<SessionMsg>,
    connection: ImapConnection,
    /// Whether the other end has noticed that the connection is over.
    is_over: watch::Receiver<bool>,
}

/// What a command brought.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) untagged: Vec<Response>,
    pub(crate) tagged: Response,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with_quota(Quota::default()).await
    }

    /// A house whose sessions ask through a gate.
    pub(crate) async fn gated(
        judge: impl Fn(&MailboxMsg) -> Fate + Send + Sync + 'static,
    ) -> (Self, Caught) {
        let mut house = Self::new().await;
        let (gate, caught) = gate(house.mailboxes.clone(), Arc::new(judge));
        let root = Supervisor::new("gate", Strategy::OneForOne).child(gate.child());
        house._gate = Some(root.start().await.unwrap());
        Arc::get_mut(&mut house.args).unwrap().mailboxes = gate;
        (house, caught)
    }

    pub(crate) async fn with_quota(quota: Quota) -> Self {
        let store = MemoryStore::new();
        let ann = ann::moves_in(&store, quota).await;
        let (account, mailboxes) = (ann.account, ann::mailboxes(&store));
        let root = Supervisor::new("house", Strategy::OneForOne).child(mailboxes.child());
        let root = root.start().await.unwrap();
        let login = ann::login_room(ann).await;
        let mut config = imap::Config::new("mx.house.test");
        Arc::make_mut(&mut config).plaintext_login = true;
        let args = Arc::new(ImapSessionArgs {
            budget: Budget::new(64 * 1024 * 1024),
            clock: Arc::new(SystemClock::new()),
            config,
            login,
            mail: Arc::new(store.clone()),
            mailboxes: mailboxes.clone(),
            refused: RefusedCommands::new([0; 32]),
            tls: None,
            tls_from_start: false,
        });
        Self {
            args,
            mailboxes,
            account,
            _gate: None,
            _root: root,
        }
    }

    /// A client that has been greeted.
    pub(crate) async fn client(&self) -> Client {
        let mut client = self.stranger().await;
        client.session.cast(SessionMsg::Begin).unwrap();
        assert_eq!(client.read().await.word(1), "OK");
        client
    }

    /// A client whose session has not been told to begin.
    pub(crate) async fn stranger(&self) -> Client {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 4711));
        let socket = Socket::memory(far, peer, peer);
        let seat = Seat::new("session");
        let hearing = seat.clone();
        let (over, is_over) = watch::channel(false);
        let connection =
            ImapConnection::start(socket, Arc::new(Options::default()), move |_, event| {
                over.send_if_modified(|over| {
                    *over = matches!(event, Event::Closed(_));
                    *over
                });
                let _ = hearing.cast(SessionMsg::Connection(event));
            });
        let session = self.session(&connection).await;
        seat.sit(&session);
        Client {
            stream: near,
            heard: Vec::new(),
            tags: 0,
            session,
            seat,
            connection,
            is_over,
        }
    }

    async fn session(&self, connection: &ImapConnection) -> ActorRef<SessionMsg> {
        let args = (connection.clone(), self.args.clone(), None);
        Actor::spawn(None, ImapSession, args).await.unwrap().0
    }

    /// Kills a client's session, and starts the next incarnation.
    pub(crate) async fn revive(&self, client: &mut Client) {
        let _ = client.session.kill_and_wait(None).await; // a test may have killed it already
        client.session = self.session(&client.connection).await;
        client.seat.sit(&client.session);
    }

    /// A client that has logged in.
    pub(crate) async fn ann(&self) -> Client {
        let mut client = self.client().await;
        client.ok("LOGIN ann secret").await;
        client
    }
}

impl Client {
    pub(crate) async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// Closes the connection, and waits until the other end has noticed.
    pub(crate) async fn leave(&mut self) {
        self.stream.shutdown().await.unwrap();
        let over = self.is_over.wait_for(|over| *over);
        let over = tokio::time::timeout(Duration::from_secs(10), over).await;
        over.expect("the connection is over").unwrap();
    }

    /// The next response.
    pub(crate) async fn read(&mut self) -> Response {
        self.read_or_end().await.expect("the session said more")
    }

    pub(crate) async fn read_or_end(&mut self) -> Option<Response> {
        loop {
            match Response::read(&self.heard) {
                Ok((response, length)) => {
                    self.heard.drain(..length);
                    return Some(response);
                }
                Err(ReadError::Open) => {}
                Err(ReadError::Form) => {
                    panic!("no response: {}", String::from_utf8_lossy(&self.heard))
                }
            }
            let more = self.stream.read_buf(&mut self.heard);
            let more = tokio::time::timeout(Duration::from_secs(10), more).await;
            if more.expect("the session speaks").unwrap() == 0 {
                return None;
            }
        }
    }

    /// Says a command and reads up to its end.
    pub(crate) async fn command(&mut self, command: &str) -> Answer {
        let tag = self.begin(command).await;
        self.finish(&tag).await
    }

    /// Says a command; its tag.
    pub(crate) async fn begin(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.write(format!("{tag} {command}\r\n").as_bytes()).await;
        tag
    }

    /// Reads up to the end of a command.
    pub(crate) async fn finish(&mut self, tag: &str) -> Answer {
        let mut untagged = Vec::new();
        loop {
            let response = self.read().await;
            if response.tag() == tag {
                return Answer {
                    untagged,
                    tagged: response,
                };
            }
            untagged.push(response);
        }
    }

    /// A command that must be done.
    pub(crate) async fn ok(&mut self, command: &str) -> Answer {
        let answer = self.command(command).await;
        assert_eq!(answer.tagged.word(1), "OK", "{command}: {answer:?}");
        answer
    }

    pub(crate) async fn append(&mut self, mailbox: &str, message: &str) -> Answer {
        self.ok(&format!(
            "APPEND {mailbox} {{{}+}}\r\n{message}",
            message.len()
        ))
        .await
    }
}

impl Answer {
    /// The untagged responses as text, without literals' octets.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.untagged.iter().map(shown).collect()
    }

    pub(crate) fn text(&self) -> &str {
        self.tagged.word(2)
    }
}

pub(crate) fn shown(response: &Response) -> String {
    use imap::client::Value;
    fn value(one: &Value) -> String {
        match one {
            Value::Atom(text) => text.clone(),
            Value::List(list) => {
                format!("({})", list.iter().map(value).collect::<Vec<_>>().join(" "))
            }
            Value::Nil => "NIL".to_owned(),
            Value::String(octets) => format!("\"{}\"", String::from_utf8_lossy(octets)),
        }
    }
    response.0.iter().map(value).collect::<Vec<_>>().join(" ")
}
