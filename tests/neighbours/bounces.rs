//! What cannot be delivered comes back (RFC 3464), to us and to them.

use crate::common::{letter, newest};
use crate::town::Town;

#[test]
fn an_unknown_user_of_postfix_comes_back_to_our_user_as_a_report() {
    let Some(town) = Town::found() else { return };
    let (_names, _neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let message = letter("user0@example.test", "nobody@neighbour.test", "to nobody");
    town.submit(&ours, &["nobody@neighbour.test"], &message);
    let report = returned(&ours);
    for part in [
        "multipart/report",
        "report-type=delivery-status",
        "Content-Type: message/delivery-status",
        "Reporting-MTA: dns; mx.example.test",
        "Final-Recipient: rfc822; nobody@neighbour.test",
        "Action: failed",
        "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550",
        "mx.neighbour.test",
        "Subject: to nobody",
    ] {
        let lower = report.to_ascii_lowercase();
        assert!(
            lower.contains(&part.to_ascii_lowercase()),
            "{part} is missing:\n{report}"
        );
    }
    assert!(
        report.starts_with("Return-Path: <>"),
        "a report is never reported on:\n{report}"
    );
}

#[test]
fn an_unknown_user_of_ours_comes_back_to_the_user_of_postfix() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let _ours = town.heronry("");
    let message = letter(
        "ann@neighbour.test",
        "nobody@example.test",
        "to nobody of yours",
    );
    town.give_to_neighbour("ann@neighbour.test", &["nobody@example.test"], &message);
    let report = neighbour.mail_with("ann@neighbour.test", "Undelivered Mail Returned to Sender");
    assert!(
        report.contains("Status: 5.1.1"),
        "our words are understood:\n{report}"
    );
    neighbour.logs(&["to=<nobody@example.test>", "dsn=5.1.1", "status=bounced"]);
}

#[test]
fn the_one_of_two_recipients_who_is_there_gets_the_mail_and_the_other_comes_back() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let message = letter("user0@example.test", "ann@neighbour.test", "half");
    town.submit(
        &ours,
        &["ann@neighbour.test", "nobody@neighbour.test"],
        &message,
    );
    neighbour.mail_with("ann@neighbour.test", "Subject: half");
    let report = returned(&ours);
    assert!(report.contains("nobody@neighbour.test"), "{report}");
    let status = report
        .split("message/delivery-status")
        .nth(1)
        .unwrap_or_default();
    assert!(
        !status.contains("Final-Recipient: rfc822; ann@"),
        "{report}"
    );
}

#[test]
fn a_domain_that_takes_no_mail_or_is_not_there_comes_back_at_once() {
    let Some(town) = Town::found() else { return };
    let _names = town.name_server();
    let ours = town.heronry("");
    for domain in ["null.test", "nowhere.test"] {
        let to = format!("ann@{domain}");
        let message = letter("user0@example.test", &to, &format!("to {domain}"));
        town.submit(&ours, &[&to], &message);
        let mut inbox = ours.imap("user0@example.test");
        testkit::until(format!("the report about {domain}"), testkit::LONG, || {
            inbox.command("SELECT INBOX").ok();
            let text = inbox.command(format!("SEARCH BODY \"{domain}\"")).ok();
            text.find("SEARCH").is_some_and(|text| text != "* SEARCH")
        });
        let report = newest(&mut inbox);
        assert!(report.contains("Action: failed"), "{report}");
        let code = if domain == "null.test" {
            "5.1.10"
        } else {
            "5.1.2"
        }; // RFC 7505 §4.2, RFC 3463
        assert!(
            report.contains(&format!("Status: {code}")),
            "{code} is expected:\n{report}"
        );
    }
}

#[test]
fn python_reads_our_report_as_a_report() {
    let Some(town) = Town::found() else { return };
    if !testkit::needs("python3") {
        return;
    }
    let (_names, _neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let message = letter("user0@example.test", "nobody@neighbour.test", "for python");
    town.submit(&ours, &["nobody@neighbour.test"], &message);
    let report = returned(&ours);
    let file = town.folder("report.eml");
    std::fs::write(&file, report).unwrap();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/neighbours/report_reader.py"
    );
    crate::common::run(&format!("python3 {script} {}", file.display())).ok();
}

/// The report in the INBOX of user0, as it is.
fn returned(ours: &testkit::Daemon) -> String {
    let mut inbox = ours.imap("user0@example.test");
    testkit::until("a report comes back", testkit::LONG, || {
        inbox.command("SELECT INBOX").ok().number("EXISTS") >= Some(1)
    });
    newest(&mut inbox)
}
