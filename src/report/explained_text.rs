//! Where a request would go, in a form for people.

use crate::report::explained::{
    AffinityExplained, CandidateExplained, Explained, ScopeExplained, Verdict,
};
use crate::report::table::{self, Cell, Paint, Side, Tone};

/// What was found: the request, its candidates, and what they would be sent.
#[must_use]
pub fn text(told: &Explained, paint: Paint) -> String {
    let mut text = table::pairs(&heading(told), paint);
    if !told.candidates.is_empty() {
        let mut candidates: Vec<&CandidateExplained> = told.candidates.iter().collect();
        // Those that would be asked come first, in their turn; then the others, as in the file.
        candidates.sort_by_key(|one| one.turn.unwrap_or(usize::MAX));
        let rows: Vec<Vec<Cell>> = candidates.into_iter().map(row).collect();
        text.push('\n');
        text.push_str(&table::table(&COLUMNS, &rows, paint));
    }
    let notes = notes(&told.candidates);
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&table::pairs(&notes, paint));
    }
    if !told.others.is_empty() {
        let others = told.others.iter().take(OTHERS_SHOWN);
        let others: Vec<(&str, Cell)> = others
            .map(|other| (&*other.provider, Cell::plain(&other.reason)))
            .collect();
        text.push_str("\nNo candidates:\n");
        text.push_str(&table::pairs(&others, paint));
        if told.others.len() > OTHERS_SHOWN {
            text.push_str(&format!("and {} more\n", told.others.len() - OTHERS_SHOWN));
        }
    }
    text
}

fn heading(told: &Explained) -> Vec<(&'static str, Cell)> {
    let stream = if told.stream { ", streamed" } else { "" };
    let model = match &*told.model {
        "" => String::new(),
        model => format!("{model} to "),
    };
    let request = format!("{model}{}{stream}", told.endpoint);
    let mut pairs = vec![("request", Cell::plain(request))];
    for (name, value) in [
        ("caller", &told.caller),
        ("key", &told.key),
        ("team", &told.team),
    ] {
        pairs.extend(value.as_ref().map(|value| (name, Cell::plain(value))));
    }
    for scope in &told.scopes {
        pairs.push(("passes", scope_cell(scope)));
    }
    if let Some(model) = &told.model_override {
        pairs.push(("served with", Cell::new(model, Tone::Doubtful)));
    }
    if let Some(strategy) = &told.strategy {
        let group = told.group.as_ref();
        let group = group.map_or(String::new(), |group| format!(", of the group {group}"));
        pairs.push(("strategy", Cell::plain(format!("{strategy}{group}"))));
        if let Some(affinity) = &told.affinity {
            pairs.push(("affinity", affinity_cell(affinity)));
        }
        let (prompt, answer) = (told.prompt_tokens, told.answer_tokens);
        let tokens = format!("about {prompt} for the prompt, {answer} for the answer");
        pairs.push(("tokens", Cell::plain(tokens)));
    }
    pairs.push(("answer", answer(told)));
    pairs
}

fn affinity_cell(affinity: &AffinityExplained) -> Cell {
    match (&affinity.told_by, &affinity.first) {
        (Some(source), Some(first)) => {
            Cell::plain(format!("told by {source}, its first provider is {first}"))
        }
        (_, _) => Cell::new("nothing tells the conversation", Tone::Doubtful),
    }
}

fn scope_cell(scope: &ScopeExplained) -> Cell {
    let (word, tone) = match scope.verdict {
        Verdict::Passes => ("yes", Tone::Good),
        Verdict::ServedInstead => ("no, another model serves it", Tone::Doubtful),
        Verdict::Refuses => ("no", Tone::Bad),
    };
    let reason = scope.reason.as_ref();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    Cell::new(format!("{}: {word}{reason}", scope.scope), tone)
}

fn answer(told: &Explained) -> Cell {
    if let Some(refusal) = &told.refusal {
        let text = format!("{} {}: {}", refusal.status, refusal.code, refusal.message);
        return Cell::new(text, Tone::Bad);
    }
    match &*told.order {
        [] => Cell::nothing(),
        [only] => Cell::new(format!("{only} is asked"), Tone::Good),
        [first, later @ ..] => {
            let text = format!(
                "{first} is asked, then, if that fails, {}",
                later.join(", ")
            );
            Cell::new(text, Tone::Good)
        }
    }
}

const COLUMNS: [(&str, Side); 9] = [
    ("TURN", Side::Right),
    ("CANDIDATE", Side::Left),
    ("MODEL", Side::Left),
    ("SPEAKS", Side::Left),
    ("ELIGIBLE", Side::Left),
    ("COST USD", Side::Right),
    ("IN/M", Side::Right),
    ("OUT/M", Side::Right),
    ("WINDOW", Side::Right),
];

fn row(one: &CandidateExplained) -> Vec<Cell> {
    let told = |text: Option<String>| text.map_or_else(Cell::nothing, Cell::plain);
    let price = one.price.as_ref();
    let eligible = match (one.eligible, one.reason.is_some()) {
        (true, false) => Cell::new("yes", Tone::Good),
        (true, true) => Cell::new("last", Tone::Doubtful),
        (false, _) => Cell::new("no", Tone::Bad),
    };
    vec![
        told(one.turn.map(|turn| turn.to_string())),
        Cell::plain(&one.provider),
        Cell::plain(&one.model),
        Cell::plain(&one.dialect),
        eligible,
        told(one.cost_usd.as_ref().map(ToString::to_string)),
        told(price.map(|price| price.input_per_million.to_string())),
        told(price.map(|price| price.output_per_million.to_string())),
        Cell::number(one.context_window),
    ]
}

/// What is to be said of candidates besides.
fn notes(candidates: &[CandidateExplained]) -> Vec<(&str, Cell)> {
    let mut notes = Vec::new();
    for one in candidates {
        let mut note = |text: String, tone| notes.push((&*one.provider, Cell::new(text, tone)));
        if let Some(reason) = &one.reason {
            let tone = if one.eligible {
                Tone::Doubtful
            } else {
                Tone::Bad
            };
            note(format!("{reason}{}", back(one.back_in_ms)), tone);
        }
        if let Some(why) = &one.inexpressible {
            note(
                format!("its dialect cannot express the request: {why}"),
                Tone::Bad,
            );
        }
        if let Some(price) = &one.unit_price {
            note(format!("its price: {price}"), Tone::Neutral);
        }
        if let Some(changed) = &one.changed {
            note(format!("changed for it: {changed}"), Tone::Neutral);
        }
        if let Some(dropped) = &one.dropped {
            note(
                format!("it has no equivalent for: {dropped}"),
                Tone::Doubtful,
            );
        }
    }
    notes
}

fn back(millis: Option<u64>) -> String {
    let seconds = millis.map(|millis| millis.div_ceil(1_000));
    seconds.map_or(String::new(), |seconds| {
        format!("; expected back in {seconds} s")
    })
}

/// Providers that are no candidates and are shown.
const OTHERS_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_the_reasons_are_shown() {
        let told: Explained = serde_json::from_str(
            r#"{"endpoint":"chat_completions","model":"m","stream":false,"caller":null,
            "key":"web","team":null,"prompt_tokens":3,"answer_tokens":100,
            "scopes":[{"scope":"key web","model":"m","verdict":"refuses","reason":"used up"}],
            "model_override":null,"group":"fast","strategy":"priority","candidates":[
            {"provider":"a","model":"m","dialect":"chat","translated":false,"eligible":false,
            "reason":"its circuit is open","back_in_ms":1500,"turn":null,"weight":1,
            "latency_ms":null,"context_window":8000,"requests_left":null,"tokens_left":null,
            "price":null,"cost_usd":0.000012,"changed":"set a","dropped":null,
            "inexpressible":null}],
            "others":[{"provider":"z","reason":"it does not name the model"}],"chosen":null,
            "order":[],"refusal":{"status":429,"code":"budget_exceeded","message":"no"}}"#,
        )
        .unwrap();
        let text = text(&told, Paint::Plain);
        for line in [
            "request   m to chat_completions",
            "passes    key web: no: used up",
            "strategy  priority, of the group fast",
            "answer    429 budget_exceeded: no",
            "a  its circuit is open; expected back in 2 s",
            "a  changed for it: set a",
            "z  it does not name the model",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("0.000012"), "{text}");
    }
}
