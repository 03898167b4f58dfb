//! A session of SMTP, submission or LMTP, as an actor: one per connection of a client.
//!
//! # Owns
//! The dialogue with one client: the machine that knows SMTP, and the message on its way. The
//! socket is the connection's, which outlives the session.
//!
//! # Hears
//! [`SessionMsg`]: octets and time-outs from the connection, `Begin` from the listener, `Closing`
//! from the tree.
//!
//! # Says
//! [`LoginMsg::Verify`] to the login room. Once a message is on stable storage,
//! [`MailboxMsg::Arrived`] to the mailboxes that have it, or [`RouterMsg::Accepted`] or
//! [`RouterMsg::Route`] to the router.
//!
//! # Supervised by
//! The listener's session family, restarted at most three times; then the connection is closed.
//!
//! # When it crashes
//! The next incarnation goes on from the connection's checkpoint on the same socket, and hears
//! again what this one had not kept: what was being asked is answered with `451 4.3.0`, a message
//! on its way is read to its end and then refused so. Nothing that was acknowledged is lost: 250
//! is said after the store has it. The command in hand is noted: at its second crash it stands in
//! the book of refused commands, and is answered with `554 5.3.0` from then on.
//!
//! # Metrics
//! `heronry_smtp_messages_total`, `heronry_smtp_accepted_octets_total`,
//! `heronry_smtp_accept_seconds`, `heronry_smtp_delivered_total`, `heronry_smtp_over_quota_total`,
//! `heronry_smtp_sessions_resumed_total`.

use std::sync::Arc;

use bytes::Bytes;
use mail::{AccountId, Enhanced, MessageId, Recipient, Reply};
use mime::Received;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use smtp::{
    Rcpt,
    server::{Checkpoint, Question, Server, Step},
};
use store::{
    StoreError,
    port::{Leases, MailStore, Spool},
};
use supervision::{Budget, Family, Seat, waits};
use world::{
    Clock, Random,
    connection::{Connection, Event},
    tls::ServerTls,
};

use super::{
    admission::Admission,
    incoming::{Completion, Incoming},
    meant::Meant,
    metrics::{MESSAGES, RESUMED},
};
use crate::{
    contract::{
        CommandMark, Identity, LoginMsg, LoginVerdict, MailboxMsg, RouterMsg, SessionMsg, Speaker,
    },
    refused::RefusedCommands,
    session::{
        alike::{secure, verdict},
        hand::{AtWork, Handy, Vetting},
    },
};

/// A session of SMTP, submission or LMTP.
#[derive(Debug)]
pub struct SmtpSession;

/// A connection whose checkpoint is an SMTP session's.
pub type SmtpConnection = Connection<SmtpCheckpoint>;

/// What a restarted session goes on from.
#[derive(Clone, Debug)]
pub struct SmtpCheckpoint {
    server: Checkpoint,
    identity: Option<Identity>,
}

/// What the sessions of a listener need to live. Everything they may touch is named here.
pub struct SmtpSessionArgs {
    /// Who may send what to whom.
    pub admission: Admission,
    /// Memory for messages on their way, for the whole process.
    pub budget: Budget,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How the machine behaves.
    pub config: Arc<smtp::server::Config>,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// Who knows passwords.
    pub login: Seat<LoginMsg>,
    /// How full mailboxes are.
    pub mail: Arc<dyn MailStore>,
    /// Who is told of what has come for them.
    pub mailboxes: Family<AccountId, MailboxMsg>,
    /// Chance, for message ids.
    pub random: Arc<dyn Random>,
    /// The commands that are not run.
    pub refused: RefusedCommands,
    /// Who is told of accepted messages.
    pub router: Seat<RouterMsg>,
    /// Where messages are accepted into.
    pub spool: Arc<dyn Spool>,
    /// For STARTTLS.
    pub tls: Option<ServerTls>,
}

/// What a session has in memory.
pub struct SmtpSessionState {
    pub(super) args: Arc<SmtpSessionArgs>,
    pub(super) connection: SmtpConnection,
    pub(super) server: Server,
    pub(super) identity: Option<Identity>,
    /// Who is meant by the recipients that the machine has accepted.
    pub(super) meant: Meant,
    pub(super) incoming: Option<Incoming>,
    vetting: Vetting,
    /// Whether the house closes: no other transaction begins.
    closing: bool,
}

impl Actor for SmtpSession {
    type Msg = SessionMsg;
    type State = SmtpSessionState;
    type Arguments = (SmtpConnection, Arc<SmtpSessionArgs>);

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMsg>,
        (connection, args): Self::Arguments,
    ) -> Result<SmtpSessionState, ActorProcessingErr> {
        let mut state = SmtpSessionState {
            server: Server::new(args.config.clone()),
            vetting: Vetting::new("smtp", &args.refused),
            args,
            connection,
            identity: None,
            meant: Meant::default(),
            incoming: None,
            closing: false,
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
        state: &mut SmtpSessionState,
    ) -> Result<(), ActorProcessingErr> {
        let mut state = AtWork::new(state, &msg);
        match msg {
            SessionMsg::Begin if !state.connection.is_open() => {
                myself.stop(None); // it has left before it was greeted
                return Ok(());
            }
            SessionMsg::Begin => state.catch_up(),
            // An SMTP session watches nothing, and does not sleep.
            SessionMsg::Changed(..) | SessionMsg::Idle => return Ok(()),
            // A transaction under way may end; the house asks again until then.
            SessionMsg::Closing if state.is_in_transaction() => {
                state.closing = true;
                return Ok(());
            }
            SessionMsg::Closing => state.server.close(closing()),
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
                myself.stop(None);
                return Ok(());
            }
        }
        state.go_on().await;
        state.done();
        Ok(())
    }
}

impl SmtpSessionState {
    /// Takes up what a predecessor left.
    fn resume(&mut self, kept: SmtpCheckpoint) {
        self.server = Server::resume(kept.server, self.connection.hear(), trouble());
        self.identity = kept.identity;
    }

    /// Sees how the connection stands: an event that said so may have died with a predecessor.
    fn catch_up(&mut self) {
        if self.connection.tls().is_some() && !self.server.tls_active() {
            // After STARTTLS everything starts anew.
            self.identity = None;
            self.server.tls_started();
        }
        if self.connection.overdue().is_some() {
            let text = "you have been silent too long";
            self.server.close(Reply::new(421, Enhanced(4, 4, 2), text));
        }
    }

    /// Carries out what the machine wants until it wants to hear from the client.
    async fn go_on(&mut self) {
        let mut is_kept = false;
        loop {
            self.server.watch(self.vetting.is_due());
            let was_kept = std::mem::take(&mut is_kept);
            match self.server.step() {
                Step::Close => return self.connection.close_after(Bytes::new()),
                Step::Discard => {
                    MESSAGES.count(&["refused"]);
                    self.incoming = None;
                }
                Step::Heard => self.vet(),
                Step::Judge(question) => {
                    // Whoever finds a message on its way reads it to its end and refuses it, as one
                    // who finds it at its end does.
                    if !matches!(question, Question::Take { .. }) {
                        self.keep();
                    }
                    self.judge(question).await;
                }
                Step::Read => {
                    self.vetting.is_over();
                    if !was_kept {
                        self.keep();
                    }
                    return self.connection.read_on();
                }
                Step::Send(octets) => {
                    if waits(self.connection.write(octets)).await.is_err() {
                        return; // closed: the event that says so is on its way
                    }
                    self.keep(); // what has been said is not said again
                    is_kept = true;
                }
                Step::StartTls => {
                    if secure(&self.connection, self.args.tls.as_ref()).is_err() {
                        self.connection.abort();
                    }
                    return;
                }
                Step::Store(piece) => self.store(piece).await,
            }
        }
    }

    /// A command that has brought sessions down is not run again.
    fn vet(&mut self) {
        let (speaker, spoken) = (self.speaker(), self.server.in_hand());
        if self.vetting.admits(&speaker, spoken.as_ref()) {
            self.server.admit();
        } else {
            self.server.refuse_command(&poison());
        }
    }

    fn speaker(&self) -> Speaker {
        let client = Speaker::Client(self.connection.peer().ip());
        self.account().map_or(client, Speaker::Account)
    }

    fn is_in_transaction(&self) -> bool {
        self.server.is_in_body() || self.server.mail().is_some()
    }

    /// Leaves what the next incarnation needs where a crash cannot reach it.
    fn keep(&self) {
        let kept = SmtpCheckpoint {
            server: self.server.checkpoint(),
            identity: self.identity.clone(),
        };
        self.connection.keep(kept);
    }

    async fn judge(&mut self, question: Question) {
        match question {
            Question::Auth(_, credentials) => {
                let verdict = self.login(credentials).await;
                self.server.verdict(verdict);
            }
            Question::BeginBody { size } => match self.begin_body(size).await {
                Ok(()) => self.server.yes(),
                Err(reply) => self.server.verdict(reply),
            },
            Question::Mail(_) if self.closing => self.server.close(closing()),
            Question::Mail(mail) => {
                self.meant = Meant::default();
                let client = self.connection.peer().ip();
                match self
                    .args
                    .admission
                    .mail(mail.from.as_ref(), client, self.account())
                {
                    Ok(()) => self.server.yes(),
                    Err(reply) => self.server.verdict(reply),
                }
            }
            // RFC 5321 §4.5.3.1.10, for those behind the aliases, too.
            Question::Rcpt(_) if self.meant.found() >= self.args.config.recipients_max => {
                let text = "too many recipients behind these addresses";
                self.server
                    .verdict(Reply::new(452, Enhanced(4, 5, 3), text));
            }
            Question::Rcpt(rcpt) => match self.mean_with_room(&rcpt) {
                Ok(recipients) => {
                    self.meant.add(recipients);
                    self.server.yes();
                }
                Err(reply) => self.server.verdict(reply),
            },
            Question::Take { octets } => {
                let replies = self.take(octets).await;
                self.server.verdicts(&replies);
            }
            Question::Vrfy(_) => self.server.yes(),
        }
    }

    async fn login(&mut self, credentials: mail::Credentials) -> Reply {
        let client = self.connection.peer().ip();
        let verdict = verdict(&self.args.login, credentials, client).await;
        match verdict {
            LoginVerdict::Busy => Reply::new(454, Enhanced(4, 7, 0), "cannot check now, try later"),
            LoginVerdict::Refused => Reply::new(535, Enhanced(5, 7, 8), "wrong name or password"),
            LoginVerdict::Welcome(identity) => {
                self.identity = Some(identity);
                Reply::new(235, Enhanced(2, 7, 0), "welcome")
            }
        }
    }

    fn mean_with_room(&self, rcpt: &Rcpt) -> Result<Vec<Recipient>, Reply> {
        let meant = self.mean(rcpt)?;
        self.admit(&meant)?;
        Ok(meant)
    }

    pub(super) fn mean(&self, rcpt: &Rcpt) -> Result<Vec<Recipient>, Reply> {
        let client = self.connection.peer().ip();
        let home = &self.args.config.hostname;
        let mut meant = self
            .args
            .admission
            .rcpt(&rcpt.to, home, client, self.account())?;
        for recipient in &mut meant {
            recipient.notify = rcpt.notify;
            if let Some(original) = rcpt.original_address() {
                recipient.original = Some(original);
            }
        }
        Ok(meant)
    }

    async fn begin_body(&mut self, size: Option<u64>) -> Result<(), Reply> {
        let permit = self.args.budget.try_take(Incoming::memory(size));
        let permit = permit.ok_or_else(no_room)?;
        let completion =
            (self.args.config.family == smtp::Family::Submission).then(|| Completion {
                now: self.args.clock.now(),
                message_id: format!(
                    "{}@{}",
                    MessageId(self.args.random.wide()),
                    self.args.config.hostname
                ),
            });
        let begun =
            Incoming::begin(self.args.spool.draft(), permit, self.trace(), completion).await;
        self.incoming = Some(begun.map_err(|error| self.failed(&error))?);
        Ok(())
    }

    /// The fields that say who brought the message (RFC 5321 §4.4).
    fn trace(&self) -> Bytes {
        let hello = self.server.hello().unwrap_or_default();
        let only = self.server.recipients().only(); // nobody learns of the others
        let tls = self.connection.tls();
        let from = self.server.mail().and_then(|mail| mail.from.as_ref());
        let mut trace = mime::return_path(from);
        let received = Received {
            from: hello,
            address: self.connection.peer().ip(),
            by: &self.args.config.hostname,
            with: self.server.protocol(),
            tls: tls
                .as_ref()
                .map(|tls| format!("{} {}", tls.version, tls.cipher)),
            id: None, // given by the store, when this has long been written
            for_: only.map(|rcpt| &rcpt.to),
            at: self.args.clock.now(),
        };
        received.write_to(&mut trace);
        trace.into()
    }

    async fn store(&mut self, piece: Bytes) {
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        if !incoming.has_room_for(&piece) {
            MESSAGES.count(&["refused"]);
            self.incoming = None;
            return self.server.refuse_body(no_room());
        }
        if let Err(error) = incoming.push(piece).await {
            self.incoming = None;
            let reply = self.failed(&error);
            self.server.refuse_body(reply);
        }
    }

    fn account(&self) -> Option<AccountId> {
        self.identity.as_ref().map(|who| who.account)
    }

    pub(super) fn failed(&self, error: &StoreError) -> Reply {
        MESSAGES.count(&["failed"]);
        tracing::warn!(connection = self.connection.id(), %error, "cannot store a message");
        error.reply()
    }
}

impl Handy for SmtpSessionState {
    fn in_hand(&self) -> Option<CommandMark> {
        let spoken = self.server.in_hand()?;
        Some(self.vetting.mark(&self.speaker(), &spoken))
    }
}

fn closing() -> Reply {
    Reply::new(421, Enhanced(4, 3, 2), "closing, come back soon")
}

fn no_room() -> Reply {
    let text = "too many messages at once, try again soon";
    Reply::new(452, Enhanced(4, 3, 1), text)
}

fn poison() -> Reply {
    let text = "local trouble with this command, do not repeat it";
    Reply::new(554, Enhanced(5, 3, 0), text)
}

pub(super) fn trouble() -> Reply {
    Reply::new(451, Enhanced(4, 3, 0), "local trouble, try again later")
}
