//! What the demo says when it is up: addresses, and lines to copy.

use std::{fmt::Write, net::SocketAddr};

use super::plan::{DEMO_DOMAIN, DEMO_PASSWORD, Demo};
use crate::config::{Config, Listener, Protocol};

/// The text, with the doors that are `open`. It is also what a reader of the README sees first.
pub(super) fn banner(config: &Config, demo: Demo, open: &[Listener]) -> String {
    let at = |protocol: Protocol| {
        let door = open.iter().find(|door| door.protocol == protocol);
        door.map(|door| door.address)
    };
    let mut text = format!(
        "Heronry {} is up. Ctrl-C ends it.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    for protocol in Protocol::ALL {
        if let Some(address) = at(protocol) {
            let tls = if protocol.is_tls_first() {
                "  (TLS)"
            } else {
                ""
            };
            let _ = writeln!(text, "  {:<12}{address}{tls}", protocol.name());
        }
    }
    for closed in config.listener.iter().filter(|door| !open.contains(door)) {
        let (name, address) = (closed.protocol.name(), closed.address);
        let _ = writeln!(
            text,
            "  {name:<12}left out: another process has {address}; --port-base chooses other ports"
        );
    }
    let _ = writeln!(text, "\n  data        {}", config.data.display());
    let _ = match demo.accounts {
        0 => writeln!(text, "  accounts    none yet: heronry account add"),
        1 => writeln!(
            text,
            "  accounts    user0@{DEMO_DOMAIN}, password {DEMO_PASSWORD}"
        ),
        n => writeln!(
            text,
            "  accounts    user0@{DEMO_DOMAIN} to user{}@{DEMO_DOMAIN}, password {DEMO_PASSWORD}",
            n - 1
        ),
    };
    let _ = writeln!(text, "  elsewhere   {}\n", elsewhere(config));
    if let (Some(smtp), Some(imap)) = (at(Protocol::Smtp), at(Protocol::Imap))
        && demo.accounts > 0
    {
        text.push_str(&lines(smtp, imap, at(Protocol::Imaps)));
    }
    if let Some(http) = at(Protocol::Http) {
        let _ = writeln!(text, "Watch it:\n\n  curl http://{http}/metrics");
    }
    text
}

/// What becomes of mail for other systems.
fn elsewhere(config: &Config) -> String {
    match (&config.delivery.relay, config.dns.servers.as_slice()) {
        _ if config.holds_remote_mail() => {
            "mail for other systems waits in its queue; --relay or --dns sends it".to_owned()
        }
        (Some(relay), _) => format!("mail for other systems goes to {relay}"),
        (None, servers) => {
            let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
            format!(
                "mail for other systems goes where {} says",
                servers.join(", ")
            )
        }
    }
}

fn lines(smtp: SocketAddr, imap: SocketAddr, imaps: Option<SocketAddr>) -> String {
    let user = format!("user0@{DEMO_DOMAIN}");
    let (ip, port) = (smtp.ip(), smtp.port());
    let mut text = format!(
        "Send a mail:\n\n  \
         swaks --server {ip} --port {port} --from ann@elsewhere.test --to {user}\n  \
         printf 'Subject: Hello\\r\\n\\r\\nFrom curl.\\r\\n' | curl smtp://{smtp} --mail-from ann@elsewhere.test --mail-rcpt {user} -T -\n\n\
         Read it:\n\n  \
         curl --user {user}:{DEMO_PASSWORD} 'imap://{imap}/INBOX;MAILINDEX=1'\n",
    );
    if let Some(imaps) = imaps {
        let _ = writeln!(text, "  openssl s_client -quiet -crlf -connect {imaps}");
        let _ = writeln!(text, "    a login {user} {DEMO_PASSWORD}");
        let _ = writeln!(text, "    b select inbox");
        let _ = writeln!(text, "    c fetch * body[]");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn every_address_is_named_and_the_lines_use_them() {
        let listener = Protocol::ALL.map(|protocol| Listener {
            protocol,
            address: (Ipv4Addr::LOCALHOST, 2000 + protocol.port()).into(),
        });
        let mut config = Config {
            listener: listener.to_vec(),
            ..Config::default()
        };
        config.delivery.dns = false;
        let demo = Demo {
            accounts: 10,
            yields_ports: true,
        };
        let text = banner(&config, demo, &listener);
        for door in listener {
            assert!(
                text.contains(&door.address.to_string()),
                "{}",
                door.protocol.name()
            );
        }
        assert!(text.contains("--server 127.0.0.1 --port 2025"));
        assert!(text.contains("imap://127.0.0.1:2143/INBOX"));
        assert!(text.contains("user9@example.test"));
        assert!(text.contains("waits in its queue"));
        assert!(!text.contains("left out"));
        let text = banner(&config, demo, &listener[1..]);
        let missing = listener[0].protocol.name();
        let named = format!("  {missing:<12}left out: another process has ");
        assert!(text.contains(&named), "{text}");
    }
}
