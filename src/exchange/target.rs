//! What a caller's request line asks for.

use crate::config::plan::Endpoint;
use crate::exchange::refusal::Refusal;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An inference.
    Infer(Endpoint),
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`, the id decoded.
    Model(String),
}

/// Whether an answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: like `GET`, without the body.
    Head,
    /// `POST`
    Post,
}

/// Reads method and target of a request.
///
/// # Errors
///
/// 404 where nothing is, 405 where another method is needed.
pub fn read<'a>(method: &[u8], target: &'a str) -> Result<(Method, Target), Refusal<'a>> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let found = match path {
        "/v1/chat/completions" => Target::Infer(Endpoint::ChatCompletions),
        "/v1/completions" => Target::Infer(Endpoint::Completions),
        "/v1/embeddings" => Target::Infer(Endpoint::Embeddings),
        "/v1/models" => Target::Models,
        _ => {
            let id = path.strip_prefix("/v1/models/").filter(|id| !id.is_empty());
            let id = id.and_then(percent_decode);
            Target::Model(id.ok_or(Refusal::UnknownUrl { path })?)
        }
    };
    let method = match (&found, method) {
        (Target::Infer(_), b"POST") => Method::Post,
        (Target::Models | Target::Model(_), b"GET") => Method::Get,
        (Target::Models | Target::Model(_), b"HEAD") => Method::Head,
        (Target::Infer(_), _) => return Err(Refusal::MethodNotAllowed { allow: "POST" }),
        (Target::Models | Target::Model(_), _) => {
            return Err(Refusal::MethodNotAllowed { allow: "GET, HEAD" });
        }
    };
    Ok((method, found))
}

/// The text that `encoded` stands for; `None` where it is not valid UTF-8 or a `%` leads nowhere.
fn percent_decode(encoded: &str) -> Option<String> {
    let mut bytes = encoded.bytes();
    let mut decoded = Vec::with_capacity(encoded.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_its_methods() {
        for (method, target, found) in [
            (
                "POST",
                "/v1/chat/completions?x=1",
                Target::Infer(Endpoint::ChatCompletions),
            ),
            (
                "POST",
                "/v1/completions",
                Target::Infer(Endpoint::Completions),
            ),
            (
                "POST",
                "/v1/embeddings",
                Target::Infer(Endpoint::Embeddings),
            ),
            ("GET", "/v1/models", Target::Models),
            (
                "HEAD",
                "/v1/models/a%2Fb:c/d",
                Target::Model("a/b:c/d".into()),
            ),
        ] {
            assert_eq!(read(method.as_bytes(), target).unwrap().1, found);
        }
        for (method, target, status) in [
            ("GET", "/v1/chat/completions", 405),
            ("HEAD", "/v1/embeddings", 405),
            ("POST", "/v1/models", 405),
            ("DELETE", "/v1/models/x", 405),
            ("POST", "/v1/nothing", 404),
            ("GET", "/", 404),
            ("GET", "", 404),
            ("GET", "/v1/models/", 404),
            ("GET", "/v1/models/%", 404),
            ("GET", "/v1/models/%ff", 404),
            ("GET", "/v1/modelsx", 404),
        ] {
            let refused = read(method.as_bytes(), target).unwrap_err();
            assert_eq!(refused.row().status, status, "{method} {target}");
        }
    }
}
