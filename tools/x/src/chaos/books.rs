//! What the router says of its requests: access lines, and the sums of its metrics.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::Value;

use super::ends::nano_dollars;
use super::router::Said;
use super::secrets::{KEY, TOKEN};

/// One access line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) status: u16,
    pub(super) cost: u64,
    pub(super) tokens: Option<[u64; 2]>,
    /// Whose budgets it is charged to.
    pub(super) charged: Vec<String>,
    pub(super) error: String,
    pub(super) text: String,
}

/// Sums over requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Requests by provider.
    pub(super) requests: BTreeMap<String, u64>,
    /// Requests by status; 0 stands for all that have no series of their own.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Nano-dollars by provider.
    pub(super) cost: BTreeMap<String, u64>,
    /// Tokens by provider.
    pub(super) tokens: BTreeMap<String, u64>,
    /// Nano-dollars by whom the books charge: a caller, a key, a team.
    pub(super) charged: BTreeMap<String, u64>,
}

impl Sums {
    fn add(&mut self, provider: &str, line: &Line) {
        *self.requests.entry(provider.to_owned()).or_default() += 1;
        *self.statuses.entry(line.status).or_default() += 1;
        let tokens: u64 = line.tokens.iter().flatten().sum();
        for whom in line.charged.iter().filter(|_| line.cost > 0) {
            *self.charged.entry(whom.clone()).or_default() += line.cost;
        }
        for (sums, value) in [(&mut self.cost, line.cost), (&mut self.tokens, tokens)] {
            if value > 0 {
                *sums.entry(provider.to_owned()).or_default() += value;
            }
        }
    }

    /// The same sums as the metrics have them.
    pub(super) fn of_metrics(text: &str) -> Self {
        let mut sums = Self::default();
        for (name, labels, value) in series(text) {
            let provider = label(labels, "provider").unwrap_or_default().to_owned();
            let count = nano_dollars(value) / 1_000_000_000;
            let (place, count) = match name {
                "infermux_requests_total" => {
                    let status = label(labels, "status").and_then(|text| text.parse().ok());
                    *sums.statuses.entry(status.unwrap_or_default()).or_default() += count;
                    (&mut sums.requests, count)
                }
                "infermux_cost_usd_total" => (&mut sums.cost, nano_dollars(value)),
                "infermux_tokens_total" => (&mut sums.tokens, count),
                "infermux_budget_spent_usd" | "infermux_scope_budget_spent_usd" => {
                    let [caller, scope, name] =
                        ["caller", "scope", "name"].map(|name| label(labels, name));
                    let whom = format!(
                        "{} {}",
                        scope.unwrap_or("caller"),
                        caller.or(name).unwrap_or_default()
                    );
                    sums.charged.insert(whom, nano_dollars(value));
                    continue;
                }
                _ => continue,
            };
            if count > 0 {
                *place.entry(provider).or_default() += count;
            }
        }
        sums
    }

    /// Requests by the statuses of `others`.
    pub(super) fn statuses_as(&self, others: &Self) -> BTreeMap<u16, u64> {
        let mut statuses = BTreeMap::new();
        for (status, count) in &self.statuses {
            let is_known = others.statuses.contains_key(status) || *status == LEFT;
            *statuses
                .entry(if is_known { *status } else { 0 })
                .or_default() += count;
        }
        statuses
    }

    /// What all requests cost.
    pub(super) fn whole_cost(&self) -> u64 {
        self.cost.values().sum()
    }
}

/// The caller with a budget of its own.
const SPENDER: &str = "caller spender";

/// Whose budgets a line's request is charged to.
fn charged(line: &Value) -> Vec<String> {
    let all = ["caller", "key", "team"].map(|kind| match line[kind].as_str() {
        Some(name) => format!("{kind} {name}"),
        None => String::new(),
    });
    let has_budget =
        |whom: &String| whom == SPENDER || whom.starts_with("key ") || whom.starts_with("team ");
    all.into_iter().filter(has_budget).collect()
}

/// The status in the log of a caller that hung up.
pub(super) const LEFT: u16 = 499;

/// The series of a scrape: name, labels, value.
pub(crate) fn series(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        (!line.starts_with('#')).then_some(())?;
        Some((name, labels, value.parse().ok()?))
    })
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

/// All that was said.
pub(super) struct Books {
    /// Lines by the request's id, of the round that is under way.
    pub(super) lines: HashMap<String, Vec<Line>>,
    /// Sums over the lines of each start.
    pub(super) sums: BTreeMap<u32, Sums>,
    /// What must never be said.
    pub(super) faults: Vec<String>,
    /// Nano-dollars that the caller with a budget has spent, and the dearest of its requests.
    pub(super) spent: u64,
    pub(super) dearest: u64,
    log: BufWriter<File>,
}

impl Books {
    /// Empty ones, which copy all that is said into a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub(super) fn new(log: &Path) -> Result<Self, String> {
        let file = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
        Ok(Self {
            lines: HashMap::new(),
            sums: BTreeMap::new(),
            faults: Vec::new(),
            spent: 0,
            dearest: 0,
            log: BufWriter::new(file),
        })
    }

    /// Takes a line in.
    pub(super) fn hear(&mut self, said: &Said) {
        let text = &said.line;
        // Without it, a failure has less to look at, but is one all the same.
        let _ = writeln!(self.log, "{} {text}", said.start);
        if text.contains("panicked") {
            self.faults.push(format!("a panic: {text}"));
        }
        if text.contains(KEY) || text.contains(TOKEN) {
            self.faults.push(format!("a secret in the log: {text}"));
        }
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            if !text.is_empty() {
                self.faults.push(format!("a line that is no JSON: {text}"));
            }
            return;
        };
        if value["message"] == "request" {
            self.book(said, &value);
        }
    }

    fn book(&mut self, said: &Said, value: &Value) {
        let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let [prompt, completion] =
            ["prompt_tokens", "completion_tokens"].map(|name| value[name].as_u64());
        let line = Line {
            status: value["status"]
                .as_u64()
                .map_or(0, |status| status.try_into().unwrap_or(0)),
            cost: value["cost_usd"].as_f64().map_or(0, nano_dollars),
            tokens: prompt
                .zip(completion)
                .map(|(prompt, completion)| [prompt, completion]),
            charged: charged(value),
            error: word("error"),
            text: said.line.clone(),
        };
        let provider = match word("provider") {
            none if none.is_empty() => "(none)".to_owned(),
            provider => provider,
        };
        self.sums
            .entry(said.start)
            .or_default()
            .add(&provider, &line);
        if line.charged.iter().any(|whom| whom == SPENDER) {
            self.spent += line.cost;
            self.dearest = self.dearest.max(line.cost);
        }
        self.lines.entry(word("request_id")).or_default().push(line);
    }

    /// Writes down what is still in memory.
    pub(super) fn flush(&mut self) {
        let _ = self.log.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_metrics_come_to_the_same_sums() {
        let folder = crate::demo::Folder::new().expect("a folder");
        let mut books = Books::new(&folder.path().join("log")).expect("books");
        for line in [
            concat!(
                r#"{"message":"request","request_id":"a","provider":"alpha","status":200,"#,
                r#""prompt_tokens":2,"completion_tokens":5,"cost_usd":0.000000085}"#
            ),
            r#"{"message":"request","request_id":"b","status":404}"#,
            r#"{"message":"serving"}"#,
        ] {
            books.hear(&Said {
                start: 1,
                line: line.to_owned(),
            });
        }
        let metrics = "# HELP x\n\
            infermux_requests_total{provider=\"alpha\",model=\"m\",status=\"200\"} 1\n\
            infermux_requests_total{provider=\"(none)\",model=\"(none)\",status=\"404\"} 1\n\
            infermux_tokens_total{provider=\"alpha\",model=\"m\",type=\"input\"} 2\n\
            infermux_tokens_total{provider=\"alpha\",model=\"m\",type=\"output\"} 5\n\
            infermux_cost_usd_total{provider=\"alpha\",model=\"m\"} 0.000000085\n";
        assert_eq!(books.sums[&1], Sums::of_metrics(metrics));
        assert_eq!(books.faults, Vec::<String>::new());
        books.hear(&Said {
            start: 1,
            line: format!("{{\"a\":\"{}\"}}", KEY),
        });
        assert_eq!(books.faults.len(), 1);
    }
}
