//! The sums of a fleet beside its limits.

/// Requests that the provider of callers without a budget may be sent in any 60 s.
pub(super) const LIMIT: usize = 600;
/// Callers at once. Every other one has the budget.
pub(super) const CALLERS: usize = 12;

/// A request that was served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    /// When its answer had come, in seconds since the load began.
    pub(super) at: f64,
    /// Whether its caller has the budget.
    pub(super) has_budget: bool,
}

/// What an instance says in the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// What all have spent of the budget, as far as it knows; what those had leased who died
    /// counts.
    pub(super) cents: f64,
}

/// Prints the sums, and compares them with the limits.
pub(super) fn judge(served: &[Served], shown: &[Shown], budget: usize) -> Result<(), String> {
    // The caller with the budget has a provider without a limit: neither stands in the other's way.
    let limited = served.iter().filter(|one| !one.has_budget);
    let mut times: Vec<f64> = limited.map(|one| one.at).collect();
    times.sort_by(f64::total_cmp);
    let most = times.iter().enumerate().map(|(first, began)| {
        let within = times[first..].iter().take_while(|at| **at < began + 59.5);
        within.count()
    });
    let most = most.max().unwrap_or_default();
    let spent = served.iter().filter(|one| one.has_budget).count();
    let cents: Vec<String> = shown
        .iter()
        .map(|one| format!("{:.0}", one.cents))
        .collect();
    println!("\n{:>8} requests served", served.len());
    println!("{most:>8} of {LIMIT} in the fullest minute");
    println!("{spent:>8} of {budget} cents spent");
    println!("{:>8} cents, say the instances", cents.join(", "));
    if most > LIMIT {
        return Err("the limit was exceeded".to_owned());
    }
    if most < LIMIT / 2 {
        return Err("hardly anything was served".to_owned());
    }
    // A last request's excess, for each instance that died or was cut off with one under way.
    if spent > budget + 3 {
        return Err("the budget was exceeded".to_owned());
    }
    if spent < budget * 9 / 10 {
        return Err("much of the budget was left".to_owned());
    }
    // Whoever spent last knows of all that was spent, and counts what was lost.
    let told = shown.iter().map(|one| one.cents).fold(0.0, f64::max);
    if told < spent as f64 * 0.97 || told > budget as f64 + 3.0 {
        return Err("no instance knows what all have spent".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many requests within `span`, of which so many are of the caller with the budget.
    fn served(count: usize, span: f64, of_budget: usize) -> Vec<Served> {
        let one = |number: usize| Served {
            at: span * number as f64 / count as f64,
            has_budget: number < of_budget,
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_fullest_minute_and_the_sums_are_judged() {
        let judge = |served: &[Served], cents: f64| {
            judge(served, &[Shown { cents: 0.0 }, Shown { cents }], 500)
        };
        assert_eq!(judge(&served(900, 150.0, 500), 500.0), Ok(()));
        let faults = [
            (served(1_150, 50.0, 500), 500.0, "the limit was exceeded"),
            (served(10, 150.0, 5), 5.0, "hardly anything was served"),
            (served(900, 150.0, 504), 503.0, "the budget was exceeded"),
            (
                served(900, 150.0, 400),
                400.0,
                "much of the budget was left",
            ),
            (
                served(900, 150.0, 500),
                300.0,
                "no instance knows what all have spent",
            ),
        ];
        for (served, cents, fault) in faults {
            assert_eq!(judge(&served, cents), Err(fault.to_owned()));
        }
    }
}
