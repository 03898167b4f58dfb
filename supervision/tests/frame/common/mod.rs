//! An actor that does as it is told, and a place where it writes down what happened to it.

pub(crate) mod theatre;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use supervision::{ChildSpec, Inquiry, Seat, Told, actor};

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.read()
            .iter()
            .filter(|written| *written == line)
            .count()
    }
}

/// What a puppet can be told.
#[derive(Debug)]
pub(crate) enum Do {
    Echo(u64, RpcReplyPort<u64>),
    Fail,
    Hang,
    Note(u64),
    Panic,
    Stop,
    Who(RpcReplyPort<ractor::ActorId>),
}

impl Told for Do {
    fn kind(&self) -> &'static str {
        match self {
            Self::Echo(..) => "Echo",
            Self::Fail => "Fail",
            Self::Hang => "Hang",
            Self::Note(_) => "Note",
            Self::Panic => "Panic",
            Self::Stop => "Stop",
            Self::Who(_) => "Who",
        }
    }

    fn inspect() -> Option<Inquiry<Self>> {
        Some(Inquiry::new(|port| Self::Echo(7, port)))
    }
}

/// An error with a type, to be found again.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("told to fail")]
pub(crate) struct ToldToFail;

/// What a puppet does at the turns of its life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum At {
    #[default]
    Nothing,
    PanicInPreStart,
    FailInPreStart,
    HangInPreStart,
    PanicInPostStart,
    PanicInPostStop,
    HangInPostStop,
}

pub(crate) struct Puppet;

#[derive(Clone)]
pub(crate) struct Strings {
    pub name: String,
    pub diary: Diary,
    pub at: Arc<Mutex<At>>,
    /// Called by `Stop`-less ends: what the member's own handle offers.
    pub passivate: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Told of the first incarnation's address.
    pub myself: Arc<Mutex<Option<tokio::sync::oneshot::Sender<ActorRef<Do>>>>>,
}

impl Strings {
    pub(crate) fn new(name: &str, diary: &Diary) -> Self {
        Self {
            name: name.to_owned(),
            diary: diary.clone(),
            at: Arc::default(),
            passivate: None,
            myself: Arc::default(),
        }
    }

    pub(crate) fn set(&self, at: At) {
        *self.at.lock().unwrap() = at;
    }

    pub(crate) fn at(&self) -> At {
        *self.at.lock().unwrap()
    }
}

/// Written down when the state is dropped.
pub(crate) struct Life(Strings);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.diary.write(format!("-{}", self.0.name));
    }
}

impl Actor for Puppet {
    type Msg = Do;
    type State = Life;
    type Arguments = Strings;

    async fn pre_start(
        &self,
        myself: ActorRef<Do>,
        args: Strings,
    ) -> Result<Life, ActorProcessingErr> {
        if let Some(tell) = args.myself.lock().unwrap().take() {
            let _ = tell.send(myself);
        }
        match args.at() {
            At::PanicInPreStart => panic!("in pre_start"),
            At::FailInPreStart => return Err(ToldToFail.into()),
            At::HangInPreStart => std::future::pending().await,
            _ => {}
        }
        args.diary.write(format!("+{}", args.name));
        Ok(Life(args))
    }

    async fn post_start(
        &self,
        _: ActorRef<Do>,
        state: &mut Life,
    ) -> Result<(), ActorProcessingErr> {
        match state.0.at() {
            At::PanicInPostStart => panic!("in post_start"),
            _ => Ok(()),
        }
    }

    async fn handle(
        &self,
        myself: ActorRef<Do>,
        message: Do,
        state: &mut Life,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Do::Echo(number, reply) => {
                let _ = reply.send(number);
            }
            Do::Fail => return Err(ToldToFail.into()),
            Do::Hang => std::future::pending().await,
            Do::Note(number) => state.0.diary.write(format!("{}:{number}", state.0.name)),
            Do::Panic => panic!("told to panic"),
            Do::Stop => match &state.0.passivate {
                Some(passivate) => passivate(),
                None => myself.stop(None),
            },
            Do::Who(reply) => {
                let _ = reply.send(myself.get_id());
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Do>, state: &mut Life) -> Result<(), ActorProcessingErr> {
        match state.0.at() {
            At::PanicInPostStop => panic!("in post_stop"),
            At::HangInPostStop => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

/// A permanent puppet, with its seat and its strings.
pub(crate) fn puppet(name: &str, diary: &Diary) -> (ChildSpec, Seat<Do>, Strings) {
    let (seat, strings) = (Seat::new(name), Strings::new(name, diary));
    let args = strings.clone();
    (
        ChildSpec::permanent(name, actor(|| Puppet, move || args.clone(), &seat)),
        seat,
        strings,
    )
}

/// Long enough for everything, in time that does not pass for real.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);

/// Goes to a second in which nobody else has panicked, and stays alone with stacks: all tests are one
/// process, whose crashes share a ration of backtraces for each second, and while one is read none is
/// taken.
pub(crate) async fn a_second_of_ones_own() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    static TAKEN: AtomicU32 = AtomicU32::new(1);
    let days = TAKEN.fetch_add(1, Ordering::Relaxed);
    let alone = ALONE.lock().await;
    tokio::time::advance(Duration::from_secs(86_400) * days).await;
    alone
}
