//! What a running router reports about itself, in a form for people.

use serde::Deserialize;

use crate::report::table::{self, Cell, Paint, Side, Tone};

/// The answer of `/_infermux/status`.
#[derive(Clone, Debug, Deserialize)]
pub struct StatusSeen {
    version: String,
    uptime_seconds: f64,
    providers_healthy: u64,
    providers_total: u64,
    /// Absent in the answer of an older router.
    #[serde(default)]
    providers_taken_out: u64,
    requests_total: u64,
    requests_last_minute: u64,
    errors_last_minute: u64,
    /// Absent in the answer of an older router.
    #[serde(default)]
    stalled_shards: Vec<String>,
    /// Absent where nothing is shared.
    #[serde(default)]
    shared: Option<SharedSeen>,
    /// Absent where requests are not recorded.
    #[serde(default)]
    usage_records: Option<UsageSeen>,
}

/// How it stands with the file of usage records.
#[derive(Clone, Debug, Deserialize)]
struct UsageSeen {
    state: String,
    dropped: u64,
}

/// How it stands with those that it shares limits and budgets with.
#[derive(Clone, Debug, Deserialize)]
struct SharedSeen {
    state: String,
    members: u64,
}

impl UsageSeen {
    fn text(&self) -> String {
        match self.dropped {
            0 => self.state.clone(),
            dropped => format!("{}, {dropped} dropped", self.state),
        }
    }
}

/// One provider in the answer of `/_infermux/providers`; fields that an older router does not send
/// are absent.
#[derive(Clone, Debug, Deserialize)]
pub struct ProviderSeen {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    healthy: bool,
    in_rotation: Option<bool>,
    circuit: String,
    circuit_recovery_at: Option<String>,
    error_rate: Option<f64>,
    p95_latency_ms: Option<f64>,
    requests_last_minute: Option<u64>,
    #[serde(default)]
    models: Vec<String>,
    rate_limit_headroom_rpm: Option<u64>,
    rate_limit_headroom_tpm: Option<u64>,
    last_check_at: Option<String>,
    health_check_url: Option<String>,
    unhealthy_since: Option<String>,
    last_error: Option<String>,
}

impl ProviderSeen {
    /// Whether its circuit is closed: neither open nor half-open.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.circuit == "closed"
    }

    fn is_taken_out(&self) -> bool {
        self.in_rotation == Some(false)
    }

    fn circuit(&self) -> Cell {
        let tone = match &*self.circuit {
            "closed" => Tone::Good,
            "half-open" => Tone::Doubtful,
            _ => Tone::Bad,
        };
        match &self.circuit_recovery_at {
            Some(at) if !self.is_closed() => {
                Cell::new(format!("{} until {}", self.circuit, time_of_day(at)), tone)
            }
            Some(_) | None => Cell::new(&self.circuit, tone),
        }
    }

    /// Why it is unhealthy; `None` where it is healthy.
    fn complaint(&self) -> Option<Cell> {
        let why = self.last_error.as_deref().filter(|_| !self.healthy)?;
        let asked = self.health_check_url.as_deref();
        let asked = asked.map_or(String::new(), |url| format!(", asked for {url}"));
        let since = self.unhealthy_since.as_deref().map(time_of_day);
        let since = since.map_or(String::new(), |at| format!(" since {at}"));
        let text = format!("unhealthy{since}: {why}{asked}");
        Some(Cell::new(text, Tone::Bad))
    }

    fn row(&self) -> Vec<Cell> {
        let health = if self.is_taken_out() {
            Cell::new("taken out", Tone::Doubtful)
        } else if self.healthy {
            Cell::new("healthy", Tone::Good)
        } else {
            Cell::new("unhealthy", Tone::Bad)
        };
        let rate = self.error_rate.map(|rate| format!("{:.1}%", rate * 100.0));
        let p95 = self.p95_latency_ms.map(|millis| format!("{millis:.0} ms"));
        let checked = self.last_check_at.as_deref().map(time_of_day);
        let told = |text: Option<&str>| text.map_or_else(Cell::nothing, Cell::plain);
        vec![
            Cell::plain(&self.name),
            Cell::plain(&self.kind),
            health,
            self.circuit(),
            told(rate.as_deref()),
            told(p95.as_deref()),
            Cell::number(self.requests_last_minute),
            Cell::number(self.rate_limit_headroom_rpm),
            Cell::number(self.rate_limit_headroom_tpm),
            told(checked.as_deref()),
            models(&self.models),
        ]
    }
}

/// The providers, one in each line, and below them the reasons why some are unhealthy.
#[must_use]
pub fn providers(all: &[ProviderSeen], paint: Paint) -> String {
    let columns = [
        ("NAME", Side::Left),
        ("TYPE", Side::Left),
        ("HEALTH", Side::Left),
        ("CIRCUIT", Side::Left),
        ("ERRORS", Side::Right),
        ("P95", Side::Right),
        ("REQ/MIN", Side::Right),
        ("RPM LEFT", Side::Right),
        ("TPM LEFT", Side::Right),
        ("CHECKED", Side::Left),
        ("MODELS", Side::Left),
    ];
    let rows: Vec<Vec<Cell>> = all.iter().map(ProviderSeen::row).collect();
    let text = table::table(&columns, &rows, paint);
    let complaints: Vec<(&str, Cell)> = all
        .iter()
        .filter_map(|one| Some((&*one.name, one.complaint()?)))
        .collect();
    if complaints.is_empty() {
        return text;
    }
    format!("{text}\n{}", table::pairs(&complaints, paint))
}

/// The router as a whole.
#[must_use]
pub fn status(status: &StatusSeen, all: &[ProviderSeen], paint: Paint) -> String {
    let is = |as_it_should_be| {
        if as_it_should_be {
            Tone::Good
        } else {
            Tone::Bad
        }
    };
    let (healthy, total) = (status.providers_healthy, status.providers_total);
    let open: Vec<&str> = all
        .iter()
        .filter(|one| !one.is_closed())
        .map(|one| &*one.name)
        .collect();
    let circuits = match &*open {
        [] => Cell::new("all closed", Tone::Good),
        names => Cell::new(format!("open: {}", names.join(", ")), Tone::Bad),
    };
    let (recent, failed) = (status.requests_last_minute, status.errors_last_minute);
    let recent = match failed {
        0 => Cell::plain(format!("{recent}, none failed")),
        failed => Cell::new(format!("{recent}, {failed} failed"), Tone::Doubtful),
    };
    let healthy = Cell::new(
        format!("{healthy} of {total} in service"),
        is(healthy == total),
    );
    let mut pairs = vec![
        ("version", Cell::plain(&status.version)),
        ("uptime", Cell::plain(uptime(status.uptime_seconds))),
        ("providers", healthy),
        ("circuits", circuits),
        ("requests", Cell::number(Some(status.requests_total))),
        ("last minute", recent),
    ];
    if status.providers_taken_out > 0 {
        let out = all.iter().filter(|one| one.is_taken_out());
        let names: Vec<&str> = out.map(|one| &*one.name).collect();
        pairs.insert(
            4,
            ("taken out", Cell::new(names.join(", "), Tone::Doubtful)),
        );
    }
    if !status.stalled_shards.is_empty() {
        let names = status.stalled_shards.join(", ");
        pairs.push(("stalled shards", Cell::new(names, Tone::Bad)));
    }
    if let Some(SharedSeen { state, members }) = &status.shared {
        let tone = is(state == "ok");
        let text = format!("{state}, {members} instances");
        pairs.push(("shared", Cell::new(text, tone)));
    }
    if let Some(usage) = &status.usage_records {
        let tone = is(usage.state == "ok" && usage.dropped == 0);
        pairs.push(("usage records", Cell::new(usage.text(), tone)));
    }
    table::pairs(&pairs, paint)
}

/// The first models, and how many more there are.
fn models(all: &[String]) -> Cell {
    const SHOWN: usize = 3;
    match all {
        [] => Cell::new("any", Tone::Faint),
        all if all.len() <= SHOWN => Cell::plain(all.join(", ")),
        all => {
            let first: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
            let more = all.len() - SHOWN;
            Cell::plain(format!("{} and {more} more", first.join(", ")))
        }
    }
}

/// The time of day (`12:34:56Z`) of an RFC 3339 moment; any other text stays as it is.
#[must_use]
pub(super) fn time_of_day(moment: &str) -> String {
    let time = moment.split_once('T').and_then(|(_, time)| time.get(..8));
    time.map_or_else(|| moment.to_owned(), |time| format!("{time}Z"))
}

/// The two largest units of a time.
fn uptime(seconds: f64) -> String {
    // Whole seconds; a negative number becomes 0, and a number too large the largest one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let seconds = seconds as u64;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, minutes) => format!("{minutes}m {rest}s"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Vec<ProviderSeen> {
        let text = r#"[
            {"name":"openai","type":"openai","healthy":true,"in_rotation":true,
             "circuit":"closed","error_rate":0.015,
             "p95_latency_ms":812.4,"requests_last_minute":42,"models":["a","b","c","d"],
             "model_aliases":{},"rate_limit_headroom_rpm":10,"rate_limit_headroom_tpm":null,
             "last_check_at":"2026-03-01T12:34:56.789Z"},
            {"name":"local","type":"ollama","healthy":false,"circuit":"open",
             "circuit_recovery_at":"2026-03-01T12:35:00.000Z","later":1,
             "health_check_url":"http://h/v1/models","unhealthy_since":"2026-03-01T12:30:00.000Z",
             "last_error":"status 503","last_error_at":"2026-03-01T12:34:00.000Z"}
        ]"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn providers_are_lines_of_a_table() {
        let lines = [
            "NAME    TYPE    HEALTH     CIRCUIT               ERRORS     P95  REQ/MIN  RPM LEFT",
            "openai  openai  healthy    closed                  1.5%  812 ms       42        10",
            "local   ollama  unhealthy  open until 12:35:00Z       -       -        -         -",
        ];
        let rest = [
            "  TPM LEFT  CHECKED    MODELS\n",
            "         -  12:34:56Z  a, b, c and 1 more\n",
            "         -  -          any\n",
        ];
        let lines: Vec<String> = lines
            .iter()
            .zip(rest)
            .map(|(a, b)| format!("{a}{b}"))
            .collect();
        let why = "\nlocal  unhealthy since 12:30:00Z: status 503, asked for http://h/v1/models\n";
        assert_eq!(providers(&seen(), Paint::Plain), lines.concat() + why);
        let well = &seen()[..1];
        assert!(!providers(well, Paint::Plain).contains("\n\n"));
    }

    #[test]
    fn the_status_names_what_is_open() {
        let text = r#"{"version":"0.1.0","uptime_seconds":93784,"providers_healthy":1,
            "providers_total":2,"requests_total":1000,"requests_last_minute":42,
            "errors_last_minute":3}"#;
        let told = serde_json::from_str(text).unwrap();
        let lines = [
            "version      0.1.0",
            "uptime       1d 2h",
            "providers    1 of 2 in service",
            "circuits     open: local",
            "requests     1000",
            "last minute  42, 3 failed",
        ];
        assert_eq!(
            status(&told, &seen(), Paint::Plain),
            lines.join("\n") + "\n"
        );
        assert!(status(&told, &[], Paint::Plain).contains("circuits     all closed"));
        for (state, dropped, expected) in
            [("ok", 0, "ok\n"), ("failing", 3, "failing, 3 dropped\n")]
        {
            let usage_records = Some(UsageSeen {
                state: state.to_owned(),
                dropped,
            });
            let told = StatusSeen {
                usage_records,
                ..told.clone()
            };
            let text = status(&told, &[], Paint::Plain);
            assert!(
                text.ends_with(&format!("usage records  {expected}")),
                "{text}"
            );
        }
        let mut all = seen();
        all[0].in_rotation = Some(false);
        let told = StatusSeen {
            providers_taken_out: 1,
            ..told
        };
        let text = status(&told, &all, Paint::Plain);
        assert!(
            text.contains("circuits     open: local\ntaken out    openai\n"),
            "{text}"
        );
        assert!(providers(&all, Paint::Plain).contains("openai  openai  taken out  closed"));
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in [
            (-1.0, "0s"),
            (59.9, "59s"),
            (61.0, "1m 1s"),
            (7_380.0, "2h 3m"),
            (f64::INFINITY, "213503982334601d 7h"),
        ] {
            assert_eq!(uptime(seconds), text);
        }
        assert_eq!(time_of_day("soon"), "soon");
        assert_eq!(time_of_day("2026-03-01T1é:34"), "2026-03-01T1é:34");
    }
}
