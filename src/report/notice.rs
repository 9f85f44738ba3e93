//! Notices as webhooks are told them.

use serde::{Serialize, Serializer};

use crate::base::notice::{Dated, Detail, Notice, Severity};
use crate::report::dollars::{Usd, pairs};

/// The body of a notice for programs; `instance` is what this process calls itself.
#[must_use]
pub fn json(dated: &Dated, instance: &str) -> Vec<u8> {
    let Dated { id, at, notice } = dated;
    let details = notice.details.iter();
    let details: Vec<(&str, Shown<'_>)> =
        details.map(|(name, value)| (*name, Shown(value))).collect();
    let body = Body {
        version: 1,
        id,
        event: notice.event.name(),
        subject: &notice.subject,
        status: status(notice),
        severity: notice.severity.name(),
        at: at.to_string(),
        instance,
        message: &notice.message,
        details: Details(&details),
    };
    // Strings and numbers can always be written.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// The body of a notice for people, in the form of Slack's incoming webhooks.
#[must_use]
pub fn slack(dated: &Dated, instance: &str) -> Vec<u8> {
    let Dated { id, at, notice } = dated;
    let sign = match notice.severity {
        Severity::Info => ":white_check_mark:",
        Severity::Warning => ":warning:",
        Severity::Critical => ":rotating_light:",
    };
    let message = for_slack(&notice.message);
    let origin = format!("infermux {} · {at} · {id}", for_slack(instance));
    let body = serde_json::json!({
        "text": format!("{sign} {message}"),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": format!("{sign} {message}")}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": origin}]},
        ],
    });
    body.to_string().into_bytes()
}

#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    id: &'a str,
    event: &'a str,
    subject: &'a str,
    status: &'a str,
    severity: &'a str,
    at: String,
    instance: &'a str,
    message: &'a str,
    details: Details<'a>,
}

struct Details<'a>(&'a [(&'a str, Shown<'a>)]);

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pairs(self.0, serializer)
    }
}

struct Shown<'a>(&'a Detail);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Detail::Text(text) => text.serialize(serializer),
            Detail::Whole(number) => number.serialize(serializer),
            Detail::Usd(amount) => Usd(*amount).serialize(serializer),
            Detail::Flag(flag) => flag.serialize(serializer),
        }
    }
}

fn status(notice: &Notice) -> &'static str {
    match notice.severity {
        Severity::Info => "resolved",
        Severity::Warning | Severity::Critical => "firing",
    }
}

/// The text with what Slack takes for markup escaped, and not longer than its sections may be.
fn for_slack(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars().take(SLACK_CHARS_MAX) {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

/// A section of Slack has 3,000 characters at most, and an escape has five.
const SLACK_CHARS_MAX: usize = 590;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::money::NanoUsd;
    use crate::base::notice::{Course, Event};
    use crate::base::time::WallTime;

    fn dated(severity: Severity, message: &str) -> Dated {
        Dated {
            id: "e1".into(),
            at: WallTime::from_unix_millis(1_001),
            notice: Notice {
                event: Event::Budget,
                subject: "team \"a\"".into(),
                severity,
                course: Course::Moment,
                message: message.to_owned(),
                details: vec![
                    ("team", Detail::text("a")),
                    ("percent", Detail::Whole(80)),
                    ("spent_usd", Detail::Usd(NanoUsd::new(12_345_678_901))),
                    ("enforced", Detail::Flag(true)),
                ],
            },
        }
    }

    #[test]
    fn programs_get_exact_numbers() {
        let body = json(&dated(Severity::Warning, "spent"), "router-1:8080");
        let expected = "{\"version\":1,\"id\":\"e1\",\"event\":\"budget\",\
            \"subject\":\"team \\\"a\\\"\",\"status\":\"firing\",\"severity\":\"warning\",\
            \"at\":\"1970-01-01T00:00:01.001Z\",\"instance\":\"router-1:8080\",\
            \"message\":\"spent\",\"details\":{\"team\":\"a\",\"percent\":80,\
            \"spent_usd\":12.345678901,\"enforced\":true}}";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        let body: Value =
            serde_json::from_slice(&json(&dated(Severity::Info, "over"), "i")).unwrap();
        assert_eq!(
            (&body["status"], &body["severity"]),
            (&json!("resolved"), &json!("info"))
        );
    }

    #[test]
    fn slack_takes_names_for_nothing_but_names() {
        let body = slack(
            &dated(Severity::Critical, "<!channel> & <https://x|y>"),
            "i",
        );
        let body: Value = serde_json::from_slice(&body).unwrap();
        let text = ":rotating_light: &lt;!channel&gt; &amp; &lt;https://x|y&gt;";
        assert_eq!(body["text"], text);
        assert_eq!(body["blocks"][0]["text"]["text"], text);
        let long = slack(&dated(Severity::Critical, &"&".repeat(5_000)), "i");
        let long: Value = serde_json::from_slice(&long).unwrap();
        assert!(long["text"].as_str().unwrap().len() < 3_000);
    }
}
