//! The last requests that went wrong, in a form for people.

use serde::Deserialize;

use crate::report::overview::time_of_day;
use crate::report::table::{self, Cell, Paint, Side, Tone};

/// The answer of `/_infermux/requests`.
#[derive(Clone, Debug, Deserialize)]
pub struct RequestsSeen {
    slow_from_ms: SlowFromSeen,
    requests: Vec<RequestSeen>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct SlowFromSeen {
    first_content: f64,
    whole_answer: f64,
}

/// A request; fields that an older router does not send are absent.
#[derive(Clone, Debug, Deserialize)]
struct RequestSeen {
    time: String,
    kind: String,
    request_id: String,
    caller: Option<String>,
    key: Option<String>,
    model: Option<String>,
    provider: Option<String>,
    status: u16,
    error: Option<String>,
    attempts: u64,
    duration_ms: f64,
}

impl RequestSeen {
    fn row(&self) -> Vec<Cell> {
        let told = |text: &Option<String>| match text {
            Some(text) => Cell::plain(text),
            None => Cell::nothing(),
        };
        let tone = match &*self.kind {
            "failed" => Tone::Bad,
            "slow" => Tone::Doubtful,
            _ => Tone::Neutral,
        };
        vec![
            Cell::plain(time_of_day(&self.time)),
            Cell::new(&self.kind, tone),
            Cell::number(Some(self.status.into())),
            told(&self.error),
            told(&self.model),
            told(&self.provider),
            Cell::number(Some(self.attempts)),
            Cell::plain(seconds(self.duration_ms)),
            told(if self.key.is_some() {
                &self.key
            } else {
                &self.caller
            }),
            Cell::plain(&self.request_id),
        ]
    }
}

/// The requests, one in each line; `kind` is what was asked for, if not all of them.
#[must_use]
pub fn text(seen: &RequestsSeen, kind: Option<&str>, paint: Paint) -> String {
    if seen.requests.is_empty() {
        return match kind {
            Some(kind) => format!("no request of kind `{kind}` since the router has started\n"),
            None => "no request has failed, was refused or slow since the router has started\n"
                .to_owned(),
        };
    }
    let columns = [
        ("TIME", Side::Left),
        ("KIND", Side::Left),
        ("STATUS", Side::Right),
        ("ERROR", Side::Left),
        ("MODEL", Side::Left),
        ("PROVIDER", Side::Left),
        ("TRIED", Side::Right),
        ("TOOK", Side::Right),
        ("KEY/CALLER", Side::Left),
        ("REQUEST", Side::Left),
    ];
    let rows: Vec<Vec<Cell>> = seen.requests.iter().map(RequestSeen::row).collect();
    let mut text = table::table(&columns, &rows, paint);
    if seen.requests.iter().any(|one| one.kind == "slow") {
        let SlowFromSeen {
            first_content,
            whole_answer,
        } = seen.slow_from_ms;
        let bounds = format!(
            "{} for a whole answer, {} for the first content of a stream",
            seconds(whole_answer),
            seconds(first_content)
        );
        text.push('\n');
        text.push_str(&table::pairs(&[("slow from", Cell::plain(bounds))], paint));
    }
    text
}

/// A duration, in the unit that people read.
fn seconds(millis: f64) -> String {
    match millis {
        ..1_000.0 => format!("{millis:.0} ms"),
        ..10_000.0 => format!("{:.2} s", millis / 1_000.0),
        _ => format!("{:.0} s", millis / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> RequestsSeen {
        let text = r#"{"slow_from_ms":{"first_content":1520.2,"whole_answer":11840.6},"requests":[
            {"time":"2026-03-01T12:34:56.789Z","kind":"failed","request_id":"r-1","caller":"c",
             "key":"web","model":"m","provider":"alpha","status":502,"error":"upstream_error",
             "attempts":2,"duration_ms":9841.4,"later":1},
            {"time":"2026-03-01T12:34:55.789Z","kind":"slow","request_id":"r-2","caller":"c",
             "key":null,"model":null,"provider":null,"status":200,"error":null,
             "attempts":1,"duration_ms":12000}
        ]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn requests_are_lines_of_a_table() {
        let lines = [
            "TIME       KIND    STATUS  ERROR           MODEL  PROVIDER  TRIED    TOOK  KEY/CALLER",
            "12:34:56Z  failed     502  upstream_error  m      alpha         2  9.84 s  web",
            "12:34:55Z  slow       200  -               -      -             1    12 s  c",
        ];
        let rest = ["  REQUEST\n", "         r-1\n", "           r-2\n"];
        let bounds = "\nslow from  12 s for a whole answer, 1.52 s for the first content of a \
                      stream\n";
        let lines = lines.iter().zip(rest).map(|(a, b)| format!("{a}{b}"));
        let expected = lines.collect::<String>() + bounds;
        let mut seen = seen();
        assert_eq!(text(&seen, None, Paint::Plain), expected);
        seen.requests.truncate(1);
        assert!(!text(&seen, None, Paint::Plain).contains("slow from"));
        assert!(text(&seen, None, Paint::Colors).contains("\u{1b}[31mfailed"));
    }

    #[test]
    fn none_is_said_in_words() {
        let mut seen = seen();
        seen.requests.clear();
        let shown = |kind| text(&seen, kind, Paint::Plain);
        assert!(shown(None).starts_with("no request has failed"));
        assert!(shown(Some("slow")).starts_with("no request of kind `slow`"));
    }
}
