//! What the store promises about mail that is put into mailboxes as it is accepted.

use heronry_store::{
    StoreError,
    port::{
        Accepted, AccountChange, Answer, Delivered, Fence, MessageRow, Quota, RecipientState,
        Shard, State, UidRange,
    },
};
use mail::{AccountId, Flags, Recipient, Target, Time};

use super::bench::{Bench, address, assert_is, domain, new_account, remote, uid};

const TEXT: &[u8] = b"Subject: hi\r\n\r\nhi\r\n";

fn at(account: AccountId, detail: Option<&str>) -> Recipient {
    let target = Target::Local {
        account,
        detail: detail.map(str::to_owned),
    };
    Recipient::new(address("somebody@example.test"), target)
}

async fn bob(bench: &Bench) -> AccountId {
    let new = new_account("bob@example.test");
    bench.change(vec![new]).await.unwrap();
    bench.id_of("bob@example.test")
}

async fn accept(bench: &Bench, to: Vec<Recipient>, text: &[u8]) -> Result<Accepted, StoreError> {
    let owners: Vec<Fence> = to.iter().map(|_| bench.fence()).collect();
    let mail = bench.mail(to, 1_000, text).await;
    bench.store.accept_home(bench.fence(), &owners, mail).await
}

/// How many messages are in that mailbox.
#[track_caller]
fn count(bench: &Bench, account: AccountId, name: &str) -> u32 {
    let row = bench.store.mailbox_named(account, name).unwrap();
    row.unwrap().messages
}

/// It is in the spool, and nobody has it yet.
#[track_caller]
fn assert_waits(bench: &Bench, accepted: &Accepted, recipients: usize) {
    assert_eq!(accepted.delivered, []);
    let spooled = bench.store.get(accepted.id).unwrap().unwrap();
    assert_eq!(spooled.states.len(), recipients);
    let is_open = |state: &RecipientState| state.state == State::Open;
    assert!(spooled.states.iter().all(is_open));
}

pub(crate) async fn mail_for_accounts_is_in_their_mailboxes_in_one_step_and_never_in_the_spool(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let bob = bob(&bench).await;
    let before = bench.inbox();
    bench.append(before.id, b"an earlier one").await;
    let to = vec![at(bench.ann, None), at(bob, None)];
    let accepted = accept(&bench, to, TEXT).await.unwrap();
    let inbox = |account| {
        bench
            .store
            .mailbox_named(account, "INBOX")
            .unwrap()
            .unwrap()
    };
    let delivered = |account, number| Delivered {
        account,
        mailbox: inbox(account).id,
        uid: uid(number),
        modseq: inbox(account).highest_modseq,
    };
    let both = [delivered(bench.ann, 2), delivered(bob, 1)];
    assert_eq!(accepted.delivered, both);
    for _ in 0..3 {
        assert_eq!(bench.store.get(accepted.id).unwrap(), None);
        assert_eq!(bench.store.open(None, 9).unwrap(), []);
        let row = bench.inbox();
        let octets = 14 + TEXT.len() as u64;
        assert_eq!((row.messages, row.unseen, row.octets), (2, 2, octets));
        assert_eq!(count(&bench, bob, "INBOX"), 1);
        let rows = bench.rows(before.id);
        let last = rows.last().unwrap();
        assert_eq!((last.uid, last.flags), (uid(2), Flags::NONE));
        assert_eq!(last.internal_date, Time(1_000));
        assert_eq!(last.modseq, row.highest_modseq);
        assert_eq!(last.thread_id, last.email_id);
        assert_eq!(bench.octets(last), TEXT);
        bench.reopen().await;
    }
    // They share the body: it goes with the last of them.
    let gone = bench
        .store
        .expunge(bench.fence(), bench.ann, before.id, vec![uid(2)], false);
    gone.await.unwrap();
    let mailbox = bench.store.mailbox_named(bob, "INBOX").unwrap().unwrap();
    let mut rows = Vec::new();
    let mut each = |row: &MessageRow| {
        rows.push(*row);
        true
    };
    bench
        .store
        .messages(bob, mailbox.id, UidRange::ALL, &mut each)
        .unwrap();
    assert_eq!(bench.octets(&rows[0]), TEXT);
}

pub(crate) async fn a_detail_names_a_mailbox_that_is_there(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    bench.create("lists").await;
    for detail in ["lists", "inbox", "nothing"] {
        let to = vec![at(bench.ann, Some(detail))];
        let accepted = accept(&bench, to, TEXT).await.unwrap();
        assert_eq!(accepted.delivered.len(), 1, "{detail}");
    }
    assert_eq!(count(&bench, bench.ann, "lists"), 1);
    assert_eq!(count(&bench, bench.ann, "INBOX"), 2);
}

pub(crate) async fn what_not_all_can_take_at_once_waits_for_all_of_them(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let bob = bob(&bench).await;
    let ann = bench.ann;
    let many = (0..100).map(|n| at(AccountId(1_000 + n), None)).collect();
    for to in [
        vec![at(ann, None), remote("carol@elsewhere.test")],
        vec![at(ann, None), at(ann, Some("lists"))],
        vec![at(ann, None), at(AccountId(77), None)],
        many,
    ] {
        let recipients = to.len();
        let accepted = accept(&bench, to, TEXT).await.unwrap();
        assert_waits(&bench, &accepted, recipients);
    }
    let limit = |octets| {
        let quota = Quota {
            octets,
            messages: None,
        };
        AccountChange::SetQuota(address("ann@example.test"), quota)
    };
    bench.change(vec![limit(Some(30))]).await.unwrap();
    let both = || vec![at(ann, None), at(bob, None)];
    let accepted = accept(&bench, both(), TEXT).await.unwrap();
    assert_eq!(accepted.delivered.len(), 2, "she has room");
    let accepted = accept(&bench, both(), TEXT).await.unwrap();
    assert_waits(&bench, &accepted, 2);
    assert_eq!(count(&bench, ann, "INBOX"), 1);
    assert_eq!(count(&bench, bob, "INBOX"), 1);
}

pub(crate) async fn a_limited_domain_counts_what_comes_so(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let bob = bob(&bench).await;
    let quota = Quota {
        octets: None,
        messages: Some(2),
    };
    let change = AccountChange::SetDomainQuota(domain("example.test"), quota);
    bench.change(vec![change]).await.unwrap();
    let to = vec![at(bench.ann, None), at(bob, None)];
    let accepted = accept(&bench, to, TEXT).await.unwrap();
    assert_waits(&bench, &accepted, 2);
    for account in [bench.ann, bob] {
        let accepted = accept(&bench, vec![at(account, None)], TEXT).await.unwrap();
        assert_eq!(accepted.delivered.len(), 1);
    }
    let usage = bench.store.usage(bob).unwrap().unwrap();
    assert_eq!(usage.together.held.messages, 2);
    let accepted = accept(&bench, vec![at(bob, None)], TEXT).await.unwrap();
    assert_waits(&bench, &accepted, 1);
}

pub(crate) async fn a_bounce_for_an_account_waits_and_closes_what_it_answers_for(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let failed = bench.accept(vec![remote("x@elsewhere.test")], 5).await;
    let mut mail = bench.mail(vec![at(bench.ann, None)], 1_000, TEXT).await;
    mail.answers = Some(Answer {
        id: failed,
        recipients: vec![0],
    });
    let accepted = bench
        .store
        .accept_home(bench.fence(), &[bench.fence()], mail);
    assert_waits(&bench, &accepted.await.unwrap(), 1);
    assert_eq!(bench.store.get(failed).unwrap(), None);
}

pub(crate) async fn who_does_not_own_a_mailbox_puts_nothing_into_it(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let stale = Fence {
        shard: Shard::of_account(bench.ann),
        epoch: bench.fence().epoch + 1,
    };
    for (fence, owner) in [(bench.fence(), stale), (stale, bench.fence())] {
        let mail = bench.mail(vec![at(bench.ann, None)], 1_000, TEXT).await;
        let accepted = bench.store.accept_home(fence, &[owner], mail);
        assert_is(accepted.await, "Fenced");
    }
    assert_eq!(count(&bench, bench.ann, "INBOX"), 0);
    assert_eq!(bench.store.open(None, 9).unwrap(), []);
}

pub(crate) async fn a_large_body_comes_home_too(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let large: Vec<u8> = (0..900_000_u32).map(|n| (n / 7) as u8).collect();
    let accepted = accept(&bench, vec![at(bench.ann, None)], &large);
    assert_eq!(accepted.await.unwrap().delivered.len(), 1);
    bench.reopen().await;
    let rows = bench.rows(bench.inbox().id);
    assert!(bench.octets(&rows[0]) == large);
}

pub(crate) async fn those_who_come_home_at_once_get_numbers_of_their_own(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let bob = bob(&bench).await;
    let mut pending = Vec::new();
    for number in 0..40 {
        let to = match number % 3 {
            0 => vec![at(bench.ann, None)],
            1 => vec![at(bob, None), at(bench.ann, None)],
            _ => vec![at(bench.ann, None), at(bob, None)],
        };
        let owners: Vec<Fence> = to.iter().map(|_| bench.fence()).collect();
        let mail = bench.mail(to, number, TEXT).await;
        pending.push(bench.store.accept_home(bench.fence(), &owners, mail));
    }
    for accepted in pending {
        assert!(!accepted.await.unwrap().delivered.is_empty());
    }
    let row = bench.inbox();
    assert_eq!((row.messages, row.uid_next), (40, uid(41)));
    assert_eq!(count(&bench, bob, "INBOX"), 26);
}
