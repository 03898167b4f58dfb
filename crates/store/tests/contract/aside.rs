//! What the spool promises about messages that are set aside.

use heronry_store::port::{Aside, Fence, REPORT_OCTETS_MAX, Settle, Spool};
use mail::{MessageId, Time};

use super::bench::{Bench, assert_is, domain, remote, reply};

/// A message for ann, and for three strangers: one waits for its second attempt, one has failed,
/// one is done.
async fn half_done(bench: &Bench) -> MessageId {
    let recipients = vec![
        bench.local(),
        remote("a@far.test"),
        remote("b@far.test"),
        remote("c@far.test"),
    ];
    let id = bench.accept(recipients, 1_000).await;
    let again = Settle::Again {
        due: Time(9_000),
        reply: reply(450),
    };
    let what = vec![
        (1, again),
        (2, Settle::Fail(reply(550))),
        (3, Settle::Close(reply(250))),
    ];
    bench.store.settle(bench.fence(), id, what).await.unwrap();
    id
}

async fn set_aside(bench: &Bench, id: MessageId, report: &str) {
    let aside = bench.store.set_aside(bench.fence(), id, report.to_owned());
    aside.await.unwrap();
}

/// Everything that lists name of it.
fn lists(bench: &Bench) -> impl PartialEq + std::fmt::Debug + use<> {
    let store = &bench.store;
    (
        store.open(None, 9).unwrap(),
        store.open_local(None, 9).unwrap(),
        store.failed(None, 9).unwrap(),
        Spool::domains(&**store, None, 9).unwrap(),
        store.due(&domain("far.test"), None, 9).unwrap(),
    )
}

fn aside(bench: &Bench, id: MessageId) -> Aside {
    bench.store.get_aside(id).unwrap().unwrap()
}

pub(crate) async fn what_is_set_aside_is_in_no_list_and_keeps_body_envelope_and_states(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let nothing = lists(&bench);
    let id = half_done(&bench).await;
    let before = bench.store.get(id).unwrap().unwrap();
    set_aside(&bench, id, "panic at router.rs:1").await;
    for _ in 0..4 {
        assert_eq!(lists(&bench), nothing);
        assert_eq!(bench.store.get(id).unwrap(), None);
        assert_eq!(bench.store.aside(None, 9).unwrap(), [id]);
        let aside = aside(&bench, id);
        assert_eq!(aside.message, before);
        assert_eq!(aside.report, "panic at router.rs:1");
        assert!(aside.since > Time(1_000));
        let body = Spool::read(&*bench.store, &before.body).unwrap();
        assert_eq!(&body.bytes().unwrap()[..], b"Subject: hi\r\n\r\nhi\r\n");
        bench.reopen().await;
    }
}

pub(crate) async fn what_is_released_is_where_it_was(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let id = half_done(&bench).await;
    let (before, listed) = (bench.store.get(id).unwrap(), lists(&bench));
    for round in 0..4 {
        set_aside(&bench, id, "it crashed").await;
        if round > 0 {
            bench.reopen().await;
        }
        bench.store.release(bench.fence(), id).await.unwrap();
        // Releasing what is not aside changes nothing.
        bench.store.release(bench.fence(), id).await.unwrap();
        assert_eq!(lists(&bench), listed, "round {round}");
        assert_eq!(bench.store.get(id).unwrap(), before);
        assert_eq!(bench.store.aside(None, 9).unwrap(), []);
        assert_eq!(bench.store.get_aside(id).unwrap(), None);
        bench.reopen().await;
    }
    let close = [0, 1, 2].map(|number| (number, Settle::Close(reply(250))));
    let done = bench.store.settle(bench.fence(), id, close.to_vec());
    done.await.unwrap();
    assert_eq!(bench.store.get(id).unwrap(), None);
    assert_eq!(bench.store.open(None, 9).unwrap(), []);
    bench.reopen().await;
}

pub(crate) async fn setting_aside_twice_keeps_the_first_report_and_what_is_not_there_is_passed_over(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let id = bench.accept(vec![bench.local()], 1).await;
    set_aside(&bench, id, "the first").await;
    set_aside(&bench, id, "the second").await;
    assert_eq!(aside(&bench, id).report, "the first");
    let nobody = MessageId(id.0 + 1);
    set_aside(&bench, nobody, "never there").await;
    bench.store.release(bench.fence(), nobody).await.unwrap();
    assert_eq!(bench.store.aside(None, 9).unwrap(), [id]);
}

pub(crate) async fn what_is_settled_while_it_is_aside_counts(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let nothing = lists(&bench);
    let id = half_done(&bench).await;
    set_aside(&bench, id, "it crashed").await;
    let what = vec![
        (1, Settle::Fail(reply(550))),
        (2, Settle::Close(reply(250))),
    ];
    bench.store.settle(bench.fence(), id, what).await.unwrap();
    assert_eq!(lists(&bench), nothing);
    bench.reopen().await;
    bench.store.release(bench.fence(), id).await.unwrap();
    assert_eq!(bench.store.failed(None, 9).unwrap(), [id]);
    assert_eq!(bench.store.open_local(None, 9).unwrap(), [id]);
    assert_eq!(Spool::domains(&*bench.store, None, 9).unwrap(), []);
    bench.deliver(bench.inbox().id, id).await.unwrap().unwrap();
    let what = vec![(1, Settle::Close(reply(250)))];
    bench.store.settle(bench.fence(), id, what).await.unwrap();
    assert_eq!(bench.store.get(id).unwrap(), None);
    assert_eq!(lists(&bench), nothing);
    bench.reopen().await;
}

pub(crate) async fn a_message_that_is_aside_and_all_closed_is_forgotten(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let id = half_done(&bench).await;
    set_aside(&bench, id, "it crashed").await;
    let close = [0, 1, 2].map(|number| (number, Settle::Close(reply(250))));
    let done = bench.store.settle(bench.fence(), id, close.to_vec());
    done.await.unwrap();
    assert_eq!(bench.store.get_aside(id).unwrap(), None);
    assert_eq!(bench.store.aside(None, 9).unwrap(), []);
    bench.store.release(bench.fence(), id).await.unwrap();
    assert_eq!(bench.store.get(id).unwrap(), None);
    bench.reopen().await;
}

pub(crate) async fn a_delivery_that_was_under_way_finds_its_message(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let id = bench.accept_for_ann(b"Subject: late\r\n\r\n").await;
    set_aside(&bench, id, "it crashed").await;
    let inbox = bench.inbox().id;
    bench.deliver(inbox, id).await.unwrap().unwrap();
    assert_eq!(bench.store.aside(None, 9).unwrap(), []);
    bench.reopen().await;
    let rows = bench.rows(inbox);
    assert_eq!(&bench.octets(&rows[0])[..], b"Subject: late\r\n\r\n");
}

pub(crate) async fn messages_aside_are_listed_in_pages(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let mut ids = Vec::new();
    for arrived in 0..5 {
        let id = bench.accept(vec![remote("a@far.test")], arrived).await;
        set_aside(&bench, id, "it crashed").await;
        ids.push(id);
    }
    let waits = bench.accept(vec![remote("a@far.test")], 9).await;
    assert_eq!(bench.store.aside(None, 2).unwrap(), ids[..2]);
    assert_eq!(bench.store.aside(Some(ids[1]), 9).unwrap(), ids[2..]);
    assert_eq!(bench.store.aside(None, 0).unwrap(), []);
    assert_eq!(bench.store.open(None, 9).unwrap(), [waits]);
    let waiting = Spool::domains(&*bench.store, None, 9).unwrap();
    assert_eq!(waiting, [(domain("far.test"), 1)]);
}

pub(crate) async fn an_old_fence_sets_nothing_aside(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let fence = Fence {
        epoch: bench.fence().epoch - 1,
        ..bench.fence()
    };
    let id = bench.accept_for_ann(b"x").await;
    let refused = bench.store.set_aside(fence, id, "late".to_owned());
    assert_is(refused.await, "Fenced");
    assert_is(bench.store.release(fence, id).await, "Fenced");
    assert_eq!(bench.store.open(None, 9).unwrap(), [id]);
}

pub(crate) async fn a_report_is_bounded(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let id = bench.accept_for_ann(b"x").await;
    // Two octets a letter after one of one: the bound falls into the middle of a letter.
    let report = format!("x{}", "\u{e4}".repeat(REPORT_OCTETS_MAX));
    set_aside(&bench, id, &report).await;
    assert_eq!(aside(&bench, id).report, report[..REPORT_OCTETS_MAX - 1]);
}
