//! Rounds: chaos, calm, judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;

use super::books::Sums;
use super::callers::Caller;
use super::dice::Dice;
use super::ends::{End, How, nano_dollars};
use super::judge::{self, LOST_MAX};
use super::play::{Play, is_month_near};
use super::scene::BUDGET;
use super::watch::{self, Sample};
use crate::clock::pause;

/// Callers at once.
const CALLERS: u64 = 24;
/// How long the chaos of a round lasts.
const ROUND: Duration = Duration::from_secs(12);
/// How long a router may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(30);

/// What has been seen in all rounds.
#[derive(Default)]
struct Seen {
    /// Requests by how they ended and with which status.
    ends: BTreeMap<(String, u16), u64>,
    /// Sums of former starts' lines, and of this one's, at the last rest.
    cost: u64,
    /// The same by whom the books charge, as the metrics had it.
    charged: BTreeMap<String, u64>,
    lines: BTreeMap<String, u64>,
    /// What `/_infermux/costs` said then, and for which month.
    total: u64,
    period: String,
    periods: BTreeSet<String>,
    rests: Vec<Sample>,
}

/// Plays rounds of `seed` until `time` seconds are over, or a promise is broken; returns how the
/// router was at each rest.
///
/// # Errors
///
/// When the router ends, or something else cannot go on.
pub(super) fn play(play: &mut Play<'_>, (seed, time): (u64, u64)) -> Result<Vec<Sample>, String> {
    let end = Duration::from_secs(time);
    let mut seen = Seen::default();
    (seen.total, seen.period) = costs(play)?;
    let mut number = 0;
    while play.clock.elapsed() < end && play.broken.is_empty() && play.books.faults.is_empty() {
        number += 1;
        let all = round(play, seed, number)?;
        judge(play, &mut seen, &all)?;
        let rest = seen.rests.last().copied().unwrap_or_default();
        println!(
            "{:7.1} s  round {number}: {} requests, {:.0} MiB, {} descriptors, {} threads",
            play.clock.elapsed().as_secs_f64(),
            all.len(),
            rest.memory,
            rest.descriptors,
            rest.threads
        );
    }
    print!("{}", judge::table(&seen.ends));
    let count = |wanted| {
        let found = seen
            .ends
            .iter()
            .filter(|((_, status), _)| wanted == *status);
        found.map(|(_, count)| count).sum::<u64>()
    };
    if count(200) < seen.ends.values().sum::<u64>() / 20 {
        play.broken
            .push("hardly anything was answered: this run shows nothing".to_owned());
    }
    Ok(seen.rests)
}

/// Chaos, and calm; returns how every request ended.
fn round(play: &mut Play<'_>, seed: u64, number: u64) -> Result<Vec<End>, String> {
    let is_over = AtomicBool::new(false);
    let (ends, all) = channel();
    let doors = play.scene.doors.clone();
    let clock = play.clock;
    play.note(&format!("round {number}"));
    let acted = std::thread::scope(|scope| {
        for place in 0..CALLERS {
            let caller = Caller {
                doors: &doors,
                dice: Dice::new(seed, number * 1_000 + place + 1),
                name: format!("chaos-{number}-{place}"),
                ends: ends.clone(),
                clock,
                count: 0,
                kept: None,
            };
            let is_over = &is_over;
            scope.spawn(move || caller.run(is_over));
        }
        let mut dice = Dice::new(seed, number * 1_000);
        let acted = play.act_until(clock.elapsed() + ROUND, &mut dice);
        is_over.store(true, Ordering::Relaxed);
        acted
    });
    drop(ends);
    acted.map(|()| all.iter().collect())
}

/// Waits for rest, and holds all that was seen against each other.
fn judge(play: &mut Play<'_>, seen: &mut Seen, all: &[End]) -> Result<(), String> {
    let metrics = rest(play, all)?;
    let lines = play
        .books
        .sums
        .get(&play.start)
        .cloned()
        .unwrap_or_default();
    let gaps = std::mem::take(&mut play.gaps);
    play.broken.extend(judge::rest(&metrics));
    play.broken.extend(judge::sums(&lines, &metrics));
    for end in all {
        let how = match &end.how {
            How::Unanswered(_) => "Unanswered".to_owned(),
            how => format!("{how:?}"),
        };
        *seen.ends.entry((how, end.status)).or_default() += 1;
    }
    let costs = costs(play)?;
    charges(play, seen, (&metrics, &gaps, costs.1 == seen.period));
    spend(play, seen, (costs, all, &gaps));
    let broken = judge::ends(all, &mut play.books, &gaps);
    play.broken.extend(broken);
    let at = play.clock.elapsed().as_secs_f64();
    seen.rests.extend(watch::sample(play.router.id(), at));
    Ok(())
}

/// What the running month cost, in nano-dollars, and which one it is.
fn costs(play: &Play<'_>) -> Result<(u64, String), String> {
    let answer = play.router.ask("GET", "/_infermux/costs")?;
    let costs: Value = serde_json::from_slice(&answer.body).map_err(|e| format!("costs: {e}"))?;
    let total = costs["total_usd"].as_f64().map_or(0, nano_dollars);
    Ok((
        total,
        costs["period"].as_str().unwrap_or_default().to_owned(),
    ))
}

/// Waits until nothing is held, and every line is there; returns the metrics.
fn rest(play: &mut Play<'_>, all: &[End]) -> Result<String, String> {
    let begin = play.clock.elapsed();
    loop {
        let metrics = play.router.ask("GET", "/_infermux/metrics")?.body;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        play.hear();
        let lines = play
            .books
            .sums
            .get(&play.start)
            .cloned()
            .unwrap_or_default();
        let is_there = |end: &End| {
            let is_lost = play.gaps.iter().any(|gap| end.began <= gap.to);
            is_lost || end.how != How::Answered || play.books.lines.contains_key(&end.id)
        };
        let is_rest = judge::rest(&metrics).is_empty() && judge::sums(&lines, &metrics).is_empty();
        if is_rest && all.iter().all(is_there) || play.clock.elapsed() > begin + REST_MAX {
            return Ok(metrics);
        }
        pause(Duration::from_millis(100));
    }
}

/// What budgets of keys, team and caller say is spent, against the lines of a round without a kill.
fn charges(
    play: &mut Play<'_>,
    seen: &mut Seen,
    (metrics, gaps, is_same_month): (&str, &[judge::Gap], bool),
) {
    let told = Sums::of_metrics(metrics).charged;
    // The caller with a budget, two keys, and their team.
    if told.len() != 4 {
        play.broken
            .push(format!("not all budgets have a metric: {told:?}"));
    }
    let mut lines = BTreeMap::new();
    for (whom, cost) in play.books.sums.values().flat_map(|sums| &sums.charged) {
        *lines.entry(whom.clone()).or_default() += cost;
    }
    // A store counts what its instances hold, too, and knows it a little later.
    let is_sure = gaps.is_empty() && play.scene.store.is_none() && is_same_month;
    if is_sure && !(play.has_stepped && is_month_near()) {
        for (whom, told) in &told {
            let before = |sums: &BTreeMap<String, u64>| sums.get(whom).copied().unwrap_or_default();
            let gained = before(&lines) - before(&seen.lines);
            let was = before(&seen.charged);
            if was + gained != *told {
                play.broken.push(format!(
                    "{whom}: charged {told} nano-dollars after {was}, where lines say {gained}"
                ));
            }
        }
    }
    (seen.charged, seen.lines) = (told, lines);
}

/// What the month's costs and the budget say, against what was told.
fn spend(
    play: &mut Play<'_>,
    seen: &mut Seen,
    ((total, period), all, gaps): ((u64, String), &[End], &[judge::Gap]),
) {
    let cost: u64 = play.books.sums.values().map(Sums::whole_cost).sum();
    let gained = cost - seen.cost;
    if seen.period == period && !(play.has_stepped && is_month_near()) {
        // What ended so shortly before a kill may be lost, and of what was under way at that
        // moment, what the provider had begun may have been saved without a line.
        let unsure = all.iter().filter(|end| {
            gaps.iter()
                .any(|gap| end.ended + LOST_MAX >= gap.from && end.began <= gap.to)
        });
        let dearest = all
            .iter()
            .filter_map(|end| end.cost)
            .max()
            .unwrap_or_default();
        let unsure = unsure.count() as u64 * dearest;
        let low = (seen.total + gained).saturating_sub(unsure);
        let high = seen.total + gained + unsure;
        if !(low..=high).contains(&total) {
            play.broken.push(format!(
                "the month's costs went from {} to {total} nano-dollars, where lines say {gained} \
                 ({unsure} in doubt)",
                seen.total
            ));
        }
    }
    (seen.total, seen.cost) = (total, cost);
    seen.periods.insert(period.clone());
    seen.period = period;
    // A clock that steps may have been in another month for a while.
    let is_off = play.scene.clock.is_some() && is_month_near();
    let months = seen.periods.len() as u64 + u64::from(is_off);
    let kills = u64::from(play.start - 1);
    // One request's excess, and what each kill made forget.
    let most = months * BUDGET * 1_000_000_000 + play.books.dearest * (1 + 10 * kills);
    if play.books.spent > most {
        let spent = play.books.spent;
        play.broken.push(format!(
            "{spent} nano-dollars spent of a budget, at most {most}"
        ));
    }
}
