//! The SMTP client: whatever a peer says, every recipient is settled once and nothing panics.

use bytes::Bytes;
use mail::Reply;
use smtp::{
    Family, Mail, Rcpt,
    client::{Client, Config, Step},
};

/// One run.
pub(crate) fn run(octets: &[u8]) {
    let name = "we.example.test".parse().expect("a constant");
    let mut client = Client::new(Config::new(name, Family::Smtp));
    let to: mail::Address = "user1@example.test".parse().expect("a constant");
    let (mut begun, mut reported) = (0, 0);
    let mut slices = octets.chunks(50);
    loop {
        match client.step() {
            Step::Body => client.end_body(),
            Step::Close(_) => break,
            Step::Read => match slices.next() {
                Some(slice) => client.feed(Bytes::copy_from_slice(slice)),
                None => client.lost(Reply::new(451, None, "lost")),
            },
            Step::Ready if begun < 3 => {
                begun += 1;
                let mut mail = Mail::new(None);
                mail.size = (begun > 1).then_some(begun as u64 * 30_000);
                client.begin(mail, vec![Rcpt::new(to.clone())]);
            }
            Step::Ready => client.quit(),
            Step::Report(report) => reported += report.recipients.len(),
            Step::Send(_) => {}
            Step::StartTls => client.tls_started(),
        }
    }
    assert_eq!(begun, reported);
}
