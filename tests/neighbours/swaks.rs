//! swaks, the Swiss army knife of SMTP.

use testkit::{Daemon, Door, needs};

use crate::common::{demo, inbox_with, run};

#[test]
fn swaks_sends_in_every_way_it_knows() {
    if !needs("swaks") || !has_tls() {
        return;
    }
    let daemon = demo().start();
    let ways = [
        ("plain", Door::Smtp, ""),
        ("starttls", Door::Smtp, "--tls"),
        ("lmtp", Door::Lmtp, "--protocol LMTP"),
        (
            "auth-plain",
            Door::Submission,
            "--auth PLAIN --auth-user user1 --auth-password secret",
        ),
        (
            "auth-login",
            Door::Submission,
            "--auth LOGIN --auth-user user1 --auth-password secret",
        ),
        (
            "tls-auth",
            Door::Submission,
            "--tls --auth --auth-user user1 --auth-password secret",
        ),
        (
            "tls-first",
            Door::Submissions,
            "--tlsc --auth --auth-user user1 --auth-password secret",
        ),
        ("pipeline", Door::Smtp, "--pipeline"),
    ];
    for (name, door, options) in ways {
        let text = swaks(&daemon, door, &format!("{options} --header Subject:{name}")).ok();
        assert!(!text.contains("<** "), "{name}: {text}");
    }
    for (name, _, _) in ways {
        inbox_with(&daemon, "user0", name);
    }
}

#[test]
fn swaks_is_refused_where_it_should_be() {
    if !needs("swaks") {
        return;
    }
    let daemon = demo().start();
    let wrong = "--auth PLAIN --auth-user user1 --auth-password wrong";
    assert_eq!(
        swaks(&daemon, Door::Submission, wrong).status.code(),
        Some(28),
        "AUTH fails"
    );
    let nobody = format!("{} --to nobody@example.test", base(&daemon, Door::Smtp));
    assert_eq!(
        run(&nobody).status.code(),
        Some(24),
        "no recipient is accepted"
    );
    let elsewhere = format!("{} --to someone@remote.test", base(&daemon, Door::Smtp));
    assert_eq!(
        run(&elsewhere).status.code(),
        Some(24),
        "nothing is relayed"
    );
}

/// swaks has its TLS from a package that it only recommends.
fn has_tls() -> bool {
    let found = run("perl -MNet::SSLeay -e 1").status.success();
    if !found {
        testkit::leave_out("Perl's Net::SSLeay is not installed");
    }
    found
}

fn swaks(daemon: &Daemon, door: Door, options: &str) -> testkit::Finished {
    run(&format!(
        "{} --to user0@example.test {options}",
        base(daemon, door)
    ))
}

fn base(daemon: &Daemon, door: Door) -> String {
    format!(
        "swaks --server {} --from user1@example.test --ehlo client.test",
        daemon.address(door)
    )
}
