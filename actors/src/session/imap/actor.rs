//! A session of IMAP, as an actor: one per connection of a client.
//!
//! # Owns
//! The dialogue with one client: the machine that knows IMAP, the mailbox as this client sees it,
//! and a message that is being appended. The socket is the connection's, which outlives the
//! session.
//!
//! # Hears
//! [`SessionMsg`]: octets and time-outs from the connection, `Changed` from the mailbox actor,
//! `Begin` from the listener, `Closing` from the tree.
//!
//! # Says
//! [`LoginMsg::Verify`] to the login room; [`MailboxMsg`] to the account's mailbox actor, which
//! makes all changes. What is only read, it reads from the store.
//!
//! # Supervised by
//! The listener's session family, restarted at most three times; then the connection is closed. A
//! session at rest to which nobody has said anything for a while sleeps: it leaves, and what it
//! knows stays with the connection (`sleep.rs`).
//!
//! # When it crashes
//! The next incarnation goes on from the connection's checkpoint on the same socket, and hears
//! again what this one had not kept: the command that was under way is answered with
//! `NO [SERVERBUG]`, its mailbox stays open as the client saw it, and who idles, idles on. In the
//! middle of a long answer nobody knows where the client is: `* BYE`. The command in hand is noted:
//! at its second crash it stands in the book of refused commands, and is answered with
//! `NO [CANNOT]` from then on.
//!
//! # Metrics
//! `heronry_imap_appended_total`, `heronry_imap_commands_total`, `heronry_imap_command_seconds`,
//! `heronry_imap_fetched_messages_total`, `heronry_imap_idling_sessions`,
//! `heronry_imap_sessions_resumed_total`, `heronry_imap_sessions_woken_total`,
//! `heronry_imap_sleeping_sessions`.

use std::{mem, sync::Arc, time::Duration};

use imap::{Code, Command, Reply, Server, Status, Step};
use mail::AccountId;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use store::port::{MailStore, MessageFlags};
use supervision::{Alarm, Budget, Context, Family, Seat, waits};
use telemetry::Held;
use world::{
    Clock,
    connection::{Connection, Event},
    tls::ServerTls,
};

use super::{
    append::Incoming,
    failure::Failure,
    letter::Place,
    metrics::{APPENDED, COMMAND_SECONDS, COMMANDS, IDLING, RESUMED, WOKEN},
    opened::Opened,
    outlet::Outlet,
    resume::ImapCheckpoint,
    sleep::Nap,
};
use crate::{
    contract::{
        CommandMark, Identity, LoginMsg, LoginVerdict, MailboxFailure, MailboxMsg, SessionMsg,
        Speaker,
    },
    refused::RefusedCommands,
    session::{
        alike::{secure, verdict},
        hand::{AtWork, Handy, Vetting},
    },
};

/// A session of IMAP.
#[derive(Debug)]
pub struct ImapSession;

/// A connection whose checkpoint is an IMAP session's.
pub type ImapConnection = Connection<ImapCheckpoint>;

/// What the sessions of a listener need to live. Everything they may touch is named here.
pub struct ImapSessionArgs {
    /// Memory for messages on their way, for the whole process.
    pub budget: Budget,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How the machine behaves.
    pub config: Arc<imap::Config>,
    /// Who knows passwords.
    pub login: Seat<LoginMsg>,
    /// The mailboxes, for reading.
    pub mail: Arc<dyn MailStore>,
    /// The mailboxes' only writers.
    pub mailboxes: Family<AccountId, MailboxMsg>,
    /// The commands that are not run.
    pub refused: RefusedCommands,
    /// For STARTTLS.
    pub tls: Option<ServerTls>,
    /// Whether connections begin in TLS (RFC 8314 §3).
    pub tls_from_start: bool,
}

/// What a session has in memory.
pub struct ImapSessionState {
    pub(super) args: Arc<ImapSessionArgs>,
    pub(super) connection: ImapConnection,
    pub(super) server: Server,
    pub(super) out: Outlet,
    pub(super) opened: Option<Opened>,
    pub(super) incoming: Option<Incoming>,
    /// Where a part of a message was last found.
    pub(super) place: Place,
    /// Flags that the client has been told, or does not want to be told.
    pub(super) told: Vec<MessageFlags>,
    pub(super) identity: Option<Identity>,
    pub(super) myself: ActorRef<SessionMsg>,
    /// Its place in the family of sessions; without one it never sleeps.
    pub(super) place_in_family: Option<Context<ImapConnection>>,
    /// Whether it is falling asleep: what it still hears is for the next incarnation.
    pub(super) falls_asleep: bool,
    /// Whether the client has been greeted, by this incarnation or another one.
    pub(super) greeted: bool,
    pub(super) idling: Option<Held>,
    /// Rings when the mailbox actor is to be asked again for hints.
    pub(super) again: Option<Alarm>,
    vetting: Vetting,
}

impl Actor for ImapSession {
    type Msg = SessionMsg;
    type State = ImapSessionState;
    type Arguments = (
        ImapConnection,
        Arc<ImapSessionArgs>,
        Option<Context<ImapConnection>>,
    );

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMsg>,
        (connection, args, place_in_family): Self::Arguments,
    ) -> Result<ImapSessionState, ActorProcessingErr> {
        let nap = Nap::end(&connection);
        let kept = connection.take_over();
        let mut state = ImapSessionState {
            server: Server::new(args.config.clone(), args.tls_from_start),
            out: Outlet::new(connection.clone()),
            opened: None,
            incoming: None,
            place: Place::default(),
            told: Vec::new(),
            identity: None,
            myself: myself.clone(),
            place_in_family,
            falls_asleep: false,
            greeted: false,
            idling: None,
            again: None,
            vetting: Vetting::new("imap", &args.refused),
            args,
            connection,
        };
        match kept {
            Some(kept) => {
                if let Some(nap) = nap {
                    WOKEN.count(&[]);
                    state.wake(kept, nap);
                } else {
                    RESUMED.count(&[]);
                    state.resume(kept);
                }
                myself.cast(SessionMsg::Begin)?;
            }
            // Who tells us to begin does so once: a successor must know that it has to greet.
            None => state.keep(),
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionMsg>,
        msg: SessionMsg,
        state: &mut ImapSessionState,
    ) -> Result<(), ActorProcessingErr> {
        let Some(msg) = state.hear(msg) else {
            return Ok(());
        };
        let mut state = AtWork::new(state, &msg);
        let alive = match msg {
            SessionMsg::Begin if !state.connection.is_open() => {
                state.leave();
                myself.stop(None); // a predecessor heard that it is over, and died of it
                return Ok(());
            }
            SessionMsg::Begin => state.begin().await,
            SessionMsg::Changed(mailbox, modseq) => state.changed(mailbox, modseq).await,
            // A message that is being received may end; the house asks again until then.
            SessionMsg::Closing if state.incoming.is_some() => Ok(()),
            SessionMsg::Closing => state.bye("closing, come back soon").await,
            SessionMsg::Connection(Event::Octets) => {
                let octets = state.connection.hear();
                if octets.is_empty() {
                    return Ok(()); // heard already, in the place of a predecessor
                }
                state.server.feed(octets);
                state.go_on().await
            }
            SessionMsg::Connection(Event::Secured(_) | Event::TimedOut(_)) => state.begin().await,
            SessionMsg::Connection(Event::Room) => Ok(()),
            SessionMsg::Idle => {
                state.sleep();
                Ok(())
            }
            SessionMsg::Connection(Event::Closed(_)) => {
                state.leave();
                myself.stop(None);
                return Ok(());
            }
        };
        if alive.is_err() {
            // The client is gone, or cannot be told the truth any more; `Closed` follows.
            state.connection.abort();
        }
        state.done();
        Ok(())
    }
}

impl ImapSessionState {
    pub(super) async fn bye(&mut self, words: &str) -> Result<(), Failure> {
        self.server.bye(words, &mut self.out.buffer);
        self.go_on().await
    }

    /// Carries out what the machine wants until it wants to hear from the client.
    pub(super) async fn go_on(&mut self) -> Result<(), Failure> {
        loop {
            self.server.watch(self.vetting.is_due());
            match self.server.step(&mut self.out.buffer) {
                Step::AppendAbort => {
                    APPENDED.count(&["refused"]);
                    self.incoming = None;
                }
                Step::AppendBegin(append) => {
                    self.keep();
                    match self.begin_append(append) {
                        Ok(()) => self.server.accept(&mut self.out.buffer),
                        Err(failure) => self.refuse_append(failure)?,
                    }
                }
                Step::AppendChunk(piece) => {
                    self.keep(); // a successor reads past what is still to come, and no further
                    if let Err(failure) = self.push_append(piece).await {
                        self.refuse_append(failure)?;
                    }
                }
                Step::AppendEnd => {
                    self.keep();
                    let ended = self.end_append().await;
                    self.finish("append", ended, true, false).await?;
                }
                Step::Authenticate(credentials) => {
                    self.keep();
                    let reply = self.log_in(credentials).await;
                    self.server.answer(reply, &mut self.out.buffer);
                }
                Step::Close => {
                    let last_words = mem::take(&mut self.out.buffer);
                    self.connection.close_after(last_words.into());
                    return Ok(());
                }
                Step::Heard => self.vet(),
                Step::IdleBegin => {
                    self.out.flush().await?; // the client learns at once that it may wait
                    self.keep();
                    self.idling = Some(IDLING.hold(&[]));
                    self.watch_if_deaf().await;
                    self.news(true, false).await?;
                }
                Step::IdleEnd => {
                    self.keep();
                    self.idling = None;
                    self.news(true, false).await?;
                    self.server
                        .answer(Reply::ok("no longer idling"), &mut self.out.buffer);
                }
                Step::Read => {
                    if self.vetting.is_trying() && self.server.in_hand().is_none() {
                        self.vetting.is_over(); // not in the middle of an APPEND
                    }
                    self.out.flush().await?;
                    self.keep();
                    self.connection.read_on();
                    return Ok(());
                }
                Step::Run(command) => {
                    self.keep();
                    self.run(command).await?;
                }
                Step::StartTls => {
                    self.out.flush().await?;
                    self.keep();
                    let begun = secure(&self.connection, self.args.tls.as_ref());
                    return begun.map_err(|_| Failure::Gone);
                }
            }
        }
    }

    /// A command that has brought sessions down is not run again.
    fn vet(&mut self) {
        let (speaker, spoken) = (self.speaker(), self.server.in_hand());
        if self.vetting.admits(&speaker, spoken.as_ref()) {
            self.server.admit();
        } else {
            self.server.refuse_command(&poison(), &mut self.out.buffer);
        }
    }

    fn speaker(&self) -> Speaker {
        let client = Speaker::Client(self.connection.peer().ip());
        let account = self.identity.as_ref().map(|who| who.account);
        account.map_or(client, Speaker::Account)
    }

    fn refuse_append(&mut self, failure: Failure) -> Result<(), Failure> {
        self.incoming = None;
        let Failure::Refused(reply) = failure else {
            return Err(failure);
        };
        APPENDED.count(&["refused"]);
        self.server.answer(reply, &mut self.out.buffer);
        Ok(())
    }

    async fn log_in(&mut self, credentials: mail::Credentials) -> Reply {
        let client = self.connection.peer().ip();
        let verdict = verdict(&self.args.login, credentials, client).await;
        match verdict {
            LoginVerdict::Busy => {
                Reply::no("cannot check now, try again later").with(Code::Unavailable)
            }
            LoginVerdict::Refused => {
                Reply::no("wrong name or password").with(Code::AuthenticationFailed)
            }
            LoginVerdict::Welcome(identity) => {
                self.identity = Some(identity);
                Reply::ok("welcome")
            }
        }
    }

    async fn run(&mut self, command: Command) -> Result<(), Failure> {
        let begun = self.args.clock.monotonic();
        let (expunges, by_uid) = (command.may_tell_expunges(), command.is_by_uid());
        let kind = kind(&command);
        let done = match command {
            Command::Check | Command::Noop => {
                if let Some(opened) = &mut self.opened {
                    opened.dirty = true; // hints may be late: whoever asks gets the truth
                }
                Ok(Reply::ok("that is new"))
            }
            Command::Close => self.close().await,
            Command::Copy(transfer) => self.copy(transfer).await,
            Command::Create(name) => self.create(&name).await,
            Command::Delete(name) => self.delete(&name).await,
            Command::Examine(name) => self.select(&name, true).await,
            Command::Expunge(set) => {
                self.news(true, false).await?; // what is deleted may have come just now
                self.expunge(set.as_ref()).await
            }
            Command::Fetch(fetch) => self.fetch(&fetch).await,
            Command::GetQuota(root) => self.quota(&root),
            Command::GetQuotaRoot(name) => self.quota_root(&name),
            Command::List(list) => self.list(&list),
            Command::Lsub(list) => self.lsub(&list),
            Command::Move(transfer) => self.move_messages(transfer).await,
            Command::Rename { from, to } => self.rename(&from, &to).await,
            Command::Search(search) => self.search(&search).await,
            Command::Select(name) => self.select(&name, false).await,
            Command::Status(name, items) => self.status(&name, &items),
            Command::Store(store) => self.store(store).await,
            Command::Subscribe(name) => self.subscribe(&name, true).await,
            Command::Unselect => {
                self.leave();
                Ok(Reply::ok("left"))
            }
            Command::Unsubscribe(name) => self.subscribe(&name, false).await,
            _ => Ok(Reply::bad("that is not done here")),
        };
        self.finish(kind, done, expunges, by_uid).await?;
        let took = self.args.clock.monotonic().saturating_sub(begun);
        COMMAND_SECONDS.observe(took.as_secs_f64(), &[kind]);
        Ok(())
    }

    /// Says what is new and ends the command.
    async fn finish(
        &mut self,
        kind: &'static str,
        done: Result<Reply, Failure>,
        expunges: bool,
        by_uid: bool,
    ) -> Result<(), Failure> {
        let reply = match done {
            Ok(reply) => reply,
            Err(Failure::Refused(reply)) => reply,
            Err(Failure::Gone) => return Err(Failure::Gone),
        };
        self.news(expunges, by_uid).await?;
        self.told.clear();
        let outcome = match reply.status {
            Status::Bad => "bad",
            Status::No => "no",
            Status::Ok => "ok",
        };
        COMMANDS.count(&[kind, outcome]);
        self.server.answer(reply, &mut self.out.buffer);
        if self.out.relieve().await.is_err() {
            return Err(Failure::Gone);
        }
        if self.out.has_begun() {
            self.keep(); // what a successor does not know ends here
        }
        Ok(())
    }

    /// Asks the account's mailbox actor.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        build: impl FnOnce(RpcReplyPort<Result<T, MailboxFailure>>) -> MailboxMsg,
    ) -> Result<T, Failure> {
        let account = self.account()?;
        let answer = self.args.mailboxes.call(&account, build, ANSWER_MAX);
        Ok(waits(answer).await??)
    }

    /// Whose session it is.
    pub(super) fn account(&self) -> Result<AccountId, Failure> {
        let account = self.identity.as_ref().map(|who| who.account);
        account.ok_or_else(|| Reply::bad("log in first").into())
    }
}

impl Handy for ImapSessionState {
    fn in_hand(&self) -> Option<CommandMark> {
        let spoken = self.server.in_hand()?;
        Some(self.vetting.mark(&self.speaker(), &spoken))
    }
}

/// RFC 5530 §3.
fn poison() -> Reply {
    Reply::no("trouble with this command on our side, do not repeat it").with(Code::Cannot)
}

/// The label of a command.
const fn kind(command: &Command) -> &'static str {
    match command {
        Command::Fetch(_) => "fetch",
        Command::Search(_) => "search",
        Command::Store(_) => "store",
        Command::Select(_) | Command::Examine(_) => "select",
        Command::List(_) | Command::Lsub(_) => "list",
        Command::GetQuota(_) | Command::GetQuotaRoot(_) | Command::Status(..) => "status",
        Command::Copy(_) => "copy",
        Command::Move(_) => "move",
        Command::Expunge(_) | Command::Close => "expunge",
        Command::Check | Command::Noop | Command::Unselect => "poll",
        _ => "change",
    }
}

/// A mailbox actor waits for the disk, not for long.
const ANSWER_MAX: Duration = Duration::from_secs(60);
