//! A child as data: when it is started again, how it is stopped, how long to wait between failures.

use std::time::Duration;

use crate::{core::Rule, name::Name, start::Start, supervisor::Supervisor};

/// One child of a supervisor.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// Unique among its siblings; also the label `kind` in metrics and logs.
    pub name: Name,
    /// When an ended child is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// How long to wait before a restart; none: at once.
    pub backoff: Option<Backoff>,
    /// When a handler that does not return is reported; none: never.
    pub heartbeat: Option<Heartbeat>,
    /// Whether its end by itself counts for the supervisor's [`AutoShutdown`].
    pub significant: bool,
    /// How it is started.
    pub start: Start,
}

impl ChildSpec {
    /// A child that is always started again.
    pub fn permanent(name: impl Into<Name>, start: Start) -> Self {
        Self::new(name, Restart::Permanent, start)
    }

    /// A child that is never started again.
    pub fn temporary(name: impl Into<Name>, start: Start) -> Self {
        Self::new(name, Restart::Temporary, start)
    }

    /// A child that is started again after a crash.
    pub fn transient(name: impl Into<Name>, start: Start) -> Self {
        Self::new(name, Restart::Transient, start)
    }

    /// A supervisor as a child: permanent, and given all the time it needs to stop, because the
    /// time limits stand at its own children.
    pub fn supervisor(supervisor: Supervisor) -> Self {
        let name = supervisor.name().clone();
        Self::permanent(name, Start::supervisor(supervisor)).with_shutdown(Shutdown::Infinity)
    }

    /// The same child, stopped in another way.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// The same child, restarted after a pause.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// The same child, watched for handlers that do not return.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// The same child, counted by the supervisor's [`AutoShutdown`].
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// What a supervisor's decisions depend on.
    pub(crate) fn rule(&self) -> Rule {
        Rule {
            restart: self.restart,
            shutdown: self.shutdown,
            backoff: self.backoff,
            significant: self.significant,
        }
    }

    fn new(name: impl Into<Name>, restart: Restart, start: Start) -> Self {
        Self {
            name: name.into(),
            restart,
            shutdown: Shutdown::Stop(SHUTDOWN_DEFAULT),
            backoff: None,
            heartbeat: None,
            significant: false,
            start,
        }
    }
}

/// When an ended child is started again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Never: connections, delivery attempts.
    Temporary,
    /// Only after a crash: queues, mailboxes.
    Transient,
}

impl Restart {
    /// Whether a child that ended this way by itself is started again.
    pub(crate) fn again(self, abnormal: bool) -> bool {
        match self {
            Self::Permanent => true,
            Self::Temporary => false,
            Self::Transient => abnormal,
        }
    }
}

/// How a child is stopped. Whoever is still there after its time is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shutdown {
    /// It handles everything that was in its inbox, then ends.
    Drain(Duration),
    /// It is asked to stop and given all the time it needs: for supervisors.
    Infinity,
    /// Its handler is dropped at once, without `post_stop`.
    Kill,
    /// It ends after the message in hand; the inbox is dropped.
    Stop(Duration),
}

impl Shutdown {
    /// The time after which the child is killed.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Self::Drain(limit) | Self::Stop(limit) => Some(limit),
            Self::Infinity => None,
            Self::Kill => Some(Duration::ZERO),
        }
    }
}

/// Who is restarted when one child fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Strategy {
    /// All of them.
    OneForAll,
    /// Only the one that failed.
    OneForOne,
    /// The one that failed and everything listed after it.
    RestForOne,
}

/// When a supervisor ends because its children have ended by themselves, with nothing to restart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AutoShutdown {
    /// Once all significant children have.
    AllSignificant,
    /// Once one significant child has.
    AnySignificant,
    /// Never.
    #[default]
    Never,
}

/// How many restarts are borne within a time; one more and the supervisor gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Intensity {
    /// The number of restarts that is still borne.
    pub restarts_max: u32,
    /// The time that is looked back upon.
    pub window: Duration,
}

impl Default for Intensity {
    /// Three in a minute.
    fn default() -> Self {
        Self {
            restarts_max: 3,
            window: Duration::from_secs(60),
        }
    }
}

/// How long to wait before a restart: `base * factor^n`, at most `cap`, after the n-th failure in
/// a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The pause before the first restart.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
    /// What each further failure multiplies the pause by; 1 or more.
    pub factor: f64,
    /// The share of the pause, 0 to 1, that is left to chance, so that many do not return at once.
    pub jitter: f64,
    /// A child that lived this long has failed for the first time again.
    pub reset_after: Duration,
}

impl Default for Backoff {
    /// 10 ms, doubled up to 10 s, a fifth of it left to chance; forgotten after a minute.
    fn default() -> Self {
        Self {
            base: Duration::from_millis(10),
            cap: Duration::from_secs(10),
            factor: 2.0,
            jitter: 0.2,
            reset_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The pause after `failures` failures in a row before this one; `chance` is in 0..1.
    pub(crate) fn pause(&self, failures: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(failures.min(1_000)).unwrap_or(1_000);
        let cap = self.cap.as_secs_f64();
        let full = (self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent)).min(cap);
        let jitter = self.jitter.clamp(0.0, 1.0);
        let pause = full * (1.0 - jitter * chance.clamp(0.0, 1.0));
        Duration::try_from_secs_f64(pause).unwrap_or(self.cap) // a cap beyond all numbers
    }
}

/// When a handler that does not return is reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heartbeat {
    /// The longest time one message may take.
    pub limit: Duration,
    /// Whether the stuck child is killed, and so started again as its [`Restart`] says.
    pub kill: bool,
}

/// What OTP gives a worker as well.
const SHUTDOWN_DEFAULT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_never_exceeds_the_cap_nor_falls_below_what_jitter_leaves(
            failures in 0_u32..5_000,
            chance in 0.0..1.0_f64,
        ) {
            let backoff = Backoff::default();
            let pause = backoff.pause(failures, chance);
            prop_assert!(pause <= backoff.cap);
            prop_assert!(pause >= backoff.base.mul_f64(0.79));
        }
    }

    #[test]
    fn a_pause_without_a_cap_is_no_panic() {
        let backoff = Backoff {
            cap: Duration::MAX,
            jitter: f64::NAN,
            ..Backoff::default()
        };
        assert_eq!(backoff.pause(5_000, 0.5), Duration::MAX);
    }

    #[test]
    fn pauses_double_until_the_cap() {
        let backoff = Backoff {
            jitter: 0.0,
            ..Backoff::default()
        };
        assert_eq!(backoff.pause(0, 0.5), Duration::from_millis(10));
        assert_eq!(backoff.pause(3, 0.5), Duration::from_millis(80));
        assert_eq!(backoff.pause(30, 0.5), Duration::from_secs(10));
    }
}
