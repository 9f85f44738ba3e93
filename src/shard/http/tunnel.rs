//! Has a proxy open a tunnel to a provider (`CONNECT`; RFC 9110, section 9.3.6).

use crate::base::limits::{ANSWER_HEAD_BYTES_MAX, INFORMATIONAL_MAX};
use crate::config::proxy::Proxy;
use crate::config::url::BaseUrl;
use crate::decide::outcome::ProxyFault;
use crate::shard::net::part::Part;
use crate::shard::net::socket::Socket;
use crate::wire::head::{Arrival, Asked, Head};

/// Has `proxy`, at the other end of `socket`, open a tunnel to `base`. The wait ends with the
/// deadline of the socket.
///
/// # Errors
///
/// The proxy does not open it; the reason.
pub async fn open(socket: &mut Socket, proxy: &Proxy, base: &BaseUrl) -> Result<(), ProxyFault> {
    let request = request(proxy, base).into_bytes();
    let sent = socket.writer.write(Part::own(request)).await.0;
    // A proxy that refuses may have answered before it has read everything.
    let status = answer(socket).await;
    match (sent, status) {
        (_, _) if socket.deadline.is_overdue() => Err(ProxyFault::Silent),
        (Ok(()), Ok(200..=299)) => Ok(()),
        (_, Ok(status @ (0..=199 | 300..))) => Err(ProxyFault::Status(status)),
        (_, Ok(_) | Err(_)) => Err(ProxyFault::Malformed),
    }
}

/// The request that has `proxy` open a tunnel to `base`. It is a secret: it may have credentials.
#[must_use]
pub fn request(proxy: &Proxy, base: &BaseUrl) -> String {
    proxy.tunnel_request(base)
}

/// The status of the proxy's final answer. Nothing may come behind its head: the provider waits for
/// the first bytes of the handshake.
async fn answer(socket: &mut Socket) -> Result<u16, ProxyFault> {
    let (mut head, mut informed) = (Head::default(), 0);
    let (mut bytes, mut seen) = (Vec::with_capacity(ROOM), 0);
    loop {
        bytes.reserve(ROOM);
        let (read, arrived) = socket.reader.read(bytes).await;
        bytes = arrived;
        if !matches!(read, Ok(count) if count > 0) || bytes.len() > ANSWER_HEAD_BYTES_MAX {
            return Err(ProxyFault::Malformed);
        }
        loop {
            // Lengths of an answer that opens a tunnel mean nothing.
            let parsed = head.parse_answer(&bytes, seen, Asked::Head);
            match parsed.map_err(|_| ProxyFault::Malformed)? {
                Arrival::Partial => {
                    seen = bytes.len();
                    break;
                }
                Arrival::Whole if (100..=199).contains(&head.status) => {
                    informed += 1;
                    if informed > INFORMATIONAL_MAX || head.status == 101 {
                        return Err(ProxyFault::Malformed);
                    }
                    bytes.drain(..head.len);
                    seen = 0;
                }
                Arrival::Whole if head.status < 300 && bytes.len() > head.len => {
                    return Err(ProxyFault::Malformed);
                }
                Arrival::Whole => return Ok(head.status),
            }
        }
    }
}

/// Room for one read: the heads of usual answers fit.
const ROOM: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{proxy, url};

    #[test]
    fn the_port_is_named_and_the_credentials_come_along() {
        let asked = |by: &str, to: &str| {
            let proxy = proxy::parse(by).unwrap().unwrap();
            request(&proxy, &url::parse(to).unwrap())
        };
        assert_eq!(
            asked("http://p:1", "https://a.example/v1"),
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
        );
        assert_eq!(
            asked("http://a:b@p:1", "https://[::1]:8443"),
            "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\
             Proxy-Authorization: Basic YTpi\r\n\r\n"
        );
    }
}
