//! A scrape each 100 ms, 50,000 keys, 1,000 providers.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::capacity::at_rest;
use super::load::Load;
use super::stage::{CHAT, Plan, Setting, Stage};
use super::tally::Row;
use crate::clock::{Stopwatch, pause};
use crate::grow;
use crate::scrape;

/// By how much the p99 of the load may grow.
const P99_RATIO_MAX: f64 = 1.5;
/// Pause between the starts of two scrapes.
const EVERY: Duration = Duration::from_millis(100);
/// Most memory with 1,000 providers, and with 50,000 keys with limits and budgets, in MiB.
const MEMORY_MAX: f64 = 400.0;

/// A scrape each 100 ms beside load.
pub(super) fn scrape(plan: &Plan) -> Result<Vec<Row>, String> {
    let is_quick = plan.is_quick;
    let span = Duration::from_secs(plan.of(6, 1));
    let setting = crowded(plan, plan.of(50, 20));
    let load = Load::beside(plan, span);
    plan.play(&setting, move |stage| {
        load.run(stage)?;
        let without = load.run(stage)?;
        let stop = AtomicBool::new(false);
        let (with, (count, bytes)) = std::thread::scope(|scope| {
            let scraper = scope.spawn(|| scraped(stage, &stop));
            let seen = load.run(stage);
            stop.store(true, Ordering::Relaxed);
            let scraped = scraper.join().map_err(|_| "the scraper panicked")?;
            Ok::<_, String>((seen?, scraped?))
        })?;
        let mut rows = vec![
            Row::judged("scrapes, all answered", count, count > 0),
            Row::shown("bytes of each", bytes),
        ];
        rows.extend(with.beside(&without, is_quick, P99_RATIO_MAX));
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

fn scraped(stage: &Stage, stop: &AtomicBool) -> Result<(u64, usize), String> {
    let (mut count, mut bytes) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let clock = Stopwatch::start();
        bytes = scrape::scrape(&stage.router)?.len();
        count += 1;
        pause(EVERY.saturating_sub(clock.elapsed()));
    }
    Ok((count, bytes))
}

/// 1,000 providers, then 50,000 keys.
pub(super) fn run(plan: &Plan) -> Result<Vec<Row>, String> {
    let span = Duration::from_secs(plan.of(4, 1));
    let count = plan.of(1_000, 200);
    let load = Load::beside(plan, span);
    let mut rows = plan.play(&crowded(plan, count), move |stage| {
        full("providers", count, &load, stage)
    })?;
    let count = plan.of(50_000, 5_000);
    let folder = crate::demo::Folder::named("keys")?;
    let keys = folder.write("keys.yml", &grow::limited_keys(count))?;
    let auth = format!("auth: {{mode: keys, keys_file: \"{}\"}}\n", keys.display());
    let more = plan.play(
        &Setting::quick(plan, format!("server: {{shards: 1}}\n{auth}")),
        move |stage| {
            let _folder = &folder;
            let secret = format!("Authorization: Bearer {}", grow::secret("{{ number }}"));
            let template = stage.folder.write("body.json", CHAT)?;
            let (template, cycle) = (template.display().to_string(), count.to_string());
            let flags = [
                "--template",
                &template,
                "--cycle",
                &cycle,
                "--header",
                &secret,
            ];
            let load = Load {
                flags: &flags,
                ..load
            };
            let mut rows = full(
                "keys, each with limits and two budgets",
                count,
                &load,
                stage,
            )?;
            let refused = stage.ask(CHAT)?;
            rows.push(Row::equal(
                "without a key",
                u64::from(refused.status()),
                401,
            ));
            Ok(rows)
        },
    )?;
    rows.extend(more);
    Ok(rows)
}

/// A router with very many of something, under load.
fn full(what: &str, count: usize, load: &Load<'_>, stage: &Stage) -> Result<Vec<Row>, String> {
    let seen = load.run(stage)?;
    let memory = stage.memory()? / 1_024.0;
    let mut rows = vec![
        Row::shown(what, count),
        Row::shown(
            "ready after",
            format!("{:.2} s", stage.ready_after.as_secs_f64()),
        ),
        Row::judged("MiB", format!("{memory:.0}"), memory <= MEMORY_MAX),
        Row::shown("p99 of the load", seen.told()),
        seen.judged(),
    ];
    rows.extend(at_rest(stage)?);
    Ok(rows)
}

/// A router with so many providers of one model.
fn crowded(plan: &Plan, count: usize) -> Setting {
    let mut providers = String::new();
    for number in 1..count {
        // Writing to a String cannot fail.
        let _ = writeln!(
            providers,
            "  - {{name: p{number}, type: openai, base_url: \"http://MOCK/v1\", models: [gpt-4o], \
             health_check: {{disabled: true}}}}"
        );
    }
    Setting {
        providers,
        ..Setting::quick(plan, "server: {shards: 1}\n".to_owned())
    }
}
