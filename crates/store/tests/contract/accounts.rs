//! What the port to accounts promises.

use heronry_store::port::{AccountChange as Change, Accounts, Entry, Quota};

use super::bench::{Bench, address, assert_is, domain, new_account};

pub(crate) async fn domains_accounts_and_aliases_come_and_go(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let here = domain("example.test");
    assert!(bench.store.has_domain(&here).unwrap());
    assert!(!bench.store.has_domain(&domain("other.test")).unwrap());
    let targets = vec![address("ann@example.test"), address("x@far.test")];
    let put = |local: &str| Change::PutAlias(local.to_owned(), here.clone(), targets.clone());
    bench.change(vec![put("team"), put("")]).await.unwrap();
    let alias = Entry::Alias(targets.clone());
    assert_eq!(
        bench.store.entry("team", &here).unwrap(),
        Some(alias.clone())
    );
    assert_eq!(bench.store.entry("", &here).unwrap(), Some(alias));
    assert_eq!(
        bench.store.entry("ann", &here).unwrap(),
        Some(Entry::Account(bench.ann))
    );
    assert_eq!(bench.store.entry("nobody", &here).unwrap(), None);
    let listed = bench.store.aliases(Some(&here)).unwrap();
    assert_eq!(listed[0], (String::new(), here.clone(), targets.clone()));
    assert_eq!(listed[1].0, "team");
    assert_eq!(bench.store.aliases(None).unwrap(), listed);
    let one = vec![address("ann@example.test")];
    let again = Change::PutAlias("team".to_owned(), here.clone(), one.clone());
    bench.change(vec![again]).await.unwrap();
    assert_eq!(
        bench.store.entry("team", &here).unwrap(),
        Some(Entry::Alias(one))
    );
    let remove = || vec![Change::RemoveAlias("team".to_owned(), here.clone())];
    bench.change(remove()).await.unwrap();
    assert_is(bench.change(remove()).await, "Missing");
    assert_eq!(bench.store.entry("team", &here).unwrap(), None);
    assert_is(bench.change(vec![put("ann")]).await, "Exists");
    let ann = Change::RemoveAlias("ann".to_owned(), here.clone());
    assert_is(bench.change(vec![ann]).await, "Missing");
}

pub(crate) async fn changes_are_all_or_none(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let changes = vec![
        Change::AddDomain(domain("new.test")),
        new_account("bob@new.test"),
        new_account("ann@example.test"),
    ];
    assert_is(bench.change(changes).await, "Exists");
    assert!(!bench.store.has_domain(&domain("new.test")).unwrap());
    assert_eq!(bench.store.accounts(None, None, 9).unwrap().len(), 1);
    assert_is(
        bench.change(vec![new_account("x@nowhere.test")]).await,
        "Missing",
    );
    assert_is(
        bench
            .change(vec![Change::AddDomain(domain("Example.Test"))])
            .await,
        "Exists",
    );
}

pub(crate) async fn local_parts_compare_without_regard_to_case(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    bench
        .change(vec![new_account("Bob@example.test")])
        .await
        .unwrap();
    let id = bench.id_of("bOB@example.test");
    let row = bench.store.account(id).unwrap().unwrap();
    assert_eq!(row.address.local(), "Bob");
    assert_is(
        bench.change(vec![new_account("BOB@example.test")]).await,
        "Exists",
    );
}

pub(crate) async fn accounts_are_listed_in_pages(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let mut changes = vec![Change::AddDomain(domain("b.test"))];
    for local in ["d", "a", "c", "b"] {
        changes.push(new_account(&format!("{local}@b.test")));
        changes.push(new_account(&format!("{local}@example.test")));
    }
    bench.change(changes).await.unwrap();
    bench.reopen().await;
    let here = domain("b.test");
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|text: &String| address(text));
        let page = bench
            .store
            .accounts(Some(&here), after.as_ref(), 3)
            .unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|row| row.address.to_string()));
    }
    assert_eq!(found, ["a@b.test", "b@b.test", "c@b.test", "d@b.test"]);
    assert_eq!(bench.store.accounts(None, None, 99).unwrap().len(), 9);
    let after = address("d@b.test");
    let rest = bench.store.accounts(None, Some(&after), 99).unwrap();
    assert_eq!(rest[0].address, address("a@example.test"));
    assert_eq!(rest.len(), 5);
}

pub(crate) async fn a_domain_with_accounts_cannot_go(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let here = domain("example.test");
    let remove = || Change::RemoveDomain(here.clone());
    assert_is(bench.change(vec![remove()]).await, "Exists");
    assert!(bench.store.has_domain(&here).unwrap());
    let ann = Change::RemoveAccount(address("ann@example.test"));
    bench.change(vec![ann, remove()]).await.unwrap();
    assert!(!bench.store.has_domain(&here).unwrap());
    assert_is(bench.change(vec![remove()]).await, "Missing");
    let changes = vec![
        Change::AddDomain(here.clone()),
        new_account("x@example.test"),
        remove(),
    ];
    assert_is(bench.change(changes).await, "Exists");
    assert_eq!(Accounts::domains(&*bench.store).unwrap(), []);
}

pub(crate) async fn a_removed_account_takes_its_mail_along_and_its_number_never_comes_back(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    for _ in 0..3 {
        bench.append(inbox, b"secret").await;
    }
    bench.create("more").await;
    let subscribe = bench
        .store
        .subscribe(bench.fence(), bench.ann, "more".to_owned(), true);
    subscribe.await.unwrap();
    let ann = address("ann@example.test");
    bench
        .change(vec![Change::RemoveAccount(ann.clone())])
        .await
        .unwrap();
    bench.reopen().await;
    assert_eq!(bench.store.account(bench.ann).unwrap(), None);
    assert_eq!(bench.store.mailboxes(bench.ann).unwrap(), []);
    assert_eq!(bench.store.subscriptions(bench.ann).unwrap(), [""; 0]);
    assert_eq!(bench.rows(inbox), []);
    assert_is(bench.try_create("x").await, "Missing");
    assert_is(
        bench.change(vec![Change::RemoveAccount(ann)]).await,
        "Missing",
    );
    bench
        .change(vec![new_account("ann@example.test")])
        .await
        .unwrap();
    let again = bench.id_of("ann@example.test");
    assert_ne!(again, bench.ann);
    assert_eq!(bench.store.mailboxes(again).unwrap().len(), 1);
    assert_eq!(
        bench
            .store
            .mailbox_named(again, "INBOX")
            .unwrap()
            .unwrap()
            .messages,
        0
    );
}

pub(crate) async fn passwords_and_quotas_are_set(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let ann = address("ann@example.test");
    let quota = Quota {
        octets: Some(1 << 30),
        messages: None,
    };
    let changes = vec![
        Change::SetPassword(ann.clone(), None),
        Change::SetQuota(ann.clone(), quota),
    ];
    bench.change(changes).await.unwrap();
    bench.reopen().await;
    let row = bench.store.account(bench.ann).unwrap().unwrap();
    assert_eq!((row.password, row.quota, row.address), (None, quota, ann));
    let nobody = Change::SetPassword(address("nobody@example.test"), None);
    assert_is(bench.change(vec![nobody]).await, "Missing");
}

pub(crate) async fn changes_of_one_call_see_each_other(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let here = domain("one.test");
    bench
        .change(vec![
            Change::AddDomain(here.clone()),
            new_account("a@one.test"),
            Change::SetPassword(address("a@one.test"), None),
            new_account("b@one.test"),
            Change::RemoveAccount(address("b@one.test")),
            new_account("b@one.test"),
            Change::PutAlias("c".to_owned(), here.clone(), vec![]),
            Change::RemoveAlias("c".to_owned(), here.clone()),
        ])
        .await
        .unwrap();
    let rows = bench.store.accounts(Some(&here), None, 9).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].password, None);
    assert_eq!(bench.store.mailboxes(rows[1].id).unwrap().len(), 1);
    assert_eq!(bench.store.aliases(None).unwrap(), []);
}

pub(crate) async fn ten_thousand_accounts_are_added_in_one_call(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let changes = (0..10_000).map(|n| new_account(&format!("user{n}@example.test")));
    bench.change(changes.collect()).await.unwrap();
    bench.reopen().await;
    let rows = bench.store.accounts(None, None, 20_000).unwrap();
    assert_eq!(rows.len(), 10_001);
    let last = bench.id_of("user9999@example.test");
    assert_eq!(bench.store.mailboxes(last).unwrap()[0].name, "INBOX");
}

pub(crate) async fn accounts_survive_a_reopening(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let before = bench.store.account(bench.ann).unwrap().unwrap();
    for _ in 0..3 {
        let epoch = bench.fence().epoch;
        bench.reopen().await;
        assert!(bench.fence().epoch >= epoch);
        assert_eq!(bench.store.account(bench.ann).unwrap().unwrap(), before);
        assert_eq!(bench.id_of("ann@example.test"), bench.ann);
    }
}
