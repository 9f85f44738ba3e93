//! The messages that the steps work on, of the shape and size that official clients and providers
//! send.

/// The head that the official Python client sends, for a body of 229 bytes.
pub(crate) const REQUEST_HEAD: &str = concat!(
    "POST /v1/chat/completions HTTP/1.1\r\n",
    "Host: 127.0.0.1:8080\r\n",
    "Accept-Encoding: gzip, deflate\r\n",
    "Connection: keep-alive\r\n",
    "Accept: application/json\r\n",
    "Content-Type: application/json\r\n",
    "User-Agent: OpenAI/Python 1.54.0\r\n",
    "X-Stainless-Lang: python\r\n",
    "X-Stainless-Package-Version: 1.54.0\r\n",
    "X-Stainless-OS: Linux\r\n",
    "X-Stainless-Arch: x64\r\n",
    "X-Stainless-Runtime: CPython\r\n",
    "X-Stainless-Runtime-Version: 3.12.3\r\n",
    "Authorization: Bearer sk-proj-0123456789abcdef0123456789abcdef0123456789abcdef\r\n",
    "X-Stainless-Async: false\r\n",
    "x-stainless-retry-count: 0\r\n",
    "X-Infermux-Caller: team-a\r\n",
    "Content-Length: 229\r\n",
    "\r\n",
);

/// The head of a provider's answer, with the fields about its limits.
pub(crate) const ANSWER_HEAD: &str = concat!(
    "HTTP/1.1 200 OK\r\n",
    "Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n",
    "Content-Type: application/json\r\n",
    "Content-Length: 562\r\n",
    "Connection: keep-alive\r\n",
    "access-control-expose-headers: X-Request-ID\r\n",
    "openai-organization: example-org\r\n",
    "openai-processing-ms: 412\r\n",
    "openai-version: 2020-10-01\r\n",
    "x-ratelimit-limit-requests: 10000\r\n",
    "x-ratelimit-limit-tokens: 2000000\r\n",
    "x-ratelimit-remaining-requests: 9999\r\n",
    "x-ratelimit-remaining-tokens: 1999981\r\n",
    "x-ratelimit-reset-requests: 6ms\r\n",
    "x-ratelimit-reset-tokens: 0s\r\n",
    "x-request-id: req_0123456789abcdef0123456789abcdef\r\n",
    "strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Server: edge\r\n",
    "\r\n",
);

/// A chat request whose body has exactly `bytes` bytes.
pub(crate) fn request_body(bytes: usize) -> Vec<u8> {
    sized(
        concat!(
            r#"{"messages":[{"role":"system","content":"You are a helpful assistant."},"#,
            r#"{"role":"user","content":""#,
        ),
        r#""}],"model":"gpt-4o-mini","max_completion_tokens":256,"stream":true}"#,
        bytes,
    )
}

/// A Messages request whose body has exactly `bytes` bytes.
pub(crate) fn messages_request_body(bytes: usize) -> Vec<u8> {
    sized(
        concat!(
            r#"{"model":"claude-sonnet-4-5","max_tokens":256,"#,
            r#""system":"You are a helpful assistant.","messages":[{"role":"user","content":""#,
        ),
        r#""}],"stream":true}"#,
        bytes,
    )
}

/// A request for a response whose body has exactly `bytes` bytes.
pub(crate) fn responses_request_body(bytes: usize) -> Vec<u8> {
    sized(
        concat!(
            r#"{"model":"gpt-4o-mini","instructions":"You are a helpful assistant.","#,
            r#""input":[{"role":"user","content":""#,
        ),
        r#""}],"max_output_tokens":256,"stream":true}"#,
        bytes,
    )
}

/// An answer that is not streamed, of exactly 562 bytes.
pub(crate) fn answer_body() -> Vec<u8> {
    sized(
        concat!(
            r#"{"id":"chatcmpl-0123456789abcdefghijklmnopq","object":"chat.completion","#,
            r#""created":1795428000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"#,
            r#""message":{"role":"assistant","content":""#,
        ),
        concat!(
            r#"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"#,
            r#""prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"#,
            r#""prompt_tokens_details":{"cached_tokens":0},"#,
            r#""completion_tokens_details":{"reasoning_tokens":0}}}"#,
        ),
        562,
    )
}

/// An event of a chat stream, of exactly 233 bytes; `usage` is its last member or nothing.
pub(crate) fn event(usage: &str) -> Vec<u8> {
    sized(
        concat!(
            r#"data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","#,
            r#""created":1795428000,"model":"gpt-4o-mini","choices":[{"index":0,"#,
            r#""delta":{"content":""#,
        ),
        &format!("\"}},\"finish_reason\":null}}]{usage}}}\n\n"),
        233,
    )
}

/// An answer of Messages, of exactly 562 bytes.
pub(crate) fn message_body() -> Vec<u8> {
    sized(
        concat!(
            r#"{"id":"msg_0123456789abcdefghijkl","type":"message","role":"assistant","#,
            r#""model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":""#,
        ),
        concat!(
            r#""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"#,
            r#""input_tokens":19,"cache_creation_input_tokens":0,"#,
            r#""cache_read_input_tokens":0,"output_tokens":10}}"#,
        ),
        562,
    )
}

/// An event with a piece of text of a Messages stream, of exactly 233 bytes.
pub(crate) fn message_event() -> Vec<u8> {
    sized(
        concat!(
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":0,"#,
            r#""delta":{"type":"text_delta","text":""#,
        ),
        "\"}}\n\n",
        233,
    )
}

/// An event with a piece of text of a stream of Responses, of exactly 233 bytes.
pub(crate) fn response_event() -> Vec<u8> {
    sized(
        concat!(
            "event: response.output_text.delta\n",
            r#"data: {"type":"response.output_text.delta","item_id":"msg_0123456789","#,
            r#""output_index":0,"content_index":0,"delta":""#,
        ),
        "\",\"logprobs\":[],\"sequence_number\":4}\n\n",
        233,
    )
}

/// Text of words between `start` and `end`, so that all of it has `bytes` bytes.
fn sized(start: &str, end: &str, bytes: usize) -> Vec<u8> {
    let room = bytes.checked_sub(start.len() + end.len());
    let words = b"the quick brown fox jumps over ".iter().copied().cycle();
    let words = words.take(room.expect("the frame of a message leaves room for words"));
    let start = start.bytes();
    start.chain(words).chain(end.bytes()).collect()
}
