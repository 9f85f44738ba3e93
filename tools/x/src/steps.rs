//! The requests of the demo: each is explained, sent, shown and checked.

use std::io::Write;

use serde_json::{Value, json};

use crate::client::{self, Answer, Fields, Request};
use crate::clock::Stopwatch;
use crate::mock::Mock;

/// Fields that every served request has in its answer's head.
const ROUTING: [&str; 4] = [
    "X-Infermux-Provider",
    "X-Infermux-Model",
    "X-Infermux-Strategy",
    "X-Infermux-Latency-Ms",
];
/// Fields with tokens and cost: in the head of a plain answer, in the trailers of a stream.
const ACCOUNTS: [&str; 3] = [
    "X-Infermux-Cost",
    "X-Infermux-Prompt-Tokens",
    "X-Infermux-Completion-Tokens",
];

/// Sends every request to the router at `router` and prints the results.
///
/// # Errors
///
/// An answer that is wrong.
pub(crate) fn show(router: &str, alpha: &Mock) -> Result<(), String> {
    plain(router)?;
    streamed(router)?;
    embeddings(router)?;
    outage(router, alpha)
}

fn plain(router: &str) -> Result<(), String> {
    title(
        "1. A plain chat request",
        "gpt-4o belongs to the group `chat`, which prefers alpha.",
    );
    let answer = post(router, "/v1/chat/completions", &chat("Say hello."), |_| {})?;
    head(&answer);
    expect_status(&answer)?;
    expect(&answer.headers, &[&ROUTING[..], &ACCOUNTS[..]].concat())?;
    expect_value(&answer.headers, "X-Infermux-Provider", "alpha")?;
    expect_value(&answer.headers, "X-Infermux-Route-Group", "chat")?;
    print_text(&answer)
}

fn streamed(router: &str) -> Result<(), String> {
    title(
        "2. The same as a stream",
        "Events come as the provider writes them; token counts and cost follow as trailers.",
    );
    let body = chat("Count to ten.").replacen('{', "{\"stream\":true,", 1);
    let clock = Stopwatch::start();
    let (mut held, mut events) = (String::new(), Vec::new());
    let answer = post(router, "/v1/chat/completions", &body, |part| {
        held.push_str(&String::from_utf8_lossy(part));
        for event in client::take_events(&mut held) {
            println!(
                "   {:7.1} ms  {}",
                clock.elapsed().as_secs_f64() * 1e3,
                describe(&event)
            );
            let _ = std::io::stdout().flush();
            events.push(event);
        }
    })?;
    println!();
    head(&answer);
    print_fields("   trailers:", &answer.trailers);
    expect_status(&answer)?;
    expect(&answer.headers, &ROUTING)?;
    expect(&answer.trailers, &ACCOUNTS)?;
    expect_value(&answer.headers, "X-Infermux-Route-Group", "chat")?;
    if events.len() < 3 || events.last().is_none_or(|event| event != "data: [DONE]") {
        return Err(format!(
            "the stream has {} events and no proper end",
            events.len()
        ));
    }
    Ok(())
}

fn embeddings(router: &str) -> Result<(), String> {
    title(
        "3. An embedding",
        "No group has this model: the default strategy, round_robin, takes turns.",
    );
    let body = concat!(
        r#"{"model":"text-embedding-3-small","encoding_format":"float","#,
        r#""input":"The house has seven floors."}"#
    );
    let answer = post(router, "/v1/embeddings", body, |_| {})?;
    head(&answer);
    expect_status(&answer)?;
    expect(&answer.headers, &ROUTING)?;
    expect_value(&answer.headers, "X-Infermux-Strategy", "round_robin")?;
    let value = parse(&answer)?;
    let vector = value["data"][0]["embedding"]
        .as_array()
        .ok_or("the answer has no embedding")?;
    println!("   answer: a vector of {} numbers", vector.len());
    Ok(())
}

fn outage(router: &str, alpha: &Mock) -> Result<(), String> {
    title(
        "4. An outage",
        "alpha now refuses connections. infermux tries it, then asks beta: the caller sees\n   \
         only that there was more than one attempt.",
    );
    tell(alpha, &json!({ "refuse": true }))?;
    let answer = post(
        router,
        "/v1/chat/completions",
        &chat("Still there?"),
        |_| {},
    )?;
    head(&answer);
    expect_status(&answer)?;
    expect_value(&answer.headers, "X-Infermux-Provider", "beta")?;
    expect_value(&answer.headers, "X-Infermux-Attempts", "2")?;
    print_text(&answer)?;
    tell(alpha, &json!({ "refuse": false }))?;
    println!("   (alpha takes connections again)");
    Ok(())
}

/// Changes how a mock provider behaves.
fn tell(mock: &Mock, script: &Value) -> Result<(), String> {
    let body = script.to_string();
    let request = Request {
        address: &mock.control,
        method: "PUT",
        path: "/_mock/script",
        body: &body,
    };
    let answer = client::send(&request, |_| {}).map_err(|e| format!("mock control: {e}"))?;
    match answer.status() {
        200..300 => Ok(()),
        _ => Err(format!("mock control: {}", answer.status_line)),
    }
}

/// A chat request, written in the order in which people read it.
fn chat(text: &str) -> String {
    let text = json!(text);
    format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":{text}}}]}}"#)
}

fn post(
    router: &str,
    path: &str,
    body: &str,
    on_part: impl FnMut(&[u8]),
) -> Result<Answer, String> {
    println!("   POST {path}\n   {body}\n");
    let body = body.to_string();
    let request = Request {
        address: router,
        method: "POST",
        path,
        body: &body,
    };
    client::send(&request, on_part).map_err(|e| format!("POST {path}: {e}"))
}

fn title(title: &str, note: &str) {
    println!("\n{title}\n   {note}\n");
}

fn head(answer: &Answer) {
    print_fields(&format!("   {}", answer.status_line), &answer.headers);
}

/// Prints the fields that infermux added, and leaves out those that every server sends.
fn print_fields(first: &str, fields: &Fields) {
    println!("{first}");
    for (name, value) in &fields.0 {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("x-infermux-") || lower == "x-request-id" {
            println!("   {name}: {value}");
        }
    }
    println!();
}

fn print_text(answer: &Answer) -> Result<(), String> {
    let value = parse(answer)?;
    let text = value["choices"][0]["message"]["content"].as_str();
    println!("   answer: {:?}", text.ok_or("the answer has no text")?);
    Ok(())
}

fn parse(answer: &Answer) -> Result<Value, String> {
    serde_json::from_slice(&answer.body).map_err(|e| format!("the answer is not JSON: {e}"))
}

fn expect_status(answer: &Answer) -> Result<(), String> {
    if answer.status() == 200 {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(format!(
        "{} instead of 200: {}",
        answer.status_line,
        shorten(&body)
    ))
}

fn expect(fields: &Fields, names: &[&str]) -> Result<(), String> {
    match names.iter().find(|name| fields.value(name).is_none()) {
        Some(name) => Err(format!("{name} is missing")),
        None => Ok(()),
    }
}

fn expect_value(fields: &Fields, name: &str, value: &str) -> Result<(), String> {
    match fields.value(name) {
        Some(own) if own == value => Ok(()),
        Some(own) => Err(format!("{name} is {own:?} instead of {value:?}")),
        None => Err(format!("{name} is missing")),
    }
}

/// The text that an event of a chat stream adds; for an event of another kind, the event itself.
fn describe(event: &str) -> String {
    let value = event
        .strip_prefix("data: ")
        .and_then(|data| serde_json::from_str(data).ok());
    let value: Value = value.unwrap_or_default();
    let choice = &value["choices"][0];
    match (&choice["delta"], &choice["finish_reason"]) {
        (Value::Null, _) => shorten(event),
        (delta, Value::Null) => shorten(&format!("data: … \"delta\":{delta} …")),
        (_, reason) => format!("data: … \"finish_reason\":{reason} …"),
    }
}

/// The first characters of `text`, on one line.
fn shorten(text: &str) -> String {
    let text = text.replace(['\r', '\n'], " ");
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_different_header_is_named() {
        let fields = Fields(vec![("x-infermux-provider".to_owned(), "beta".to_owned())]);
        assert_eq!(expect_value(&fields, "X-Infermux-Provider", "beta"), Ok(()));
        let wrong = expect_value(&fields, "X-Infermux-Provider", "alpha").expect_err("differs");
        assert!(wrong.contains("\"beta\" instead of \"alpha\""), "{wrong}");
        assert_eq!(
            expect(&fields, &["X-Infermux-Provider", "X-Infermux-Cost"]),
            Err("X-Infermux-Cost is missing".to_owned())
        );
    }

    #[test]
    fn an_event_is_shown_by_what_it_adds() {
        let text = r#"data: {"id":"x","choices":[{"delta":{"content":"Hi"}}]}"#;
        assert_eq!(describe(text), r#"data: … "delta":{"content":"Hi"} …"#);
        let end = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        assert_eq!(describe(end), r#"data: … "finish_reason":"stop" …"#);
        assert_eq!(describe("data: [DONE]"), "data: [DONE]");
    }

    #[test]
    fn long_text_is_shortened_between_characters() {
        assert_eq!(shorten("a\nb"), "a b");
        assert_eq!(shorten(&"é".repeat(200)).chars().count(), 161);
    }
}
