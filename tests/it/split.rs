//! A request means the same however its bytes are cut into segments.

use infermux_mock::Mock;
use serde_json::json;

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{chat, config_for, mock};

/// A router with one shard, and a second connection to it. Its answer to a request shows that the
/// shard has read what other connections sent before: its event loop takes turns in order.
struct Bench {
    alpha: Mock,
    router: Router,
    other: Client,
}

impl Bench {
    fn new() -> Self {
        let alpha = mock(json!({"name": "alpha"}));
        let router = Router::start(&config_for(&[&alpha], "server: {shards: 1}\n"));
        let other = Client::connect(router.addr());
        Self {
            alpha,
            router,
            other,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.router.addr())
    }

    /// Returns once what was sent before has been read.
    fn let_it_read(&mut self) {
        self.other.get("/v1/models");
        assert_eq!(self.other.answer().status, 200);
    }

    /// Sends the parts one after the other, and returns the status.
    fn status(&mut self, client: &mut Client, parts: &[&[u8]]) -> u16 {
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                self.let_it_read();
            }
            // What is refused by its beginning is answered before its end is sent.
            client.send(part);
        }
        client.answer().status
    }

    /// Splits `request` at every place; it must be answered by 200, and forwarded with `body`.
    fn at_every_place(&mut self, request: &str, body: &str) {
        let mut client = self.client();
        for at in 1..request.len() {
            let (first, second) = request.as_bytes().split_at(at);
            assert_eq!(self.status(&mut client, &[first, second]), 200, "at {at}");
            self.assert_forwarded(body, at);
        }
        let bytes: Vec<&[u8]> = request.as_bytes().chunks(1).collect();
        assert_eq!(self.status(&mut client, &bytes), 200, "byte by byte");
        self.assert_forwarded(body, 0);
    }

    fn assert_forwarded(&self, body: &str, at: usize) {
        let requests = self.alpha.requests();
        assert_eq!(requests.last().expect("one")["body_text"], body, "at {at}");
    }
}

#[test]
fn a_body_with_a_length_may_be_split_anywhere() {
    let body = chat("split");
    let length = body.len();
    let request = format!(
        "\r\nPOST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    Bench::new().at_every_place(&request, &body);
}

#[test]
fn a_chunked_body_may_be_split_anywhere() {
    let body = chat("split");
    let (first, second) = body.split_at(20);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         14;e=\"f\"\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nX-T: u\r\n\r\n",
        second.len()
    );
    Bench::new().at_every_place(&request, &body);
}

#[test]
fn a_refusal_is_the_same_wherever_the_request_is_split() {
    let mut bench = Bench::new();
    let post = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n";
    for (request, status) in [
        (
            format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{{}}"),
            400,
        ),
        (
            format!("{post}X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{{}}"),
            400,
        ),
        (format!("{post}X-A: b\nContent-Length: 2\r\n\r\n{{}}"), 400),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}0\r\n\r\n"),
            400,
        ),
        (format!("{post}Content-Length: 2\r\n\r\n{{}}"), 400),
        (
            "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}".into(),
            404,
        ),
        (
            "M-1.x_y /v1/embeddings HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            405,
        ),
        ("PRI * HTTP/2.0\r\n\r\n".into(), 505),
    ] {
        for at in 1..request.len() {
            let (first, second) = request.as_bytes().split_at(at);
            let mut client = bench.client();
            let found = bench.status(&mut client, &[first, second]);
            assert_eq!(found, status, "at {at}: {request:?}");
        }
    }
    assert_eq!(bench.alpha.stats().requests, 0);
}

#[test]
fn a_pipelined_request_may_be_split_from_its_predecessor_anywhere() {
    let mut bench = Bench::new();
    let body = chat("two");
    let one = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let both = one.repeat(2);
    let mut client = bench.client();
    for at in (one.len() - 30)..(one.len() + 30) {
        let (first, second) = both.as_bytes().split_at(at);
        assert_eq!(bench.status(&mut client, &[first, second]), 200, "at {at}");
        assert_eq!(client.answer().status, 200, "at {at}");
    }
}
