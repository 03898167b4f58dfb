//! The end of a message: it becomes durable, and whoever it is for hears of it.
//!
//! What is only for mailboxes of this house is in them with the step that makes it durable (ADR
//! 0019); everything else waits in the spool, and the router is told.

use mail::{Enhanced, Envelope, MessageId, Recipient, Reply, Target, Time};
use store::port::{Accepted, Delivered, Fence, NewMail, Shard};
use supervision::waits;

use super::{
    actor::{SmtpSessionState, trouble},
    incoming::Incoming,
    meant::Meant,
    metrics::{ACCEPT_SECONDS, DELIVERED, MESSAGES, OCTETS},
    room::full_reply,
};
use crate::contract::{Landed, MailboxMsg, RouterMsg};

impl SmtpSessionState {
    /// An answer for each recipient of the dialogue: 250 only when the message is on stable storage
    /// (RFC 5321 §6.1).
    pub(super) async fn take(&mut self, octets: u64) -> Vec<Reply> {
        let count = self.server.recipients().len();
        let Some(incoming) = self.incoming.take() else {
            return vec![trouble(); count];
        };
        let refused = match self.know_meant().and_then(|()| self.refused(octets)) {
            Ok(refused) => refused,
            Err(reply) => return vec![reply; count],
        };
        if !refused.contains(&false) {
            MESSAGES.count(&["refused"]);
            return vec![full_reply(); refused.len()];
        }
        let begun = self.args.clock.monotonic();
        match self.accept(incoming, &refused).await {
            Ok(id) => {
                ACCEPT_SECONDS.observe((self.args.clock.monotonic() - begun).as_secs_f64(), &[]);
                MESSAGES.count(&["accepted"]);
                OCTETS.add(octets, &[]);
                let taken = || Reply::new(250, Enhanced(2, 0, 0), format!("taken as {id}"));
                let each = refused.iter().map(|&refused| match refused {
                    true => full_reply(),
                    false => taken(),
                });
                each.collect()
            }
            Err(reply) => vec![reply; refused.len()],
        }
    }

    async fn accept(&mut self, incoming: Incoming, refused: &[bool]) -> Result<MessageId, Reply> {
        let draft = incoming
            .finish()
            .await
            .map_err(|error| self.failed(&error))?;
        let envelope = self.envelope(refused);
        let arrived = self.args.clock.now();
        let (owners, targets) = (
            self.owners(&envelope.recipients),
            told(&envelope.recipients),
        );
        let mail = NewMail {
            envelope,
            draft,
            arrived,
            answers: None,
            origin: self.origin(),
        };
        // Any shard will do: the message is this node's until it is delivered.
        let fence = self.args.leases.fence(Shard::nth(self.connection.id()));
        let fence = fence.map_err(|error| self.failed(&error))?;
        let accepted = match owners {
            Some(owners) => waits(self.args.spool.accept_home(fence, &owners, mail)).await,
            None => waits(self.args.spool.accept(fence, mail))
                .await
                .map(Accepted::in_spool),
        };
        let Accepted { id, delivered } = accepted.map_err(|error| self.failed(&error))?;
        if delivered.is_empty() {
            self.tell_router(id, arrived, targets);
        } else {
            self.tell_mailboxes(&delivered);
        }
        Ok(id)
    }

    /// The right to write to the mailboxes of all recipients; `None` if somebody is not ours.
    fn owners(&self, recipients: &[Recipient]) -> Option<Vec<Fence>> {
        let fence = |recipient: &Recipient| match recipient.target {
            Target::Local { account, .. } => {
                self.args.leases.fence(Shard::of_account(account)).ok()
            }
            Target::Remote(_) => None,
        };
        recipients.iter().map(fence).collect()
    }

    /// Nobody there: the router looks at the spool as it starts.
    fn tell_router(&self, id: MessageId, arrived: Time, targets: Option<Vec<Target>>) {
        let hint = targets.map_or(RouterMsg::Route(id), |targets| RouterMsg::Accepted {
            id,
            arrived,
            targets,
        });
        let _ = self.args.router.cast(hint);
    }

    /// Nobody there: nobody watches.
    fn tell_mailboxes(&self, delivered: &[Delivered]) {
        DELIVERED.add(delivered.len() as u64, &[]);
        for one in delivered {
            let arrived = MailboxMsg::Arrived(Landed::at(one.mailbox, one.modseq));
            let _ = self.args.mailboxes.tell(&one.account, arrived);
        }
    }

    /// A crash may have come between: the checkpoint has what was said, not what was meant.
    fn know_meant(&mut self) -> Result<(), Reply> {
        if self.meant.said() != self.server.recipients().len() {
            self.meant = Meant::default();
            for rcpt in self.server.recipients().iter() {
                let recipients = self.mean(rcpt)?;
                self.meant.add(recipients);
            }
        }
        Ok(())
    }

    fn envelope(&mut self, refused: &[bool]) -> Envelope {
        let mail = self.server.mail().cloned().unwrap_or_default();
        Envelope {
            from: mail.from,
            recipients: std::mem::take(&mut self.meant).into_recipients(refused),
            body: mail.body,
            smtputf8: false,
            envid: mail.envid,
            ret: mail.ret,
        }
    }

    fn origin(&self) -> String {
        let peer = self.connection.peer().ip();
        let (hello, protocol) = (
            self.server.hello().unwrap_or_default(),
            self.server.protocol(),
        );
        match &self.identity {
            Some(who) => format!(
                "{protocol} from {peer} ({hello}), logged in as {}",
                who.address
            ),
            None => format!("{protocol} from {peer} ({hello})"),
        }
    }
}

/// Where each recipient is to go, if they are few: what many would take in the router's inbox, it
/// reads.
fn told(recipients: &[Recipient]) -> Option<Vec<Target>> {
    let targets = recipients.iter().map(|recipient| recipient.target.clone());
    (recipients.len() <= TARGETS_TOLD_MAX).then(|| targets.collect())
}

/// Recipients of one message of which the router is told in so many words.
const TARGETS_TOLD_MAX: usize = 10;
