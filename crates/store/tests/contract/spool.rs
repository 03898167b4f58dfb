//! What the spool promises.

use bytes::Bytes;
use heronry_store::port::{
    Answer, Arrival, BodyWriter, DueRow, Fence, MailStore, MessageRow, RecipientState, Settle,
    Spool, State, UidRange,
};
use mail::{Flags, MessageId, Recipient, Target, Time};

use super::bench::{Bench, address, assert_is, domain, new_account, remote, reply};

fn state(bench: &Bench, id: MessageId, number: usize) -> RecipientState {
    bench.store.get(id).unwrap().unwrap().states[number].clone()
}

fn again(due: u64) -> Settle {
    Settle::Again {
        due: Time(due),
        reply: reply(450),
    }
}

fn dues(bench: &Bench, name: &str) -> Vec<DueRow> {
    bench.store.due(&domain(name), None, 100).unwrap()
}

pub(crate) async fn what_is_accepted_is_there_octet_for_octet(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let octets: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let mut mail = bench
        .mail(vec![bench.local(), remote("bob@far.test")], 1_234, &octets)
        .await;
    mail.envelope.envid = Some("abc".to_owned());
    mail.envelope.smtputf8 = true;
    mail.envelope.ret = Some(mail::Ret::Headers);
    mail.envelope.body = mail::BodyType::EightBitMime;
    mail.envelope.recipients[1].original = Some(address("\"b b\"@example.test"));
    mail.envelope.recipients[1].notify = mail::Notify::NEVER;
    let envelope = mail.envelope.clone();
    let id = bench.store.accept(bench.fence(), mail).await.unwrap();
    for round in 0..2 {
        let spooled = bench.store.get(id).unwrap().unwrap();
        assert_eq!(spooled.envelope, envelope);
        assert_eq!(spooled.arrived, Time(1_234));
        assert_eq!(spooled.origin, "192.0.2.1 client.test");
        assert_eq!(spooled.states.len(), 2);
        assert!(
            spooled
                .states
                .iter()
                .all(|s| s.state == State::Open && s.attempts == 0)
        );
        assert_eq!(spooled.body.octets, 5_000);
        let body = Spool::read(&*bench.store, &spooled.body).unwrap();
        assert_eq!(body.bytes().unwrap(), octets, "round {round}");
        bench.reopen().await;
    }
}

pub(crate) async fn ids_differ_and_rise_with_the_time_of_acceptance(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let mut ids = Vec::new();
    for arrived in [10, 10, 20, 20, 20, 30] {
        ids.push(bench.accept(vec![bench.local()], arrived).await);
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

pub(crate) async fn a_large_body_is_read_in_pieces(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let octets: Vec<u8> = (0..3 * BodyWriter::SPILL_OCTETS + 12_345)
        .map(|n| (n * 7 / 3) as u8)
        .collect();
    let id = bench.accept_for_ann(&octets).await;
    for _ in 0..2 {
        let spooled = bench.store.get(id).unwrap().unwrap();
        let body = Spool::read(&*bench.store, &spooled.body).unwrap();
        assert_eq!(body.octets(), octets.len() as u64);
        assert_eq!(body.bytes().unwrap(), octets);
        let mut read = Vec::new();
        while read.len() < octets.len() {
            let piece = body.read_at(read.len() as u64, 100_001).unwrap();
            assert!(!piece.is_empty());
            read.extend_from_slice(&piece);
        }
        assert!(read == octets);
        assert_eq!(body.read_at(octets.len() as u64, 10).unwrap(), Bytes::new());
        assert_eq!(body.read_at(u64::MAX, 10).unwrap(), Bytes::new());
        bench.reopen().await;
    }
    bench.deliver(bench.inbox().id, id).await.unwrap().unwrap();
    let row = bench.rows(bench.inbox().id)[0];
    assert!(bench.octets(&row) == octets);
}

pub(crate) async fn a_draft_that_is_dropped_leaves_nothing(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    drop(bench.draft(&vec![7; 2 * BodyWriter::SPILL_OCTETS]).await);
    drop(bench.draft(b"short").await);
    assert_eq!(bench.store.open(None, 10).unwrap(), []);
}

pub(crate) async fn an_old_fence_is_refused(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let fence = Fence {
        epoch: bench.fence().epoch - 1,
        ..bench.fence()
    };
    let mail = bench.mail(vec![bench.local()], 1, b"x").await;
    assert_is(bench.store.accept(fence, mail).await, "Fenced");
    let id = bench.accept_for_ann(b"x").await;
    assert_is(bench.store.settle(fence, id, vec![]).await, "Fenced");
    let inbox = bench.inbox().id;
    let expunged = bench.store.expunge(fence, bench.ann, inbox, vec![], false);
    assert_is(expunged.await, "Fenced");
    assert_is(bench.store.change(fence, vec![]).await, "Fenced");
}

pub(crate) async fn settling_defers_and_closes_and_the_last_close_forgets(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let id = bench
        .accept(vec![remote("a@far.test"), remote("b@far.test")], 1_000)
        .await;
    let fence = bench.fence();
    bench
        .store
        .settle(fence, id, vec![(0, again(9_000)), (0, Settle::DelayTold)])
        .await
        .unwrap();
    let first = state(&bench, id, 0);
    assert_eq!(
        (first.state, first.attempts, first.due),
        (State::Open, 1, Time(9_000))
    );
    assert_eq!(first.last, Some(reply(450)));
    assert!(first.delay_told);
    assert_eq!(state(&bench, id, 1).attempts, 0);
    bench.reopen().await;
    let fence = bench.fence();
    assert_eq!(state(&bench, id, 0).due, Time(9_000));
    bench
        .store
        .settle(fence, id, vec![(1, Settle::Close(reply(250)))])
        .await
        .unwrap();
    assert_eq!(state(&bench, id, 1).state, State::Closed);
    assert_eq!(bench.store.open(None, 9).unwrap(), [id]);
    bench
        .store
        .settle(fence, id, vec![(0, Settle::Close(reply(250)))])
        .await
        .unwrap();
    assert_eq!(bench.store.get(id).unwrap(), None);
    assert_eq!(bench.store.open(None, 9).unwrap(), []);
    assert_eq!(dues(&bench, "far.test"), []);
    assert_eq!(Spool::domains(&*bench.store, None, 9).unwrap(), []);
    // Again, for a message that is forgotten: nothing.
    bench
        .store
        .settle(fence, id, vec![(0, again(1))])
        .await
        .unwrap();
    assert_eq!(bench.store.get(id).unwrap(), None);
}

pub(crate) async fn settling_a_closed_recipient_again_changes_nothing(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let id = bench
        .accept(vec![remote("a@far.test"), bench.local()], 1_000)
        .await;
    let settle = |what| bench.store.settle(bench.fence(), id, vec![(0, what)]);
    settle(Settle::Close(reply(250))).await.unwrap();
    let before = bench.store.get(id).unwrap();
    for what in [
        again(9_000),
        Settle::Close(reply(251)),
        Settle::DelayTold,
        Settle::Fail(reply(550)),
        Settle::Hasten(Time(1)),
    ] {
        settle(what).await.unwrap();
        assert_eq!(bench.store.get(id).unwrap(), before);
    }
    assert_eq!(bench.store.failed(None, 9).unwrap(), []);
    assert_eq!(dues(&bench, "far.test"), []);
    // A recipient that is not there is passed over.
    let stray = vec![(99, Settle::Close(reply(250)))];
    bench.store.settle(bench.fence(), id, stray).await.unwrap();
    assert_eq!(bench.store.get(id).unwrap(), before);
}

pub(crate) async fn a_failed_recipient_is_listed_until_it_is_closed(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let id = bench
        .accept(vec![remote("a@far.test"), remote("b@far.test")], 1)
        .await;
    let other = bench.accept(vec![remote("c@far.test")], 2).await;
    let fence = bench.fence();
    bench
        .store
        .settle(fence, id, vec![(0, Settle::Fail(reply(550)))])
        .await
        .unwrap();
    bench
        .store
        .settle(fence, other, vec![(0, Settle::Fail(reply(550)))])
        .await
        .unwrap();
    assert_eq!(state(&bench, id, 0).state, State::Failed);
    bench
        .store
        .settle(fence, id, vec![(0, again(77))])
        .await
        .unwrap();
    assert_eq!(state(&bench, id, 0).state, State::Failed);
    bench.reopen().await;
    let fence = bench.fence();
    assert_eq!(bench.store.failed(None, 9).unwrap(), [id, other]);
    assert_eq!(bench.store.failed(Some(id), 9).unwrap(), [other]);
    assert_eq!(bench.store.failed(None, 1).unwrap(), [id]);
    assert_eq!(dues(&bench, "far.test").len(), 1);
    bench
        .store
        .settle(fence, other, vec![(0, Settle::Close(reply(250)))])
        .await
        .unwrap();
    assert_eq!(bench.store.get(other).unwrap(), None);
    assert_eq!(bench.store.failed(None, 9).unwrap(), [id]);
}

pub(crate) async fn a_bounce_closes_what_it_answers_for_in_the_same_step(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let id = bench
        .accept(vec![remote("a@far.test"), remote("b@far.test")], 1)
        .await;
    let fail = |number| vec![(number, Settle::Fail(reply(550)))];
    bench
        .store
        .settle(bench.fence(), id, fail(0))
        .await
        .unwrap();
    let bounce = |recipients: Vec<u32>| {
        let bench = &bench;
        async move {
            let mut mail = bench.mail(vec![bench.local()], 50, b"bounce").await;
            mail.envelope.from = None;
            mail.answers = Some(Answer { id, recipients });
            bench.store.accept(bench.fence(), mail).await.unwrap()
        }
    };
    let first = bounce(vec![0, 99]).await;
    assert_eq!(state(&bench, id, 0).state, State::Closed);
    assert_eq!(bench.store.failed(None, 9).unwrap(), []);
    assert_eq!(bench.store.open(None, 9).unwrap(), [id, first]);
    bench
        .store
        .settle(bench.fence(), id, fail(1))
        .await
        .unwrap();
    let second = bounce(vec![0, 1]).await;
    assert_eq!(bench.store.get(id).unwrap(), None);
    assert_eq!(bench.store.failed(None, 9).unwrap(), []);
    assert_eq!(bench.store.open(None, 9).unwrap(), [first, second]);
    // An answer to what is forgotten is accepted all the same.
    let third = bounce(vec![0]).await;
    assert_eq!(bench.store.open(None, 9).unwrap(), [first, second, third]);
    assert_eq!(bench.store.get(first).unwrap().unwrap().envelope.from, None);
}

pub(crate) async fn due_rows_come_in_the_order_in_which_they_are_due(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let late = bench.accept(vec![remote("a@far.test")], 1_000).await;
    let early = bench
        .accept(vec![remote("b@far.test"), remote("x@far.testing")], 2_000)
        .await;
    let last = bench
        .accept(vec![remote("c@far.test"), remote("d@far.test")], 3_000)
        .await;
    let fence = bench.fence();
    bench
        .store
        .settle(fence, late, vec![(0, again(2_500))])
        .await
        .unwrap();
    bench.reopen().await;
    let rows = dues(&bench, "far.test");
    let order: Vec<_> = rows
        .iter()
        .map(|r| (r.due.0, r.id, r.recipient, r.attempts))
        .collect();
    assert_eq!(
        order,
        [
            (2_000, early, 0, 0),
            (2_500, late, 0, 1),
            (3_000, last, 0, 0),
            (3_000, last, 1, 0)
        ]
    );
    assert_eq!(rows[1].arrived, Time(1_000));
    let from = Some((rows[1].due, rows[1].id, rows[1].recipient));
    assert_eq!(
        bench.store.due(&domain("far.test"), from, 2).unwrap(),
        rows[1..3]
    );
    assert_eq!(bench.store.due(&domain("far.test"), None, 0).unwrap(), []);
    assert_eq!(dues(&bench, "far.testing").len(), 1);
    assert_eq!(dues(&bench, "near.test"), []);
}

pub(crate) async fn a_hastened_recipient_is_due_at_once_and_nothing_else_changes(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let id = bench.accept(vec![remote("a@far.test")], 1_000).await;
    bench
        .store
        .settle(bench.fence(), id, vec![(0, again(90_000))])
        .await
        .unwrap();
    let before = state(&bench, id, 0);
    bench
        .store
        .settle(bench.fence(), id, vec![(0, Settle::Hasten(Time(5)))])
        .await
        .unwrap();
    let after = state(&bench, id, 0);
    assert_eq!(
        after,
        RecipientState {
            due: Time(5),
            ..before
        }
    );
    assert_eq!(dues(&bench, "far.test")[0].due, Time(5));
    assert_eq!(dues(&bench, "far.test").len(), 1);
}

pub(crate) async fn domains_are_counted(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let a = bench
        .accept(
            vec![remote("a@b.test"), remote("b@b.test"), remote("c@a.test")],
            1,
        )
        .await;
    bench
        .accept(vec![remote("a@b.test"), bench.local()], 2)
        .await;
    bench.reopen().await;
    let counts = |after: Option<&str>, limit| {
        let after = after.map(domain);
        let found = Spool::domains(&*bench.store, after.as_ref(), limit).unwrap();
        found
            .into_iter()
            .map(|(d, n)| (d.to_string(), n))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        counts(None, 9),
        [("a.test".into(), 1), ("b.test".into(), 3)]
    );
    assert_eq!(counts(Some("a.test"), 9), [("b.test".into(), 3)]);
    assert_eq!(counts(None, 1), [("a.test".into(), 1)]);
    let what = vec![
        (0, Settle::Fail(reply(550))),
        (2, Settle::Close(reply(250))),
    ];
    bench.store.settle(bench.fence(), a, what).await.unwrap();
    assert_eq!(counts(None, 9), [("b.test".into(), 2)]);
}

pub(crate) async fn open_messages_are_listed_in_pages(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let mut ids = Vec::new();
    for arrived in 0..10 {
        let recipient = if arrived % 3 == 0 {
            remote("a@far.test")
        } else {
            bench.local()
        };
        ids.push(bench.accept(vec![recipient], arrived).await);
    }
    bench.reopen().await;
    let mut found = Vec::new();
    loop {
        let page = bench.store.open(found.last().copied(), 3).unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, ids);
}

pub(crate) async fn open_local_recipients_are_found_among_remote_ones(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    for arrived in 0..20 {
        bench.accept(vec![remote("a@far.test")], arrived).await;
    }
    let mixed = bench
        .accept(vec![bench.local(), remote("a@far.test")], 30)
        .await;
    let local = bench.accept(vec![bench.local()], 31).await;
    assert_eq!(bench.store.open_local(None, 9).unwrap(), [mixed, local]);
    assert_eq!(bench.store.open_local(Some(mixed), 9).unwrap(), [local]);
    let inbox = bench.inbox().id;
    bench.deliver(inbox, mixed).await.unwrap().unwrap();
    assert_eq!(bench.store.open_local(None, 9).unwrap(), [local]);
    assert_eq!(bench.store.open(None, 99).unwrap().len(), 22);
    bench.deliver(inbox, local).await.unwrap().unwrap();
    assert_eq!(bench.store.open_local(None, 9).unwrap(), []);
    assert_eq!(bench.store.open(None, 99).unwrap().len(), 21);
    let failing = bench.accept(vec![bench.local()], 32).await;
    let fail = vec![(0, Settle::Fail(reply(550)))];
    bench
        .store
        .settle(bench.fence(), failing, fail)
        .await
        .unwrap();
    assert_eq!(bench.store.open_local(None, 9).unwrap(), []);
    assert_eq!(bench.store.failed(None, 9).unwrap(), [failing]);
}

pub(crate) async fn ten_thousand_recipients_are_accepted_and_settled(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let recipients = (0..10_000)
        .map(|n| remote(&format!("u{n}@far.test")))
        .collect();
    let id = bench.accept(recipients, 1).await;
    assert_eq!(
        Spool::domains(&*bench.store, None, 9).unwrap(),
        [(domain("far.test"), 10_000)]
    );
    assert_eq!(
        bench
            .store
            .due(&domain("far.test"), None, 20_000)
            .unwrap()
            .len(),
        10_000
    );
    let close = |range: std::ops::Range<u32>| {
        let what = range.map(|n| (n, Settle::Close(reply(250)))).collect();
        bench.store.settle(bench.fence(), id, what)
    };
    close(0..9_999).await.unwrap();
    assert_eq!(
        Spool::domains(&*bench.store, None, 9).unwrap(),
        [(domain("far.test"), 1)]
    );
    close(9_999..10_000).await.unwrap();
    assert_eq!(bench.store.get(id).unwrap(), None);
    assert_eq!(Spool::domains(&*bench.store, None, 9).unwrap(), []);
}

pub(crate) async fn a_message_without_recipients_is_forgotten_at_once(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let id = bench.accept(vec![], 1).await;
    assert_eq!(bench.store.get(id).unwrap(), None);
    assert_eq!(bench.store.open(None, 9).unwrap(), []);
}

pub(crate) async fn all_recipients_of_a_message_share_one_copy_of_it(
    bench: impl Future<Output = Bench>,
) {
    const RECIPIENTS: u32 = 20;
    let mut bench = bench.await;
    let names: Vec<_> = (0..RECIPIENTS)
        .map(|number| format!("r{number}@example.test"))
        .collect();
    let new = names.iter().map(|name| new_account(name)).collect();
    bench.change(new).await.unwrap();
    let accounts: Vec<_> = names.iter().map(|name| bench.id_of(name)).collect();
    let recipients = names.iter().zip(&accounts).map(|(name, &account)| {
        let detail = None;
        Recipient::new(address(name), Target::Local { account, detail })
    });
    let body = vec![b'x'; 50_000];
    let mail = bench.mail(recipients.collect(), 1_000, &body).await;
    let id = bench.store.accept(bench.fence(), mail).await.unwrap();
    let mut bodies = Vec::new();
    for (recipient, &account) in (0..).zip(&accounts) {
        let inbox = bench.store.mailbox_named(account, "INBOX").unwrap();
        let arrival = Arrival {
            id,
            recipient,
            internal_date: Time(0),
            flags: Flags::NONE,
            keywords: vec![],
        };
        let inbox = inbox.unwrap().id;
        let done = bench.store.deliver(bench.fence(), account, inbox, arrival);
        done.await.unwrap().unwrap();
        let mut each = |row: &MessageRow| {
            bodies.push(row.body);
            true
        };
        let all = UidRange::ALL;
        bench
            .store
            .messages(account, inbox, all, &mut each)
            .unwrap();
    }
    assert_eq!(bodies.len(), accounts.len());
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    bench.reopen().await;
    // Some rows for each recipient, and no second body.
    let octets = bench.sealed_octets().unwrap_or(0);
    assert!(octets < 50_000 + u64::from(RECIPIENTS) * 2_000, "{octets}");
    let read = MailStore::read(&*bench.store, &bodies[0]).unwrap();
    assert!(read.bytes().unwrap() == body);
}
