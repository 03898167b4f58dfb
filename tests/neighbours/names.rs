//! How the next hop is found: MX in their order, A, AAAA, and no answer at all.

use std::net::TcpListener;

use crate::common::letter;
use crate::postfix::Postfix;
use crate::town::Town;

#[test]
fn the_second_exchanger_is_tried_when_the_first_is_down() {
    reached("ann@backup.test");
}

#[test]
fn a_domain_without_exchangers_is_its_own() {
    reached("ann@plain.test");
}

#[test]
fn a_domain_that_is_another_name_of_a_domain_is_reached() {
    reached("ann@alias.test");
}

#[test]
fn an_exchanger_with_an_ipv6_address_only_is_reached() {
    let Some(town) = Town::found() else { return };
    let v6 = "::1".parse().unwrap();
    if TcpListener::bind((v6, 0)).is_err() {
        testkit::say_left_out("this machine has no IPv6 loopback");
        return;
    }
    let _names = town.name_server();
    let dns = town.address(53);
    let six = Postfix::start(&town.folder("six"), "mx.six.test", v6, &["six.test"], dns);
    let ours = town.heronry("");
    let message = letter("user0@example.test", "ann@six.test", "over six");
    town.submit(&ours, &["ann@six.test"], &message);
    let arrived = six.mail_with("ann@six.test", "over six");
    assert!(arrived.contains("[IPv6:::1]"), "{arrived}");
}

#[test]
fn mail_waits_while_the_name_server_is_down_and_goes_when_it_is_back() {
    let Some(town) = Town::found() else { return };
    let neighbour = town.neighbour();
    let ours = town.heronry("");
    let message = letter("user0@example.test", "ann@neighbour.test", "without names");
    town.submit(&ours, &["ann@neighbour.test"], &message);
    testkit::until("it waits", testkit::SHORT, || {
        ours.command(&["queue", "list"], b"")
            .ok()
            .contains("neighbour.test")
    });
    let _names = town.name_server();
    neighbour.mail_with("ann@neighbour.test", "without names");
}

#[test]
fn what_was_known_is_still_used_when_the_name_server_goes_down() {
    let Some(town) = Town::found() else { return };
    let (names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let message = letter(
        "user0@example.test",
        "ann@neighbour.test",
        "while it was up",
    );
    town.submit(&ours, &["ann@neighbour.test"], &message);
    neighbour.mail_with("ann@neighbour.test", "while it was up");
    drop(names);
    let message = letter("user0@example.test", "ann@neighbour.test", "from memory");
    town.submit(&ours, &["ann@neighbour.test"], &message);
    neighbour.mail_with("ann@neighbour.test", "from memory");
}

#[test]
fn a_domain_whose_mail_leads_back_to_us_does_not_go_round() {
    let Some(town) = Town::found() else { return };
    let _names = town.name_server();
    let ours = town.heronry("");
    let message = letter("user0@example.test", "ann@mirror.test", "back to us");
    town.submit(&ours, &["ann@mirror.test"], &message);
    let mut inbox = ours.imap("user0@example.test");
    testkit::until("it comes back", testkit::LONG, || {
        inbox.command("SELECT INBOX").ok().number("EXISTS") >= Some(1)
    });
    let report = crate::common::newest(&mut inbox);
    assert!(
        report.contains("ann@mirror.test") && report.contains("Action: failed"),
        "{report}"
    );
}

#[test]
fn a_route_in_the_configuration_needs_no_names() {
    let Some(town) = Town::found() else { return };
    let neighbour = town.neighbour();
    let hop = town.address(crate::town::NEIGHBOUR);
    let ours = town.heronry(&format!(
        "\n[[route]]\ndomain = \"neighbour.test\"\nto = \"{hop}:25\"\n"
    ));
    let message = letter("user0@example.test", "bob@neighbour.test", "by route");
    town.submit(&ours, &["bob@neighbour.test"], &message);
    neighbour.mail_with("bob@neighbour.test", "by route");
}

fn reached(to: &str) {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let message = letter("user0@example.test", to, "found by name");
    town.submit(&ours, &[to], &message);
    neighbour.mail_with(to, "found by name");
}
