//! Tells a caller whose stream has its head, and nothing else, that there is no response: what
//! official readers want of a stream, its beginning and its end.

use std::borrow::Cow;

use super::echo::Echo;
use super::frames::Frames;
use super::ids::Ids;
use super::object::{Base, State, Status};
use crate::dialect::compose::Composer;
use crate::dialect::fresh::Fresh;

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
        let base = Base {
            ids: Ids::new(&mut Fresh::new(self.seed)),
            model: Cow::Borrowed(self.caller_model),
            created: self.created,
            echo: Echo::default(),
        };
        let mut frames = Frames::default();
        for (name, status) in [
            ("created", Status::InProgress),
            ("failed", Status::Failed(self.code, self.message)),
        ] {
            let state = State {
                status,
                tier: None,
                spent: None,
            };
            let write = |event: &mut Composer<'_>| {
                base.write(&state, b"", event.member("response"));
            };
            frames.write(name, write, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::dialect::responses::strict::events;

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
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str()).collect();
        assert_eq!(kinds, ["response.created", "response.failed"].map(Some));
        let responses = [0, 1].map(|at: usize| &events[at]["response"]);
        assert_eq!(responses[0]["id"], responses[1]["id"]);
        let error = json!({"code": "server_error", "message": "a \"b\""});
        assert_eq!(
            (&responses[0]["error"], &responses[1]["error"]),
            (&Json::Null, &error)
        );
        assert_eq!(responses[1]["status"], "failed");
    }
}
