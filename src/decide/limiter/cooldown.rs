//! How long a provider that said "too many requests" is left alone.

use std::time::Duration;

use crate::base::time::Instant;

/// One provider's pause; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cooldown {
    /// When the pause ends.
    until: Instant,
    /// When the provider last refused without saying for how long.
    refused: Option<Instant>,
    /// The pause that was guessed for it; zero before the first such refusal.
    guess: Duration,
}

impl Cooldown {
    /// How long a provider that asks for `span`, if it names one, is left alone at least, whatever
    /// happened before.
    #[must_use]
    pub fn least(span: Option<Duration>) -> Duration {
        span.map_or(GUESS_MIN, |asked| asked.min(ASKED_MAX))
    }

    /// The provider refused at `at` and asked for `span`, if it named one. Returns when the pause
    /// ends; `None`: no later than before.
    pub fn on_refused(&mut self, at: Instant, span: Option<Duration>) -> Option<Instant> {
        let span = match span {
            Some(asked) => asked.min(ASKED_MAX),
            None => self.guessed(at),
        };
        let until = at + span;
        if until <= self.until {
            return None;
        }
        self.until = until;
        Some(until)
    }

    /// A request that was admitted at `admitted` succeeded: earlier refusals no longer count.
    pub fn on_success(&mut self, admitted: Instant) {
        if self.refused.is_some_and(|refused| admitted >= refused) {
            self.refused = None;
            self.guess = Duration::ZERO;
        }
    }

    /// The pause doubles when the last one has proved too short. Refusals during a pause answer
    /// requests that were already under way, and say nothing about its length.
    fn guessed(&mut self, at: Instant) -> Duration {
        let over = self
            .refused
            .is_none_or(|refused| at >= refused + self.guess);
        if over {
            self.guess = (self.guess * 2).clamp(GUESS_MIN, GUESS_MAX);
            self.refused = Some(at);
        }
        self.guess
    }
}

/// The longest pause that a provider may ask for.
const ASKED_MAX: Duration = Duration::from_secs(30 * 60);
/// The first pause after a refusal that names none.
const GUESS_MIN: Duration = Duration::from_secs(1);
/// The longest pause after a refusal that names none.
const GUESS_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of `<ms> refused [<span ms>] <new end in ms, or ->` and `<ms> success`.
    fn check(script: &str) {
        let mut cooldown = Cooldown::default();
        for line in script.trim().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = Instant::from_millis(words[0].parse().unwrap());
            if words[1] == "success" {
                cooldown.on_success(at);
                continue;
            }
            let span = (words.len() > 3).then(|| words[2].parse().unwrap());
            let until = cooldown.on_refused(at, span.map(Duration::from_millis));
            let until = until.map(|until| (until.as_nanos() / 1_000_000).to_string());
            assert_eq!(
                until.as_deref().unwrap_or("-"),
                words[words.len() - 1],
                "{line}"
            );
        }
    }

    #[test]
    fn the_asked_pause_is_kept_up_to_half_an_hour() {
        check(
            "
            1000 refused 250          1250
            2000 refused 0            2000
            2000 refused 9999999999   1802000
            ",
        );
    }

    #[test]
    fn a_later_refusal_extends_and_never_shortens() {
        check(
            "
             1000 refused 10000   11000
             2000 refused 1000    -
             2000 refused 9000    -
             2000 refused 9001    11001
             3000 refused         -
            10500 refused         12500
            ",
        );
    }

    #[test]
    fn without_a_span_the_pause_doubles_from_one_second_to_sixty() {
        check(
            "
              1000 refused   2000
              2000 refused   4000
              4000 refused   8000
              8000 refused   16000
             16000 refused   32000
             32000 refused   64000
             64000 refused   124000
            124000 refused   184000
            ",
        );
    }

    #[test]
    fn refusals_of_requests_under_way_do_not_double_the_pause() {
        check(
            "
            1000 refused   2000
            1100 refused   2100
            1200 refused   2200
            2200 refused   4200
            ",
        );
    }

    #[test]
    fn a_success_starts_over_unless_it_was_under_way_before() {
        check(
            "
            1000 refused   2000
             900 success
            2000 refused   4000
            2000 success
            4000 refused   5000
            ",
        );
    }

    proptest! {
        #[test]
        fn never_shortens_and_never_exceeds_half_an_hour(
            refusals in prop::collection::vec((0..100_000_u64, any::<Option<u32>>()), 0..50),
        ) {
            let (mut cooldown, mut last) = (Cooldown::default(), Instant::ZERO);
            for (millis, span) in refusals {
                let at = Instant::from_millis(millis);
                let span = span.map(|span| Duration::from_millis(span.into()));
                let until = cooldown.on_refused(at, span);
                prop_assert_eq!(until.is_some(), cooldown.until > last);
                prop_assert!(cooldown.until >= at + Cooldown::least(span));
                prop_assert!(until.is_none_or(|until| until.since(at) <= ASKED_MAX));
                prop_assert!(cooldown.until >= last);
                last = cooldown.until;
            }
        }
    }
}
