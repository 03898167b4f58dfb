//! One HTTP request, for health and metrics.

use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;

use crate::wire::Wire;

/// Asks for `path` and returns the status and the body.
///
/// # Errors
/// Nobody listens, or the answer is not HTTP.
pub fn http_get(address: impl ToSocketAddrs, path: &str) -> io::Result<(u16, String)> {
    let mut wire = Wire::connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    wire.send(request.as_bytes())?;
    let answer = String::from_utf8_lossy(&wire.until_closed()?).into_owned();
    let wrong = || io::Error::new(ErrorKind::InvalidData, format!("not HTTP: {answer}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunked(body).ok_or_else(wrong)?
    } else {
        body.to_owned()
    };
    Ok((status.ok_or_else(wrong)?, body))
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n")?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(after.get(..length)?);
        rest = after.get(length + 2..)?;
    }
}

#[test]
fn chunks_are_put_together() {
    assert_eq!(
        unchunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").as_deref(),
        Some("abcde")
    );
}
