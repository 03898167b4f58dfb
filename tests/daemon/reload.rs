//! Another configuration while the daemon runs: it is taken over, or refused with a word, and
//! nobody is sent away for it.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
};

use testkit::{Door, ImapClient, SHORT, Signal, SmtpClient, Wire, finish, needs, until};

use crate::{
    common::{binary, demo, letter},
    served::Served,
    stopping::take_one,
};

#[test]
fn new_limits_are_for_who_comes_and_nobody_is_sent_away() {
    let mut house = Served::open("");
    let mut before = house.daemon.smtp();
    house.write(
        "trusted = [\"127.0.0.0/8\"]\nlogin_without_tls = [\"127.0.0.0/8\"]\n\
         domains = [\"second.test\"]\n[limits]\nmessage_octets_max = 4000\n\
         [limits.silence]\nimap_seconds = 1\n",
        &Door::ALL,
    );
    let said = house.reload().ok();
    for key in [
        "domains: ",
        "limits.message_octets_max: 70000000 -> 4000",
        "limits.silence.imap_seconds: 1800 -> 1",
        "trusted: ",
    ] {
        assert!(said.contains(key), "{said}");
    }
    let mut smtp = SmtpClient::connect(house.daemon.address(Door::Smtp));
    assert!(smtp.ehlo().lines.contains(&"SIZE 4000".to_owned()));
    smtp.command("MAIL FROM:<a@b.test>").expect(250);
    smtp.command("RCPT TO:<anybody@elsewhere.test>").expect(250);
    let domains = house.daemon.command(&["domain", "list"], b"").ok();
    assert!(domains.contains("second.test") && domains.contains("example.test"));
    let mut imap = ImapClient::connect(house.daemon.address(Door::Imap));
    imap.command("LOGIN user0@example.test secret").ok();
    assert!(String::from_utf8_lossy(&imap.wire().until_closed().unwrap()).contains("* BYE"));
    before
        .send("a@b.test", &["user0@example.test"], &letter("still here"))
        .expect(250);
    house.daemon.output().line_with("\"act\":\"reload\"", SHORT);
}

#[test]
fn a_new_route_is_gone_by_the_next_attempt() {
    let base = "trusted = [\"127.0.0.0/8\"]\n[delivery]\ndns = false\n";
    let house = Served::open(base);
    house
        .daemon
        .smtp()
        .send("a@b.test", &["anybody@elsewhere.test"], &letter("out"))
        .expect(250);
    until("it waits", SHORT, || waiting(&house).contains("anybody@"));
    let hop = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = hop.local_addr().unwrap();
    let taken = thread::spawn(move || take_one(hop.accept().unwrap().0, || {}));
    let route = format!("{base}[[route]]\ndomain = \"elsewhere.test\"\nto = \"{to}\"\n");
    house.write(&route, &Door::ALL);
    let said = house.reload().ok();
    assert!(
        said.contains(&format!("route elsewhere.test: + {to}")),
        "{said}"
    );
    house.daemon.command(&["queue", "flush"], b"").ok();
    taken.join().unwrap();
    until("nothing waits", SHORT, || {
        !waiting(&house).contains("anybody@")
    });
}

fn waiting(house: &Served) -> String {
    house.daemon.command(&["queue", "list"], b"").ok()
}

#[test]
fn a_bad_file_is_refused_with_its_reason_and_the_old_one_stays() {
    let mut house = Served::open("");
    let mut before = house.daemon.smtp();
    house.write("[limits]\nrecipients_max = \"many\"\n", &Door::ALL);
    let run = house.reload();
    assert_eq!(run.status.code(), Some(2), "{}", run.text);
    assert!(run.text.contains("heronry.toml:5:"), "{}", run.text);
    house.daemon.process().signal(Signal::HUP);
    house
        .daemon
        .output()
        .line_with("SIGHUP changes nothing", SHORT);
    house.write("[limits]\nrecipients_max = 3\n", &Door::ALL);
    fs::write(
        &house.file,
        fs::read_to_string(&house.file).unwrap() + "oops",
    )
    .unwrap();
    assert!(!house.reload().status.success());
    before
        .send("a@b.test", &["user0@example.test"], &letter("served"))
        .expect(250);
    house.write("", &Door::ALL);
    assert!(house.reload().ok().contains("0 changes in force"));
}

#[test]
fn what_needs_a_restart_is_named_and_nothing_else_is_changed_either() {
    let house = Served::open("");
    house.write(
        "trusted = [\"127.0.0.0/8\"]\n[store]\nreserve_octets = 1000\n",
        &Door::ALL,
    );
    let diff = house.diff().ok();
    assert!(diff.contains("trusted: "), "{diff}");
    let stuck = diff.lines().find(|line| line.starts_with("store."));
    assert!(stuck.unwrap().ends_with("(needs a restart)"), "{diff}");
    let run = house.reload();
    assert_eq!(run.status.code(), Some(2), "{}", run.text);
    assert!(run.text.contains("store.reserve_octets"), "{}", run.text);
    assert!(!run.text.contains("trusted"), "{}", run.text);
    let mut smtp = house.daemon.smtp();
    smtp.command("MAIL FROM:<a@b.test>").expect(250);
    smtp.command("RCPT TO:<anybody@elsewhere.test>").expect(550);
}

#[test]
fn listeners_come_and_go_and_their_guests_stay() {
    let few = [Door::Smtp, Door::Imap, Door::Http];
    let mut house = Served::started("", &few, |recipe, _| recipe);
    let mut guest = house.daemon.smtp();
    let mut stays = ImapClient::connect(house.daemon.address(Door::Imap));
    let other = [Door::Imap, Door::Lmtp, Door::Pop3, Door::Http];
    house.write("", &other);
    let diff = house.diff().ok();
    for change in [
        "listener: - smtp ",
        "listener: + lmtp ",
        "listener: + pop3 ",
    ] {
        assert!(diff.contains(change), "{diff}");
    }
    assert!(!diff.contains("imap"), "{diff}");
    assert!(house.reload().ok().contains("3 changes in force"));
    let pop3 = house.daemon.address(Door::Pop3);
    assert!(
        Wire::connect(pop3)
            .unwrap()
            .line()
            .unwrap()
            .starts_with(b"+OK")
    );
    until_refused(house.daemon.address(Door::Smtp));
    // Who came in by a door that is closed now is served to the end.
    guest
        .send("a@b.test", &["user0@example.test"], &letter("inside"))
        .expect(250);
    stays.command("NOOP").ok();
    // The same door comes back, and another one goes.
    house.write("", &few);
    house.reload().ok();
    SmtpClient::connect(house.daemon.address(Door::Smtp)).ehlo();
    until_refused(pop3);
    guest.command("NOOP").expect(250);
    until("the door without guests is gone", SHORT, || {
        !house.daemon.command(&["tree"], b"").ok().contains("pop3")
    });
    house.daemon.process().signal(Signal::TERM);
    assert!(house.daemon.process().wait(SHORT).success());
}

#[test]
fn another_protocol_at_the_same_address_takes_the_socket_over() {
    let few = [Door::Smtp, Door::Http];
    let house = Served::started("", &few, |recipe, _| recipe);
    let mut guest = house.daemon.smtp();
    let address = house.daemon.address(Door::Smtp).to_string();
    let text = fs::read_to_string(&house.file).unwrap();
    let listener = format!("protocol = \"smtp\"\naddress = \"{address}\"");
    assert!(text.contains(&listener), "{text}");
    fs::write(
        &house.file,
        text.replace(&listener, &listener.replace("smtp", "pop3")),
    )
    .unwrap();
    house.reload().ok();
    until("POP3 is spoken there", SHORT, || {
        let mut wire = Wire::connect(&address).unwrap();
        wire.line().is_ok_and(|line| line.starts_with(b"+OK"))
    });
    guest.command("NOOP").expect(250);
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_is_changed() {
    let few = [Door::Smtp, Door::Http];
    let house = Served::started("", &few, |recipe, _| recipe);
    let taken = house.daemon.address(Door::Imap);
    let _other = TcpListener::bind(taken).unwrap();
    house.write("", &[Door::Lmtp, Door::Imap, Door::Http]);
    let run = house.reload();
    assert!(!run.status.success());
    let named = format!("cannot listen on {taken}");
    assert!(run.text.contains(&named), "{}", run.text);
    assert!(TcpStream::connect(house.daemon.address(Door::Lmtp)).is_err());
    house.daemon.smtp();
}

#[test]
fn a_new_certificate_is_shown_in_new_handshakes_and_old_ones_go_on() {
    if !needs("openssl") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tls = format!(
        "[tls]\ncertificate = \"{0}/cert.pem\"\nkey = \"{0}/key.pem\"\n",
        place.path().display()
    );
    make_certificate(place.path(), "first.test");
    let house = Served::open(&tls);
    let mut before = SmtpClient::connect_tls(house.daemon.address(Door::Submissions));
    before.ehlo();
    let mut later = house.daemon.smtp();
    let shown = || {
        let address = house.daemon.address(Door::Imaps).to_string();
        let mut client = Command::new("openssl");
        client.args(["s_client", "-brief", "-connect", &address]);
        finish(&mut client, b"").text
    };
    assert!(shown().contains("first.test"));
    make_certificate(place.path(), "second.test");
    assert!(shown().contains("first.test"));
    house.reload().ok();
    assert!(shown().contains("second.test"));
    before.command("NOOP").expect(250);
    later.starttls();
    // Half a pair changes nothing.
    fs::write(place.path().join("key.pem"), "no key").unwrap();
    let run = house.reload();
    assert!(run.text.contains("key.pem"), "{}", run.text);
    assert!(shown().contains("second.test"));
}

#[test]
fn without_a_daemon_a_difference_cannot_be_told() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("heronry.toml");
    let listener = "[[listener]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:25\"\n";
    fs::write(&file, format!("data = \"data\"\n{listener}")).unwrap();
    let mut check = Command::new(binary());
    let run = finish(check.args(["check", "--diff", "--config"]).arg(&file), b"");
    assert_eq!(run.status.code(), Some(3), "{}", run.text);
    assert!(run.text.contains("no daemon runs"), "{}", run.text);
}

#[test]
fn a_demo_has_no_configuration_to_read_again() {
    let daemon = demo().start();
    let run = daemon.command(&["reload"], b"");
    assert_eq!(run.status.code(), Some(2), "{}", run.text);
    assert!(run.text.contains("without a configuration"), "{}", run.text);
}

fn until_refused(address: SocketAddr) {
    until(format!("{address} is closed"), SHORT, || {
        TcpStream::connect(address).is_err()
    });
}

fn make_certificate(folder: &Path, name: &str) {
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
    make.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    make.args(["-subj", &format!("/CN={name}")]);
    make.args(["-addext", &format!("subjectAltName=DNS:{name}")]);
    make.arg("-keyout").arg(folder.join("key.pem"));
    make.arg("-out").arg(folder.join("cert.pem"));
    finish(&mut make, b"").ok();
}
