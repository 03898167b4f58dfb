//! What the store promises about how much accounts and domains may hold.

use heronry_store::{
    StoreError,
    port::{AccountChange, Held, NewAccount, Quota},
};
use mail::{Flags, Time, Uid};

use super::bench::{Bench, address, domain, new_account, uid};

fn quota(octets: impl Into<Option<u64>>, messages: impl Into<Option<u64>>) -> Quota {
    Quota {
        octets: octets.into(),
        messages: messages.into(),
    }
}

async fn limit(bench: &Bench, quota: Quota) {
    let change = AccountChange::SetQuota(address("ann@example.test"), quota);
    bench.change(vec![change]).await.unwrap();
}

async fn limit_domain(bench: &Bench, quota: Quota) {
    let change = AccountChange::SetDomainQuota(domain("example.test"), quota);
    bench.change(vec![change]).await.unwrap();
}

#[track_caller]
fn assert_full<T: std::fmt::Debug>(result: Result<T, StoreError>, who: &str) {
    match result {
        Err(StoreError::OverQuota { what }) => assert!(what.starts_with(who), "{what}"),
        other => panic!("{other:?}"),
    }
}

fn held(octets: u64, messages: u64) -> Held {
    Held { octets, messages }
}

/// What all accounts of ann's domain hold together, as it is counted.
#[track_caller]
fn together(bench: &Bench) -> Held {
    bench.store.usage(bench.ann).unwrap().unwrap().together.held
}

async fn copy(bench: &Bench, uids: Vec<Uid>, moving: bool) -> Result<(), StoreError> {
    let (from, to) = (bench.inbox().id, bench.named("Other").id);
    let copied = bench
        .store
        .copy(bench.fence(), bench.ann, from, uids, to, moving);
    copied.await.map(drop)
}

pub(crate) async fn what_an_account_may_not_hold_is_refused_and_changes_nothing(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.create("Other").await;
    assert_eq!(
        bench.store.usage(bench.ann).unwrap().unwrap().account.held,
        Held::default(),
        "who has no limit is not counted"
    );
    limit(&bench, quota(100, 3)).await;
    bench.append(inbox, &[b'x'; 60]).await;
    let append = async |octets: &[u8], times: usize| {
        let mut messages = Vec::new();
        for _ in 0..times {
            messages.push((bench.draft(octets).await, Flags::NONE, vec![], Time(1)));
        }
        let appended = bench
            .store
            .append(bench.fence(), bench.ann, inbox, messages);
        appended.await
    };
    assert_full(append(&[b'x'; 41], 1).await, "account");
    assert_full(append(b"x", 3).await, "account");
    assert_full(copy(&bench, vec![uid(1)], false).await, "account");
    assert_eq!((bench.inbox().messages, bench.inbox().octets), (1, 60));
    // What moves is held already.
    copy(&bench, vec![uid(1)], true).await.unwrap();
    assert_eq!(append(&[b'x'; 40], 1).await.unwrap().len(), 1);
    let usage = bench.store.usage(bench.ann).unwrap().unwrap();
    assert_eq!(usage.account.held, held(100, 2));
    assert_eq!(usage.account.quota, quota(100, 3));
    assert_full(append(b"x", 1).await, "account");
    limit(&bench, Quota::default()).await;
    append(b"x", 9).await.unwrap();
}

pub(crate) async fn a_limit_holds_from_its_first_moment_for_whoever_was_not_limited_before(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    let append = async || {
        let message = (bench.draft(b"x").await, Flags::NONE, vec![], Time(1));
        let ann = bench.ann;
        let appended = bench.store.append(bench.fence(), ann, inbox, vec![message]);
        appended.await
    };
    let more = held(1, 1);
    append().await.unwrap();
    bench.store.has_room(bench.ann, more).unwrap();
    for _ in 0..2 {
        limit(&bench, quota(None, 1)).await;
        assert_full(append().await, "account");
        assert_full(bench.store.has_room(bench.ann, more), "account");
        limit(&bench, Quota::default()).await;
        bench.store.has_room(bench.ann, more).unwrap();
        limit_domain(&bench, quota(1, None)).await;
        assert_full(append().await, "domain");
        assert_full(bench.store.has_room(bench.ann, more), "domain");
        limit_domain(&bench, Quota::default()).await;
        append().await.unwrap();
    }
    let nobody = bench.store.has_room(mail::AccountId(77), more);
    nobody.expect("who is not there is not limited");
}

pub(crate) async fn whoever_is_limited_from_the_beginning_is_so_beside_others_who_are_not(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let more = held(1, 1);
    bench.store.has_room(bench.ann, more).unwrap();
    let new = |text: &str, quota| {
        AccountChange::AddAccount(NewAccount {
            address: address(text),
            password: None,
            quota,
        })
    };
    // Within one call: whoever comes and goes, and whoever changes at once.
    let changes = vec![
        new("bob@example.test", quota(None, 0)),
        new("carl@example.test", quota(1, 0)),
        AccountChange::RemoveAccount(address("carl@example.test")),
        new("dora@example.test", quota(0, None)),
        AccountChange::SetQuota(address("dora@example.test"), Quota::default()),
        new("eve@example.test", Quota::default()),
        AccountChange::SetQuota(address("eve@example.test"), quota(0, 0)),
    ];
    bench.change(changes).await.unwrap();
    let room = |bench: &Bench, local: &str| {
        let account = bench.id_of(&format!("{local}@example.test"));
        bench.store.has_room(account, more)
    };
    for _ in 0..4 {
        assert_full(room(&bench, "bob"), "account");
        room(&bench, "dora").unwrap();
        assert_full(room(&bench, "eve"), "account");
        room(&bench, "ann").unwrap();
        bench.reopen().await;
    }
    let gone = AccountChange::RemoveAccount(address("eve@example.test"));
    let wide = AccountChange::SetQuota(address("bob@example.test"), quota(None, 9));
    bench.change(vec![gone, wide]).await.unwrap();
    room(&bench, "bob").unwrap();
    room(&bench, "ann").unwrap();
}

pub(crate) async fn a_delivery_to_a_full_account_leaves_the_recipient_open(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    limit(&bench, quota(None, 1)).await;
    let ids = [
        bench.accept_for_ann(b"one\r\n").await,
        bench.accept_for_ann(b"two\r\n").await,
    ];
    bench.deliver(inbox, ids[0]).await.unwrap().unwrap();
    assert_full(bench.deliver(inbox, ids[1]).await, "account");
    // Delivered once, it asks for no room again.
    assert!(bench.deliver(inbox, ids[0]).await.unwrap().is_none());
    assert_eq!(bench.store.open(None, 9).unwrap(), [ids[1]]);
    limit(&bench, quota(None, 2)).await;
    bench.deliver(inbox, ids[1]).await.unwrap().unwrap();
    assert_eq!(bench.store.open(None, 9).unwrap(), []);
}

pub(crate) async fn a_domain_is_counted_from_the_moment_in_which_it_is_limited(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, &[b'x'; 30]).await;
    let nobody = bench.change(vec![AccountChange::SetDomainQuota(
        domain("other.test"),
        quota(1, 1),
    )]);
    assert!(matches!(nobody.await, Err(StoreError::Missing { .. })));
    bench
        .change(vec![
            new_account("bob@example.test"),
            AccountChange::SetDomainQuota(domain("example.test"), quota(100, None)),
        ])
        .await
        .unwrap();
    assert_eq!(together(&bench), held(30, 1));
    let bob = bench.id_of("bob@example.test");
    let bobs = bench.store.mailbox_named(bob, "INBOX").unwrap().unwrap().id;
    let give_bob = async |octets: &[u8]| {
        let message = (bench.draft(octets).await, Flags::NONE, vec![], Time(1));
        bench
            .store
            .append(bench.fence(), bob, bobs, vec![message])
            .await
    };
    give_bob(&[b'x'; 70]).await.unwrap();
    assert_full(give_bob(b"x").await, "domain example.test");
    assert_eq!(together(&bench), held(100, 2));
    // Raised, it goes on from what is there; ended and begun again, too.
    limit_domain(&bench, quota(200, None)).await;
    give_bob(b"x").await.unwrap();
    limit_domain(&bench, Quota::default()).await;
    give_bob(&[b'x'; 500]).await.unwrap();
    limit_domain(&bench, quota(None, 4)).await;
    assert_eq!(together(&bench), held(601, 4));
    let message = (bench.draft(b"x").await, Flags::NONE, vec![], Time(1));
    let appended = bench
        .store
        .append(bench.fence(), bench.ann, inbox, vec![message]);
    assert_full(appended.await, "domain");
    let remove = AccountChange::RemoveAccount(address("bob@example.test"));
    bench.change(vec![remove]).await.unwrap();
    assert_eq!(together(&bench), held(30, 1));
}

pub(crate) async fn what_is_held_is_the_same_after_every_reopening(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    bench.create("Other").await;
    limit_domain(&bench, quota(1 << 30, 1000)).await;
    limit(&bench, quota(1 << 30, 1000)).await;
    let mut expected = Held::default();
    for round in 0..6_u32 {
        for size in 1..5_u64 {
            bench.append(inbox, &vec![b'x'; size as usize * 100]).await;
            expected.octets += size * 100;
            expected.messages += 1;
        }
        let first = round * 4 + 1;
        copy(&bench, vec![uid(first)], false).await.unwrap();
        copy(&bench, vec![uid(first + 1)], true).await.unwrap();
        bench
            .store
            .expunge(bench.fence(), bench.ann, inbox, vec![uid(first + 2)], false)
            .await
            .unwrap();
        expected.octets -= 200;
        if round == 3 {
            let other = bench.named("Other");
            expected.octets -= other.octets;
            expected.messages -= u64::from(other.messages);
            let gone = bench.store.delete(bench.fence(), bench.ann, other.id);
            gone.await.unwrap();
            bench.create("Other").await;
        }
        bench.reopen().await;
        let usage = bench.store.usage(bench.ann).unwrap().unwrap();
        assert_eq!(usage.together.held, expected, "round {round}");
        assert_eq!(usage.account.held, expected, "round {round}");
    }
    // What a domain without accounts held is nobody's.
    let gone = vec![
        AccountChange::RemoveAccount(address("ann@example.test")),
        AccountChange::RemoveDomain(domain("example.test")),
    ];
    bench.change(gone).await.unwrap();
    bench.reopen().await;
    let quota = bench.store.domain_quota(&domain("example.test")).unwrap();
    assert_eq!(quota, Quota::default());
}
