//! Tells a caller whose stream has its head, and nothing else, that there is no response: what
//! official readers want of a stream, its beginning and its end.

use std::io::Write as _;

use crate::dialect::compose::Composer;
use crate::wire::sse;

/// A response that failed before anything of it was told.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    /// What its id is made of.
    pub seed: [u64; 2],
    /// When it was asked for, in seconds since the Unix epoch.
    pub created: u64,
    /// The caller's name for the model, a JSON string with its quotes.
    pub caller_model: &'a [u8],
    /// The code of the error.
    pub code: &'a str,
    /// What a person is told, a JSON string with its quotes.
    pub message: &'a [u8],
}

impl Failed<'_> {
    /// Appends both events.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_event("response.created", "in_progress", out);
        self.write_event("response.failed", "failed", out);
    }

    fn write_event(&self, name: &str, status: &str, out: &mut Vec<u8>) {
        let has_failed = status == "failed";
        for part in [b"event: ", name.as_bytes(), b"\ndata: "] {
            out.extend_from_slice(part);
        }
        let start = out.len();
        let mut event = Composer::object(out);
        event.string("type", name);
        event.number("sequence_number", u64::from(has_failed));
        let mut response = Composer::object(event.member("response"));
        let [one, other] = self.seed;
        // Writing to memory cannot fail.
        let _ = write!(response.member("id"), "\"resp_ifx_{one:016x}{other:016x}\"");
        response.string("object", "response");
        response.number("created_at", self.created);
        response.string("status", status);
        if has_failed {
            let mut error = Composer::object(response.member("error"));
            error.string("code", self.code);
            error.raw("message", self.message);
            error.end();
        } else {
            response.raw("error", b"null");
        }
        response.raw("model", self.caller_model);
        response.raw("output", b"[]");
        response.raw("parallel_tool_calls", b"true");
        response.string("tool_choice", "auto");
        response.raw("tools", b"[]");
        response.end();
        event.end();
        sse::end_event(start, out);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::expected::events;

    #[test]
    fn its_beginning_and_its_end_are_those_of_one_response() {
        let mut out = Vec::new();
        let failed = Failed {
            seed: [1, 2],
            created: 7,
            caller_model: b"\"m\"",
            code: "server_error",
            message: b"\"a \\\"b\\\"\"",
        };
        failed.write(&mut out);
        let events = events(&String::from_utf8(out).unwrap());
        assert_eq!(events.len(), 2);
        let id = &events[0]["response"]["id"];
        let mut response = json!({"id": id, "object": "response", "created_at": 7,
            "status": "in_progress", "error": null, "model": "m", "output": [],
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": []});
        let event = |name: &str, number: u64, response: &serde_json::Value| -> serde_json::Value {
            json!({"type": name, "sequence_number": number, "response": response})
        };
        assert_eq!(events[0], event("response.created", 0, &response));
        response["status"] = json!("failed");
        response["error"] = json!({"code": "server_error", "message": "a \"b\""});
        assert_eq!(events[1], event("response.failed", 1, &response));
        let id = id.as_str().unwrap();
        let hex = id.strip_prefix("resp_ifx_").unwrap();
        assert_eq!(hex, format!("{:016x}{:016x}", 1, 2));
    }
}
