//! The login room, as an actor: it says whether a password is right.
//!
//! # Owns
//! Who has logged in a short while ago, who has failed, and whose answer is held back. It decides
//! nothing itself: the decisions are [`LoginCore`]'s.
//!
//! # Hears
//! [`LoginMsg`]: `Verify` from sessions, `Checked` from its workers, `Wake` from its alarm.
//!
//! # Says
//! [`HashMsg::Check`] to its workers, and the verdict to whoever asked.
//!
//! # Supervised by
//! The advisers, `Permanent`, after its workers.
//!
//! # When it crashes
//! Logins under way end without a verdict: their sessions answer "try again later". Everybody is
//! hashed once more, and failures count from zero again.
//!
//! # Metrics
//! `heronry_login_check_seconds`, `heronry_login_held_back`, `heronry_login_verdicts_total`.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use mail::{Address, Credentials, Secret};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use store::{
    StoreError,
    port::{AccountRow, Accounts, Entry},
};
use supervision::{Alarm, Seat, alarm};
use world::{Clock, Random};

use super::{
    Config,
    core::{Attempt, Digest, Effect, LoginCore},
    metrics::{LOGIN_CHECK_SECONDS, LOGIN_HELD_BACK, LOGIN_VERDICTS},
    password,
};
use crate::contract::{Checked, HashMsg, Identity, LoginMsg, LoginRequest, LoginVerdict};

/// The login room.
#[derive(Debug)]
pub struct Login;

/// What the login room needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct LoginArgs {
    /// Who has an account.
    pub accounts: Arc<dyn Accounts>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What the operator has set.
    pub config: Config,
    /// Its workers, as many as the configuration says.
    pub hashers: Vec<Seat<HashMsg>>,
    /// Chance, for its own key.
    pub random: Arc<dyn Random>,
}

/// What the login room has in memory.
pub struct LoginState {
    args: LoginArgs,
    alarm: Option<(Duration, Alarm)>,
    core: LoginCore,
    /// Hashed against for users that are not there, so that they take as long as the others.
    dummy: String,
    /// Nobody outside this process can compute what is remembered.
    key: [u8; 32],
    numbers: u64,
    waiting: HashMap<u64, Waiting>,
}

/// Somebody who waits for a verdict.
struct Waiting {
    client: IpAddr,
    reply: RpcReplyPort<LoginVerdict>,
    since: Duration,
    /// Until it goes to a worker.
    check: Option<(String, Secret)>,
}

impl Actor for Login {
    type Msg = LoginMsg;
    type State = LoginState;
    type Arguments = LoginArgs;

    async fn pre_start(
        &self,
        _: ActorRef<LoginMsg>,
        args: LoginArgs,
    ) -> Result<LoginState, ActorProcessingErr> {
        let mut key = [0; 32];
        args.random.fill(&mut key);
        let random = Arc::clone(&args.random);
        let nobody = Secret::new(format!("{:032x}", random.wide()));
        let dummy = supervision::blocking(move || password::hash(&nobody, &*random)).await?;
        Ok(LoginState {
            core: LoginCore::new(Config {
                workers: args.hashers.len(),
                ..args.config.clone()
            }),
            alarm: None,
            args,
            dummy,
            key,
            numbers: 0,
            waiting: HashMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<LoginMsg>,
        msg: LoginMsg,
        state: &mut LoginState,
    ) -> Result<(), ActorProcessingErr> {
        let now = state.args.clock.monotonic();
        let effects = match msg {
            LoginMsg::Checked(checked) => state.checked(checked, now),
            LoginMsg::Inspect(reply) => {
                let _ = reply.send(state.core.report()); // whoever asked may have left
                return Ok(());
            }
            LoginMsg::Verify(request, reply) => state.verify(request, reply, now),
            LoginMsg::Wake => {
                state.alarm = None;
                state.core.wake(now)
            }
        };
        state.carry_out(effects, now, &myself);
        Ok(())
    }
}

impl LoginState {
    fn verify(
        &mut self,
        request: LoginRequest,
        reply: RpcReplyPort<LoginVerdict>,
        now: Duration,
    ) -> Vec<Effect> {
        let found = match self.find(&request.credentials) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "cannot look up an account");
                answer(reply, LoginVerdict::Busy, "busy");
                return Vec::new();
            }
        };
        let hash = found.as_ref().and_then(|row| row.password.clone());
        let identity = match (&found, &hash) {
            (Some(row), Some(_)) => Some(Identity {
                account: row.id,
                address: row.address.clone(),
            }),
            _ => None,
        };
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let Credentials {
            authcid, password, ..
        } = request.credentials;
        let attempt = Attempt {
            identity,
            user: self.digest(&[authcid.to_ascii_lowercase().as_bytes()]),
            proof: self.digest(&[hash.as_bytes(), password.expose().as_bytes()]),
            client: request.client,
        };
        self.numbers += 1;
        let number = self.numbers;
        let waiting = Waiting {
            client: request.client,
            reply,
            since: now,
            check: Some((hash, password)),
        };
        self.waiting.insert(number, waiting);
        self.core.arrive(number, attempt, now)
    }

    /// The account that is meant; none also when somebody wants to act as somebody else.
    fn find(&self, credentials: &Credentials) -> Result<Option<AccountRow>, StoreError> {
        let accounts = &*self.args.accounts;
        let user = credentials.authcid.as_str();
        if credentials
            .authzid
            .as_deref()
            .is_some_and(|other| other != user)
        {
            return Ok(None);
        }
        let address = if user.contains('@') {
            user.parse().ok()
        } else {
            let first = accounts.domains()?.into_iter().next();
            first.and_then(|domain| Address::new(user, domain).ok())
        };
        let Some(address) = address else {
            return Ok(None);
        };
        match accounts.entry(address.local(), address.domain())? {
            Some(Entry::Account(id)) => accounts.account(id),
            Some(Entry::Alias(_)) | None => Ok(None),
        }
    }

    fn checked(&mut self, checked: Checked, now: Duration) -> Vec<Effect> {
        if let Some(waiting) = self.waiting.get(&checked.request) {
            LOGIN_CHECK_SECONDS.observe(now.saturating_sub(waiting.since).as_secs_f64(), &[]);
        }
        self.core.computed(checked, now)
    }

    fn carry_out(&mut self, effects: Vec<Effect>, now: Duration, myself: &ActorRef<LoginMsg>) {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Answer(request, verdict) => self.answer(request, verdict),
                Effect::Compute(request, worker) => {
                    if !self.compute(request, worker) {
                        effects.extend(self.core.unreachable(request));
                    }
                }
                Effect::WakeAt(due) => self.wake_at(due, now, myself),
            }
        }
        let report = self.core.report();
        LOGIN_HELD_BACK.set(report.held_back as f64, &[]);
    }

    fn compute(&mut self, request: u64, worker: usize) -> bool {
        let Some((hash, password)) = self.waiting.get_mut(&request).and_then(|w| w.check.take())
        else {
            return false;
        };
        self.args.hashers.get(worker).is_some_and(|seat| {
            seat.cast(HashMsg::Check {
                request,
                hash,
                password,
            })
            .is_ok()
        })
    }

    fn answer(&mut self, request: u64, verdict: LoginVerdict) {
        let Some(Waiting {
            client,
            reply,
            check,
            ..
        }) = self.waiting.remove(&request)
        else {
            return;
        };
        if verdict == LoginVerdict::Refused {
            // Not the name: now and then somebody types the password there.
            tracing::info!(%client, "a login was refused");
        }
        let label = match verdict {
            LoginVerdict::Busy => "busy",
            LoginVerdict::Refused => "refused",
            LoginVerdict::Welcome(_) if check.is_some() => "remembered",
            LoginVerdict::Welcome(_) => "welcome",
        };
        answer(reply, verdict, label);
    }

    fn wake_at(&mut self, due: Duration, now: Duration, myself: &ActorRef<LoginMsg>) {
        if self
            .alarm
            .as_ref()
            .is_none_or(|(earlier, _)| due < *earlier)
        {
            let after = due.saturating_sub(now);
            self.alarm = Some((due, alarm(after, myself, LoginMsg::Wake)));
        }
    }

    fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

impl fmt::Debug for LoginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginState")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

fn answer(reply: RpcReplyPort<LoginVerdict>, verdict: LoginVerdict, label: &str) {
    LOGIN_VERDICTS.count(&[label]);
    let _ = reply.send(verdict); // the client may have left
}
