//! What callers and providers speak: each dialect reads and writes what no dialect owns.
//!
//! A request is read as a [`prompt`], an answer's stream as [`event`]s, and either is written in
//! the other side's words (reference/translation.md, reference/messages-inbound.md).
//!
//! Members that need no translation are copied from the caller's or the provider's own bytes, so
//! that numbers and strings survive as they were written. A request whose content cannot be
//! expressed is refused, with the place of that content. The room knows no socket, no provider's
//! address and no policy.

pub mod answer;
pub mod answer_as_stream;
pub mod answers;
mod arguments;
pub mod ask;
mod call_ids;
mod call_input;
pub mod chat;
pub mod complaint;
mod compose;
mod cuts;
mod digest;
pub mod errors;
pub mod event;
#[cfg(test)]
#[path = "expected_tests.rs"]
mod expected;
mod fields;
mod files;
pub mod form;
mod fresh;
mod ids;
pub mod length;
pub mod messages;
pub mod names;
pub mod outlines;
pub mod overflow;
pub mod parameters;
pub mod passed_on;
mod person;
pub mod prompt;
mod queue;
pub mod request;
pub mod responses;
pub mod shell;
pub mod signature;
pub mod tariff;
pub mod topic;
pub mod unsent;
pub mod unsupported;
pub mod verbatim;
pub mod view;

#[cfg(test)]
mod there_and_back_tests;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Every rule of reference/messages-inbound.md that a vector of a body or stream can show.
    const MESSAGES_RULES: &str = "MR1 MR2 MR3 MR4 MR5 MR6 MR7 MR8 MR9 MR10 MR11 MR12 \
                                  MA1 MA2 MA3 MA4 MA5 MS1 MS2 MS3 MS4 MS5 ME2 ME3 ME4 ME5 MP4 MP6";

    /// Every rule of reference/translation.md that a vector can show.
    const RULES: &str = "Q1 Q2 Q3 Q4 Q5 Q6 Q7 Q8 Q9 Q10 Q11 Q12 Q13 Q14 Q15 Q16 Q17 P1 P2 P3 P4 P5 \
                         P6 P7 S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 E2 E3 E4 E5";

    /// Every rule of reference/responses-inbound.md that a vector can show.
    const RESPONSES_RULES: &str = "B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B13 A1 A2 A3 A4 A5 \
                                   V1 V2 V3 V4 V6 V8 V9 X1 X2 X3 X4 W1 W2 W3 W5 \
                                   N1 N3 N4 N5 N6 N7 N8 I2 I3 I4 I5 M1";

    #[test]
    fn every_rule_is_shown_by_a_vector() {
        check("responses", RESPONSES_RULES);
        check("anthropic", RULES);
        check("messages", MESSAGES_RULES);
    }

    fn check(folder: &str, rules: &str) {
        let folder = format!("{}/tests/golden/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut cited = std::collections::HashSet::new();
        for kind in Path::new(&folder).read_dir().unwrap() {
            for entry in kind.unwrap().path().read_dir().unwrap() {
                let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
                let vector: serde_json::Value = serde_json::from_str(&text).unwrap();
                let source = vector["source"].as_str().unwrap();
                // Each vector names its rules, and behind `;` the source of them.
                let names = source.split(';').next().unwrap_or_default();
                cited.extend(names.split(' ').map(str::to_owned));
            }
        }
        for rule in rules.split_whitespace() {
            assert!(cited.contains(rule), "no vector shows {rule}");
        }
    }
}
