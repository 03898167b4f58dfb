//! A DNS that is a table: for tests and simulations.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::Domain;

use super::{Asking, Dns, Found, Missing, MxRecord, Question, Records, Trouble};

/// Answers from a table that a test writes. A name that stands nowhere in it does not exist.
/// Clones are one table.
#[derive(Clone, Debug)]
pub struct TableDns(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    asked: Vec<Question>,
    delay: Duration,
    down: Option<Trouble>,
    rows: HashMap<Question, Result<Found, Missing>>,
    ttl: Duration,
}

impl TableDns {
    /// An empty table whose answers are true for five minutes.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Table {
            asked: Vec::new(),
            delay: Duration::ZERO,
            down: None,
            rows: HashMap::new(),
            ttl: Duration::from_secs(300),
        })))
    }

    /// Writes mail exchangers; the host `.` is the null MX (RFC 7505 §3).
    ///
    /// # Panics
    /// If a name is none.
    pub fn mx(&self, domain: &str, exchangers: &[(u16, &str)]) -> &Self {
        let records = exchangers.iter().map(|&(preference, host)| MxRecord {
            preference,
            host: (host != ".").then(|| name(host)),
        });
        self.found(Question::Mx(name(domain)), Records::Mx(records.collect()))
    }

    /// Writes the addresses of a host.
    ///
    /// # Panics
    /// If a name or an address is none.
    pub fn addresses(&self, host: &str, addresses: &[&str]) -> &Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in addresses {
            match address.parse().expect("a test writes addresses") {
                IpAddr::V4(address) => v4.push(address),
                IpAddr::V6(address) => v6.push(address),
            }
        }
        if !v4.is_empty() {
            self.found(Question::V4(name(host)), Records::V4(v4));
        }
        if !v6.is_empty() {
            self.found(Question::V6(name(host)), Records::V6(v6));
        }
        self
    }

    /// Writes the texts of a name.
    ///
    /// # Panics
    /// If the name is none.
    pub fn txt(&self, of: &str, texts: &[&str]) -> &Self {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        self.found(Question::Txt(name(of)), Records::Txt(texts))
    }

    /// Writes any answer.
    pub fn put(&self, question: Question, answer: Result<Found, Missing>) -> &Self {
        self.table().rows.insert(question, answer);
        self
    }

    /// Removes an answer.
    pub fn remove(&self, question: &Question) -> &Self {
        self.table().rows.remove(question);
        self
    }

    /// How long the answers written from now on are true.
    pub fn ttl(&self, ttl: Duration) -> &Self {
        self.table().ttl = ttl;
        self
    }

    /// How long every answer takes from now on.
    pub fn delay(&self, delay: Duration) -> &Self {
        self.table().delay = delay;
        self
    }

    /// From now on every question ends like this, until `None`.
    pub fn down(&self, trouble: Option<Trouble>) -> &Self {
        self.table().down = trouble;
        self
    }

    /// Every question so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Question> {
        self.table().asked.clone()
    }

    fn found(&self, question: Question, records: Records) -> &Self {
        let ttl = self.table().ttl;
        self.put(question, Ok(Found { records, ttl }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TableDns {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    fn answer(&self, question: &Question) -> Result<Found, Missing> {
        if let Some(trouble) = self.down {
            return Err(trouble.into());
        }
        if let Some(answer) = self.rows.get(question) {
            return answer.clone();
        }
        let is_there = self.rows.keys().any(|row| row.name() == question.name());
        let ttl = Some(self.ttl);
        Err(match question {
            Question::Ptr(_) => Missing::NoName { ttl },
            _ if is_there => Missing::NoData { ttl },
            _ => Missing::NoName { ttl },
        })
    }
}

impl Dns for TableDns {
    fn ask(&self, question: Question) -> Asking<'_> {
        let (answer, delay) = {
            let mut table = self.table();
            let answer = table.answer(&question);
            table.asked.push(question);
            (answer, table.delay)
        };
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            answer
        })
    }
}

fn name(text: &str) -> Domain {
    text.parse().expect("a test writes domains")
}
