//! `infermux check --webhooks`: sends every webhook of a file a notice, and tells whether it has
//! taken it.

use serde::Serialize;

use crate::base::notice::{Course, Event, Notice, Outcome, Severity};
use crate::cli::courier::Courier;
use crate::cli::exit::{DONE, NOT_WELL};
use crate::cli::terminal;
use crate::config::plan::Plan;
use crate::coordinator::webhooks::dated;
use crate::report::table::{self, Cell, Paint, Side, Tone};
use crate::sys::clock;

/// What was found at a webhook.
#[derive(Serialize)]
struct Tried {
    /// Its place in the file.
    webhook: String,
    /// Its host.
    host: String,
    /// Whether it has taken the notice.
    taken: bool,
    /// Why it has not.
    why: Option<String>,
    /// Until its answer was there.
    latency_ms: u64,
}

/// What `--json` prints.
#[derive(Serialize)]
struct AllTried {
    webhooks: Vec<Tried>,
}

/// Tries the webhooks of `plan` one after the other, and prints what was found; returns the exit
/// code.
///
/// # Errors
///
/// TLS cannot be set up; the reason.
pub fn run(plan: &Plan, json: bool) -> Result<u8, String> {
    if plan.webhooks.is_empty() {
        return Err(String::from("the file has no webhooks"));
    }
    let (courier, faults) = Courier::of(plan)?;
    faults.iter().for_each(terminal::warning);
    let tried: Vec<Tried> = (0..plan.webhooks.len())
        .map(|place| one(plan, place, &courier))
        .collect();
    let code = if tried.iter().all(|one| one.taken) {
        DONE
    } else {
        NOT_WELL
    };
    if json {
        let found = AllTried { webhooks: tried };
        // Strings and numbers can always be written.
        terminal::say(serde_json::to_string_pretty(&found).unwrap_or_default());
    } else {
        terminal::say(text(&tried, terminal::paint()).trim_end());
    }
    Ok(code)
}

fn one(plan: &Plan, place: usize, courier: &Courier) -> Tried {
    let webhook = &plan.webhooks[place];
    let begun = clock::now();
    let outcome = courier.carry(webhook, &dated(trial()));
    let why = match outcome {
        Outcome::Taken => None,
        Outcome::Refused { why } | Outcome::Failed { why, .. } => Some(why),
    };
    Tried {
        webhook: format!("webhooks[{place}]"),
        host: webhook.place().to_owned(),
        taken: why.is_none(),
        why,
        latency_ms: u64::try_from(clock::now().since(begun).as_millis()).unwrap_or(u64::MAX),
    }
}

fn trial() -> Notice {
    Notice {
        event: Event::Test,
        subject: "test".into(),
        severity: Severity::Info,
        course: Course::Moment,
        message: String::from("this is a test: nothing has happened"),
        details: Vec::new(),
    }
}

fn text(tried: &[Tried], paint: Paint) -> String {
    let columns = [
        ("WEBHOOK", Side::Left),
        ("FOUND", Side::Left),
        ("TIME", Side::Right),
        ("HOST", Side::Left),
    ];
    let row = |one: &Tried| {
        let found = match one.taken {
            true => Cell::new("taken", Tone::Good),
            false => Cell::new("not taken", Tone::Bad),
        };
        let time = format!("{} ms", one.latency_ms);
        vec![
            Cell::plain(&one.webhook),
            found,
            Cell::plain(time),
            Cell::plain(&one.host),
        ]
    };
    let rows: Vec<Vec<Cell>> = tried.iter().map(row).collect();
    let notes = tried.iter().filter_map(|one| {
        let why = one.why.as_ref()?;
        Some((&*one.webhook, Cell::plain(why)))
    });
    let notes: Vec<(&str, Cell)> = notes.collect();
    let table = table::table(&columns, &rows, paint);
    if notes.is_empty() {
        return table;
    }
    format!("{table}\n{}", table::pairs(&notes, paint))
}
