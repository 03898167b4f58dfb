//! The real resolver against a server that says what a test wants.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "the server runs here, too")]

use std::{net::SocketAddr, time::Duration};

use heronry_world::dns::{
    Dns, DnsServer, Found, Hickory, Missing, MxRecord, Question, Records, Trouble,
};
use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CNAME, MX, PTR, SOA, TXT},
    },
};
use mail::Domain;
use tokio::net::UdpSocket;

/// A server over UDP for the zone `test`.
async fn server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut octets = [0; 2048];
        loop {
            let (n, from) = socket.recv_from(&mut octets).await.unwrap();
            let reply = reply(&Message::from_vec(&octets[..n]).unwrap());
            socket
                .send_to(&reply.to_vec().unwrap(), from)
                .await
                .unwrap();
        }
    });
    address
}

fn reply(question: &Message) -> Message {
    let mut reply = question.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    let query = question.queries[0].clone();
    let record = |name: &str, ttl, data| Record::from_rdata(root(name), ttl, data);
    let mx = |preference, host: &str| RData::MX(MX::new(preference, root(host)));
    match (query.name().to_ascii().as_str(), query.query_type()) {
        ("plain.test.", RecordType::MX) => {
            reply.add_answer(record("plain.test.", 300, mx(20, "B.plain.test.")));
            reply.add_answer(record("plain.test.", 60, mx(10, "a.plain.test.")));
        }
        ("null.test.", RecordType::MX) => {
            reply.add_answer(record("null.test.", 300, mx(0, ".")));
        }
        ("alias.test.", RecordType::A) => {
            let target = RData::CNAME(CNAME(root("plain.test.")));
            reply.add_answer(record("alias.test.", 30, target));
            let address = RData::A(A::new(192, 0, 2, 7));
            reply.add_answer(record("plain.test.", 300, address));
        }
        ("plain.test.", RecordType::TXT) => {
            let text = TXT::new(vec!["v=spf1 ".to_owned(), "-all".to_owned()]);
            reply.add_answer(record("plain.test.", 300, RData::TXT(text)));
        }
        ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => {
            let name = RData::PTR(PTR(root("mx.plain.test.")));
            reply.add_answer(record("1.2.0.192.in-addr.arpa.", 300, name));
        }
        ("plain.test.", _) => {
            reply.add_authority(soa(900));
        }
        ("broken.test.", _) => reply.metadata.response_code = ResponseCode::ServFail,
        _ => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            reply.add_authority(soa(120));
        }
    }
    reply
}

/// The authority, whose negative answers are true for `minimum` seconds.
fn soa(minimum: u32) -> Record {
    let soa = SOA::new(
        root("ns.test."),
        root("post.test."),
        1,
        7200,
        3600,
        86_400,
        minimum,
    );
    Record::from_rdata(root("test."), 3600, RData::SOA(soa))
}

fn root(name: &str) -> Name {
    Name::from_ascii(name).unwrap()
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[tokio::test]
async fn what_a_server_says_is_understood() {
    let dns = Hickory::with_servers(&[DnsServer(server().await)]).unwrap();
    let exchanger = |preference, host: Option<&str>| MxRecord {
        preference,
        host: host.map(domain),
    };
    let plain = dns.ask(Question::Mx(domain("plain.test"))).await;
    let mut records = vec![
        exchanger(20, Some("b.plain.test")),
        exchanger(10, Some("a.plain.test")),
    ];
    let Ok(Found {
        records: Records::Mx(found),
        ttl,
    }) = plain
    else {
        panic!("{plain:?}");
    };
    let mut found = found;
    found.sort_by_key(|mx| mx.preference);
    records.sort_by_key(|mx| mx.preference);
    assert_eq!((found, Some(ttl)), (records, seconds(60)));

    let null = dns.ask(Question::Mx(domain("null.test"))).await.unwrap();
    assert_eq!(null.records, Records::Mx(vec![exchanger(0, None)]));

    let alias = dns.ask(Question::V4(domain("alias.test"))).await.unwrap();
    assert_eq!(
        alias.records,
        Records::V4(vec!["192.0.2.7".parse().unwrap()])
    );
    assert_eq!(Some(alias.ttl), seconds(30));

    let names = dns
        .ask(Question::Ptr("192.0.2.1".parse().unwrap()))
        .await
        .unwrap();
    assert_eq!(names.records, Records::Ptr(vec![domain("mx.plain.test")]));

    let text = dns.ask(Question::Txt(domain("plain.test"))).await.unwrap();
    assert_eq!(text.records, Records::Txt(vec!["v=spf1 -all".to_owned()]));
}

#[tokio::test]
async fn the_ways_of_not_knowing_are_told_apart() {
    let dns = Hickory::with_servers(&[DnsServer(server().await)]).unwrap();
    let nothing = dns.ask(Question::V6(domain("plain.test"))).await;
    assert_eq!(nothing, Err(Missing::NoData { ttl: seconds(900) }));
    let nobody = dns.ask(Question::Mx(domain("nobody.test"))).await;
    assert_eq!(nobody, Err(Missing::NoName { ttl: seconds(120) }));
    let broken = dns.ask(Question::Mx(domain("broken.test"))).await;
    assert_eq!(broken, Err(Missing::Trouble(Trouble::Server)));
    let literal = dns.ask(Question::V4(domain("[192.0.2.1]"))).await;
    assert_eq!(literal, Err(Missing::NoName { ttl: None }));
}
