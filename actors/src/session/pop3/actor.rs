//! A session of POP3, as an actor: one per connection of a client.
//!
//! # Owns
//! The dialogue with one client: the machine that knows POP3, and the maildrop as it was at the
//! login. The socket is the connection's, which outlives the session.
//!
//! # Hears
//! [`SessionMsg`]: octets and time-outs from the connection, `Begin` from the listener, `Closing`
//! from the tree.
//!
//! # Says
//! [`LoginMsg::Verify`] to the login room; [`MailboxMsg::Lock`], [`MailboxMsg::Expunge`] and
//! [`MailboxMsg::Unlock`] to the account's mailbox.
//!
//! # Supervised by
//! The listener's session family, restarted at most three times; then the connection is closed.
//!
//! # When it crashes
//! The next incarnation goes on from the connection's checkpoint on the same socket, and hears
//! again what this one had not kept: what was being asked is answered with `-ERR [SYS/TEMP]`. The
//! maildrop stays the connection's meanwhile. When it is the mailbox actor that crashes, the lock
//! is lost with it, and the session takes it again at once; if another session has been quicker,
//! that is said and the connection is closed. Nothing is removed but by QUIT, and QUIT is answered
//! when the removal is on stable storage. The command in hand is noted: at its second crash it
//! stands in the book of refused commands, and is answered with `-ERR [SYS/PERM]` from then on.
//!
//! # Metrics
//! `heronry_pop3_logins_total`, `heronry_pop3_messages_total`,
//! `heronry_pop3_sessions_resumed_total`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mail::{AccountId, Credentials, MailboxId};
use pop3::{Checkpoint, Question, Refusal, Server, Step};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::port::{Body, MailStore};
use supervision::{Alarm, CallError, Family, Seat, alarm, waits};
use world::{
    connection::{Connection, Event},
    tls::ServerTls,
};

use super::{
    maildrop::Maildrop,
    metrics::{LOGINS, MESSAGES, RESUMED},
};
use crate::{
    contract::{
        CommandMark, ExpungeRequest, LoginMsg, LoginVerdict, MailboxMsg, SessionMsg, Speaker,
    },
    refused::RefusedCommands,
    session::{
        alike::{secure, verdict},
        hand::{AtWork, Handy, Vetting},
        watch::{DEAF, Watch},
    },
};

/// A session of POP3.
#[derive(Debug)]
pub struct Pop3Session;

/// A connection whose checkpoint is a POP3 session's.
pub type Pop3Connection = Connection<Pop3Checkpoint>;

/// What a restarted session goes on from.
#[derive(Clone, Debug)]
pub struct Pop3Checkpoint {
    server: Checkpoint,
    maildrop: Option<Maildrop>,
}

/// What the sessions of a listener need to live. Everything they may touch is named here.
pub struct Pop3SessionArgs {
    /// How the machine behaves.
    pub config: Arc<pop3::Config>,
    /// Who knows passwords.
    pub login: Seat<LoginMsg>,
    /// Where the messages are.
    pub mail: Arc<dyn MailStore>,
    /// Who writes to mailboxes.
    pub mailboxes: Family<AccountId, MailboxMsg>,
    /// The commands that are not run.
    pub refused: RefusedCommands,
    /// For STLS.
    pub tls: Option<ServerTls>,
}

/// What a session has in memory.
pub struct Pop3SessionState {
    args: Arc<Pop3SessionArgs>,
    connection: Pop3Connection,
    server: Server,
    maildrop: Option<Maildrop>,
    /// The right to the maildrop; none while the mailbox actor is to be asked again.
    lock: Option<Watch>,
    /// Rings when that is to be done.
    again: Option<Alarm>,
    /// The message that is being sent, and how far.
    sending: Option<(Body, u64)>,
    vetting: Vetting,
}

impl Actor for Pop3Session {
    type Msg = SessionMsg;
    type State = Pop3SessionState;
    type Arguments = (Pop3Connection, Arc<Pop3SessionArgs>);

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMsg>,
        (connection, args): Self::Arguments,
    ) -> Result<Pop3SessionState, ActorProcessingErr> {
        let mut state = Pop3SessionState {
            server: Server::new(args.config.clone()),
            vetting: Vetting::new("pop3", &args.refused),
            args,
            connection,
            maildrop: None,
            lock: None,
            again: None,
            sending: None,
        };
        match state.connection.take_over() {
            Some(kept) => {
                RESUMED.count(&[]);
                state.resume(kept);
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
        state: &mut Pop3SessionState,
    ) -> Result<(), ActorProcessingErr> {
        let mut state = AtWork::new(state, &msg);
        match msg {
            SessionMsg::Begin if !state.connection.is_open() => {
                myself.stop(None); // it has left before it was greeted
                return Ok(());
            }
            SessionMsg::Begin => {
                state.catch_up();
                state.lock_again(&myself).await;
            }
            SessionMsg::Changed(_, modseq) if modseq == DEAF => state.lock_again(&myself).await,
            // It watches nothing, and does not sleep.
            SessionMsg::Changed(..) | SessionMsg::Idle => return Ok(()),
            SessionMsg::Closing => state.server.shut(),
            SessionMsg::Connection(Event::Octets) => {
                let octets = state.connection.hear();
                if octets.is_empty() {
                    return Ok(()); // heard already, in the place of a predecessor
                }
                state.server.feed(octets);
                state.keep(); // the connection forgets them
            }
            SessionMsg::Connection(Event::Secured(_) | Event::TimedOut(_)) => state.catch_up(),
            SessionMsg::Connection(Event::Room) => return Ok(()),
            SessionMsg::Connection(Event::Closed(_)) => {
                state.unlock();
                myself.stop(None);
                return Ok(());
            }
        }
        state.go_on(&myself).await;
        state.done();
        Ok(())
    }
}

impl Pop3SessionState {
    /// Takes up what a predecessor left.
    fn resume(&mut self, kept: Pop3Checkpoint) {
        self.server = Server::resume(kept.server, self.connection.hear());
        self.maildrop = kept.maildrop;
    }

    /// Sees how the connection stands: an event that said so may have died with a predecessor.
    fn catch_up(&mut self) {
        if self.connection.tls().is_some() && !self.server.tls_active() {
            self.server.tls_started();
        }
        if self.connection.overdue().is_some() {
            self.server.shut();
        }
    }

    /// Carries out what the machine wants until it wants to hear from the client.
    async fn go_on(&mut self, myself: &ActorRef<SessionMsg>) {
        loop {
            self.server.watch(self.vetting.is_due());
            match self.server.step() {
                Step::Close => return self.connection.close_after(Bytes::new()),
                Step::Heard => self.vet(),
                Step::Judge(question) => {
                    self.keep();
                    self.judge(question, myself).await;
                }
                Step::Piece => self.piece(),
                Step::Read => {
                    self.vetting.is_over();
                    self.keep();
                    return self.connection.read_on();
                }
                Step::Send(octets) => {
                    if self.server.is_leaving() {
                        self.unlock(); // whoever comes back at once finds the maildrop free
                    }
                    if waits(self.connection.write(octets)).await.is_err() {
                        return; // closed: the event that says so is on its way
                    }
                    self.keep(); // what has been said is not said again
                }
                Step::StartTls => {
                    if secure(&self.connection, self.args.tls.as_ref()).is_err() {
                        self.connection.abort();
                    }
                    return;
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
            self.server.refuse_command(Refusal::Permanent);
        }
    }

    fn speaker(&self) -> Speaker {
        let maildrop = self.maildrop.as_ref();
        let client = Speaker::Client(self.connection.peer().ip());
        maildrop.map_or(client, |maildrop| Speaker::Account(maildrop.account))
    }

    /// Leaves what the next incarnation needs where a crash cannot reach it.
    fn keep(&self) {
        let kept = Pop3Checkpoint {
            server: self.server.checkpoint(),
            maildrop: self.maildrop.clone(),
        };
        self.connection.keep(kept);
    }

    async fn judge(&mut self, question: Question, myself: &ActorRef<SessionMsg>) {
        match question {
            Question::Login(credentials) => match self.login(credentials, myself).await {
                Ok(entries) => self.server.logged_in(entries),
                Err(refusal) => self.server.refuse(refusal),
            },
            Question::Message { index } => match self.open(index) {
                Some(body) => {
                    MESSAGES.count(&[]);
                    self.sending = Some((body, 0));
                    self.server.yes();
                }
                None => self.server.refuse(Refusal::Temporary),
            },
            Question::Remove { indices } => match self.remove(&indices).await {
                Ok(()) => self.server.yes(),
                Err(refusal) => self.server.refuse(refusal),
            },
        }
    }

    async fn login(
        &mut self,
        credentials: Credentials,
        myself: &ActorRef<SessionMsg>,
    ) -> Result<Vec<pop3::Entry>, Refusal> {
        let client = self.connection.peer().ip();
        let verdict = verdict(&self.args.login, credentials, client).await;
        let account = match verdict {
            LoginVerdict::Busy => return Err(refused("busy", Refusal::Temporary)),
            LoginVerdict::Refused => return Err(refused("refused", Refusal::Credentials)),
            LoginVerdict::Welcome(identity) => identity.account,
        };
        match self.lock(account, myself).await {
            Ok(true) => {}
            Ok(false) => return Err(refused("in_use", Refusal::InUse)),
            Err(_) => return Err(refused("busy", Refusal::Temporary)),
        }
        match Maildrop::open(&*self.args.mail, account) {
            Ok((maildrop, entries)) => {
                LOGINS.count(&["welcome"]);
                self.maildrop = Some(maildrop);
                Ok(entries)
            }
            Err(error) => {
                tracing::warn!(%account, %error, "cannot open a maildrop");
                self.unlock_of(account);
                Err(refused("busy", Refusal::Temporary))
            }
        }
    }

    /// RFC 1939 §4: one session at a time.
    async fn lock(
        &mut self,
        account: AccountId,
        myself: &ActorRef<SessionMsg>,
    ) -> Result<bool, CallError> {
        self.lock = None; // before it is replaced, or its end would be taken for a crash
        let connection = self.connection.clone();
        let is_kept = move || {
            let is_logged_in = connection.amend(|kept| kept.maildrop.is_some());
            connection.is_open() && is_logged_in == Some(true)
        };
        let (lock, watcher) = Watch::lock(self.connection.id(), myself.clone(), is_kept);
        let locked = self.args.mailboxes.call(
            &account,
            |port| MailboxMsg::Lock(watcher, port),
            MAILBOX_ANSWER,
        );
        let is_ours = waits(locked).await?;
        if is_ours && !lock.is_set() {
            return Err(CallError::Dropped); // lost again already
        }
        self.lock = is_ours.then_some(lock);
        Ok(is_ours)
    }

    /// The lock ends with the mailbox actor; and whoever goes on after a crash of ours has to be
    /// told if that happens.
    async fn lock_again(&mut self, myself: &ActorRef<SessionMsg>) {
        let Some(account) = self.maildrop.as_ref().map(|maildrop| maildrop.account) else {
            return;
        };
        if self.server.is_leaving() {
            return;
        }
        let mut locked = self.lock(account, myself).await;
        if matches!(locked, Err(CallError::Dropped)) {
            locked = self.lock(account, myself).await; // whoever died of the question is back
        }
        match locked {
            Ok(true) => {}
            Ok(false) => self.server.lock_out(),
            Err(_) => {
                let ask_again = SessionMsg::Changed(MailboxId(0), DEAF);
                self.again = Some(alarm(LOCK_AGAIN, myself, ask_again));
            }
        }
    }

    fn unlock(&mut self) {
        if let Some(maildrop) = &self.maildrop {
            self.unlock_of(maildrop.account);
        }
    }

    fn unlock_of(&mut self, account: AccountId) {
        self.lock = None; // before it goes, or its end would be taken for a crash
        let unlock = MailboxMsg::Unlock(self.connection.id());
        // A mailbox that is not there has no lock.
        let _ = self.args.mailboxes.tell(&account, unlock);
    }

    fn open(&self, index: usize) -> Option<Body> {
        let body = self.maildrop.as_ref()?.body(index)?;
        match self.args.mail.read(&body) {
            Ok(body) => Some(body),
            Err(error) => {
                tracing::error!(blob = body.blob, %error, "cannot read a message");
                None
            }
        }
    }

    fn piece(&mut self) {
        let Some((body, at)) = &mut self.sending else {
            return self.server.end_message();
        };
        match body.read_at(*at, PIECE_OCTETS) {
            Ok(octets) if octets.is_empty() => {
                self.sending = None;
                self.server.end_message();
            }
            Ok(octets) => {
                *at += octets.len() as u64;
                self.server.piece(octets);
            }
            Err(error) => {
                // The client has seen +OK: only a closed connection says that this is not all.
                tracing::error!(%error, "cannot read a message on");
                self.sending = None;
                self.server.shut();
            }
        }
    }

    async fn remove(&mut self, indices: &[usize]) -> Result<(), Refusal> {
        let maildrop = self.maildrop.as_ref().ok_or(Refusal::Temporary)?;
        if !indices.is_empty() {
            let request = ExpungeRequest {
                mailbox: maildrop.mailbox,
                uids: maildrop.uids(indices),
                deleted_only: false,
            };
            let removed = self.args.mailboxes.call(
                &maildrop.account,
                |port| MailboxMsg::Expunge(request, port),
                MAILBOX_ANSWER,
            );
            if !matches!(waits(removed).await, Ok(Ok(_))) {
                return Err(Refusal::Temporary);
            }
        }
        self.unlock();
        Ok(())
    }
}

impl Handy for Pop3SessionState {
    fn in_hand(&self) -> Option<CommandMark> {
        let spoken = self.server.in_hand()?;
        Some(self.vetting.mark(&self.speaker(), &spoken))
    }
}

fn refused(outcome: &'static str, refusal: Refusal) -> Refusal {
    LOGINS.count(&[outcome]);
    refusal
}

/// How long a mailbox may take for an answer: a slow disk, not a stuck one.
const MAILBOX_ANSWER: Duration = Duration::from_secs(30);

/// A mailbox actor is back within microseconds; one that is not has trouble.
const LOCK_AGAIN: Duration = Duration::from_secs(1);

/// How much of a message is read at a time.
const PIECE_OCTETS: usize = 64 * 1024;
