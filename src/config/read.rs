//! From a file to a configuration, with the place of every value that it sets.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{self, Path},
};

use toml::{Spanned, de::DeTable, de::DeValue};

use super::{Config, ConfigError, Effective, Protocol, Source};

impl Config {
    /// Reads the configuration in `file`.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, is no TOML, or says something that cannot be.
    pub fn read(file: &Path) -> Result<Effective, ConfigError> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|error| ConfigError::new(&name, format!("cannot be read: {error}")))?;
        let effective = Self::parse(&name, &text)?;
        // Paths are meant from where the file is, whoever starts the daemon from wherever.
        let file = path::absolute(file)
            .map_err(|error| ConfigError::new(&name, format!("cannot be found: {error}")))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Ok(effective.with_paths_from(folder))
    }

    /// Reads the configuration that `text` is; `name` is where it comes from.
    ///
    /// # Errors
    /// [`ConfigError`]: it is no TOML, or says something that cannot be.
    pub fn parse(name: &str, text: &str) -> Result<Effective, ConfigError> {
        let wrong = |error| ConfigError::from_toml(name, text, &error);
        let table = DeTable::parse(text).map_err(wrong)?;
        let config: Self = toml::from_str(text).map_err(wrong)?;
        let mut spans = BTreeMap::new();
        for (key, value) in table.get_ref() {
            note(&mut spans, key.get_ref().to_string(), key.span(), value);
        }
        let at = |error: ConfigError, key: &str| match spans.get(key) {
            Some(span) => error.at(text, span.clone()),
            None => error,
        };
        config.check(name, &at)?;
        let line = |span: &Range<usize>| text[..span.start].matches('\n').count() + 1;
        let sources = spans
            .iter()
            .map(|(key, span)| (key.clone(), Source::File { line: line(span) }))
            .collect();
        Ok(Effective {
            effective: config,
            file: name.to_owned(),
            sources,
        })
    }

    /// What no single value shows.
    fn check(
        &self,
        name: &str,
        at: &dyn Fn(ConfigError, &str) -> ConfigError,
    ) -> Result<(), ConfigError> {
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            let (there, missing) = match self.tls.key {
                None => ("tls.certificate", "tls.key"),
                Some(_) => ("tls.key", "tls.certificate"),
            };
            let error = ConfigError::new(name, format!("{there} is set and {missing} is not"));
            return Err(at(
                error.hint("a certificate and its key come together"),
                there,
            ));
        }
        let is_shown = self.tls.certificate.is_some() || self.tls.self_signed;
        for (number, listener) in self.listener.iter().enumerate() {
            let key = format!("listener.{number}");
            if listener.protocol.is_tls_first() && !is_shown {
                let what = format!("{} needs a certificate", listener.protocol.name());
                let error = ConfigError::new(name, what)
                    .hint("set tls.certificate and tls.key, or tls.self_signed = true");
                return Err(at(error, &key));
            }
            let earlier = &self.listener[..number];
            if let Some(twin) = earlier
                .iter()
                .find(|other| other.address == listener.address)
            {
                let what = format!(
                    "{} is the address of two listeners, {} and {}",
                    listener.address,
                    twin.protocol.name(),
                    listener.protocol.name()
                );
                return Err(at(ConfigError::new(name, what), &key));
            }
        }
        for (key, value) in self.positive() {
            if value == 0 {
                let error = ConfigError::new(name, format!("{key} is 0"));
                return Err(at(error.hint("a number above 0 is expected"), key));
            }
        }
        if self.queue.retry_longest_seconds < self.queue.retry_first_seconds {
            let what = "queue.retry_longest_seconds is below queue.retry_first_seconds";
            return Err(at(
                ConfigError::new(name, what),
                "queue.retry_longest_seconds",
            ));
        }
        if self.limits.memory_octets < self.limits.message_octets_max {
            let error = ConfigError::new(
                name,
                "limits.memory_octets is below limits.message_octets_max",
            )
            .hint("no message of the largest size could be taken");
            let is_set = "limits.memory_octets";
            return Err(at(at(error, "limits.message_octets_max"), is_set));
        }
        Ok(())
    }

    /// Keys that stop the mail when they are 0, with their values.
    fn positive(&self) -> [(&'static str, u64); 19] {
        let (limits, queue) = (&self.limits, &self.queue);
        let (connections, silence) = (&limits.connections, &limits.silence);
        let count = |number: usize| number as u64;
        [
            ("delivery.connect_seconds", self.delivery.connect_seconds),
            (
                "delivery.deliveries_max",
                count(self.delivery.deliveries_max),
            ),
            (
                "delivery.messages_per_connection_max",
                self.delivery.messages_per_connection_max,
            ),
            ("dns.asking_max", count(self.dns.asking_max)),
            (
                "limits.connections.connections_max",
                count(connections.connections_max),
            ),
            (
                "limits.connections.connections_per_network_max",
                count(connections.connections_per_network_max),
            ),
            ("limits.memory_octets", limits.memory_octets),
            ("limits.message_octets_max", limits.message_octets_max),
            ("limits.recipients_max", count(limits.recipients_max)),
            ("limits.silence.imap_seconds", silence.imap_seconds),
            ("limits.silence.pop3_seconds", silence.pop3_seconds),
            ("limits.silence.smtp_seconds", silence.smtp_seconds),
            ("login.waiting_max", count(self.login.waiting_max)),
            ("login.workers", count(self.login.workers)),
            (
                "queue.connections_per_domain_max",
                count(queue.connections_per_domain_max),
            ),
            (
                "queue.recipients_per_transaction_max",
                count(queue.recipients_per_transaction_max),
            ),
            ("queue.retry_first_seconds", queue.retry_first_seconds),
            ("queue.window", count(queue.window)),
            ("stop.seconds", self.stop.seconds),
        ]
    }

    /// What the daemon needs and a demo has: somewhere to listen.
    ///
    /// # Errors
    /// [`ConfigError`] if there is no listener.
    pub fn check_listeners(&self, name: &str) -> Result<(), ConfigError> {
        if !self.listener.is_empty() {
            return Ok(());
        }
        let example: String = [Protocol::Smtp, Protocol::Submission, Protocol::Imap]
            .iter()
            .map(|protocol| {
                let (name, port) = (protocol.name(), protocol.port());
                format!(
                    "\n    [[listener]]\n    protocol = \"{name}\"\n    address = \"0.0.0.0:{port}\""
                )
            })
            .collect();
        Err(ConfigError::new(name, "there is no [[listener]]")
            .hint(format!("for example:{example}")))
    }
}

fn note(
    spans: &mut BTreeMap<String, Range<usize>>,
    path: String,
    span: Range<usize>,
    value: &Spanned<DeValue<'_>>,
) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                note(
                    spans,
                    format!("{path}.{}", key.get_ref()),
                    key.span(),
                    value,
                );
            }
        }
        DeValue::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                if let DeValue::Table(_) = item.get_ref() {
                    let path = format!("{path}.{number}");
                    spans.insert(path.clone(), item.span());
                    note(spans, path, item.span(), item);
                }
            }
        }
        _ => {}
    }
    spans.entry(path).or_insert(span);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse("h.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let read = Config::parse("h.toml", "").unwrap();
        assert_eq!(read.effective, Config::default());
        let read = Config::parse("h.toml", "[queue]\nretry_first_seconds = 7\n").unwrap();
        assert_eq!(read.effective.queue.retry_first_seconds, 7);
        assert_eq!(
            read.source("queue.retry_first_seconds"),
            Source::File { line: 2 }
        );
        assert_eq!(read.source("queue.window"), Source::Default);
    }

    #[test]
    fn the_example_of_a_whole_configuration_is_read() {
        let text = include_str!("../../docs/heronry.example.toml");
        let config = Config::parse("heronry.example.toml", text)
            .unwrap()
            .effective;
        assert_eq!(config.route[0].to.to_string(), "127.0.1.1:2525");
        config.check_listeners("heronry.example.toml").unwrap();
    }

    #[test]
    fn a_key_that_is_not_known_is_named_with_its_line_and_the_nearest_one() {
        let said = refused("data = \"x\"\n[queue]\nretry_fist_seconds = 1\n");
        assert!(
            said.starts_with("h.toml:3:1: key \"retry_fist_seconds\" is not known"),
            "{said}"
        );
        assert!(
            said.ends_with("did you mean retry_first_seconds?"),
            "{said}"
        );
        let said = refused("[[listener]]\nprotocol = \"smtp\"\nadress = \"[::]:25\"\n");
        assert!(said.starts_with("h.toml:3:1:"), "{said}");
        assert!(said.ends_with("did you mean address?"), "{said}");
    }

    #[test]
    fn a_value_that_cannot_be_is_named_with_its_line() {
        for (text, place) in [
            ("hostname = \"a b\"\n", "h.toml:1:12: a domain consists of"),
            ("hostname = 3\n", "h.toml:1:12:"),
            ("\ntrusted = [\"10.0.0.1/8\"]\n", "h.toml:2:"),
            (
                "[[listener]]\nprotocol = \"gopher\"\naddress = \"[::]:70\"\n",
                "h.toml:2:12:",
            ),
            (
                "[[route]]\ndomain = \"d.test\"\nto = \"x:y\"\n",
                "h.toml:3:6:",
            ),
            ("a = \n", "h.toml:1:5:"),
            (
                "[limits]\nrecipients_max = 0\n",
                "h.toml:2:1: limits.recipients_max is 0",
            ),
            (
                "[limits.connections]\nconnections_max = 0\n",
                "h.toml:2:1: limits.connections.connections_max is 0",
            ),
            ("[queue]\nwindow = 0\n", "h.toml:2:1: queue.window is 0"),
            (
                "[tls]\nkey = \"k\"\n",
                "h.toml:2:1: tls.key is set and tls.certificate is not",
            ),
        ] {
            let said = refused(text);
            assert!(said.starts_with(place), "{said}");
        }
    }

    #[test]
    fn a_door_under_tls_needs_a_certificate_and_an_address_of_its_own() {
        let imaps = "[[listener]]\nprotocol = \"imaps\"\naddress = \"[::]:993\"\n";
        assert!(refused(imaps).contains("imaps needs a certificate"));
        let signed = format!("[tls]\nself_signed = true\n{imaps}{imaps}");
        assert!(refused(&signed).contains("is the address of two listeners, imaps and imaps"));
    }
}
