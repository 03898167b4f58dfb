//! Stands before the mailbox actors of a house and keeps chosen questions from them: a disk that
//! is slow, a mailbox actor that dies with a question in its hands.

use std::sync::Arc;

use heronry_actors::contract::MailboxMsg;
use mail::AccountId;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{Family, FamilySpec};
use tokio::sync::mpsc;

/// What becomes of a question.
pub(crate) enum Fate {
    /// Its answer never comes.
    Held,
    Passed,
}

/// Decides about each question.
pub(crate) type Judge = Arc<dyn Fn(&MailboxMsg) -> Fate + Send + Sync>;

/// How a test hears that a question has been held.
pub(crate) type Caught = mpsc::UnboundedReceiver<()>;

/// The gate's family, to be asked in the place of `mailboxes`.
pub(crate) fn gate(
    mailboxes: Family<AccountId, MailboxMsg>,
    judge: Judge,
) -> (Family<AccountId, MailboxMsg>, Caught) {
    let (tell, caught) = mpsc::unbounded_channel();
    let family = Family::new(FamilySpec::transient("gate"), move |id: &AccountId, _| {
        let warden = WardenState {
            account: *id,
            mailboxes: mailboxes.clone(),
            judge: judge.clone(),
            held: Vec::new(),
            tell: tell.clone(),
        };
        (Warden, warden)
    });
    (family, caught)
}

struct Warden;

struct WardenState {
    account: AccountId,
    mailboxes: Family<AccountId, MailboxMsg>,
    judge: Judge,
    held: Vec<MailboxMsg>,
    tell: mpsc::UnboundedSender<()>,
}

impl Actor for Warden {
    type Msg = MailboxMsg;
    type State = WardenState;
    type Arguments = WardenState;

    async fn pre_start(
        &self,
        _: ActorRef<MailboxMsg>,
        state: WardenState,
    ) -> Result<WardenState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<MailboxMsg>,
        msg: MailboxMsg,
        state: &mut WardenState,
    ) -> Result<(), ActorProcessingErr> {
        let fate = (state.judge)(&msg);
        match fate {
            Fate::Held => {
                state.held.push(msg);
                let _ = state.tell.send(());
            }
            Fate::Passed => assert!(state.mailboxes.cast(&state.account, msg).is_ok()),
        }
        Ok(())
    }
}
