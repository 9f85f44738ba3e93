//! Durations as people write them: `500ms`, `30s`, `5m`, `1h`.

use std::time::Duration;

use crate::config::decimal::Decimal;

/// Reads a duration.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || String::from("is not a duration such as 500ms, 30s, 5m or 1h");
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if Decimal::parse(number).is_ok() => {
            return Err(format!("has no unit, write `{number}s` for seconds"));
        }
        _ => return Err(wrong()),
    };
    let number = Decimal::parse(number).map_err(|problem| {
        if problem.contains("below") {
            problem
        } else {
            wrong()
        }
    })?;
    let millis = number
        .times(factor)
        .ok_or("is not a whole number of milliseconds")?;
    u64::try_from(millis)
        .map(Duration::from_millis)
        .map_err(|_| String::from("is too long"))
}

/// `duration` in the form that [`parse`] reads, in the largest unit that needs no fraction.
#[must_use]
pub fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    match [("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        .iter()
        .find(|(_, one)| millis.is_multiple_of(*one))
    {
        Some((unit, one)) if millis > 0 => format!("{}{unit}", millis / one),
        Some(_) => String::from("0s"),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_and_its_unit() {
        for (written, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1.5s", 1_500),
        ] {
            assert_eq!(
                parse(written),
                Ok(Duration::from_millis(millis)),
                "{written}"
            );
        }
        for written in ["500ms", "30s", "5m", "1h", "0s", "90s", "25h"] {
            assert_eq!(text(parse(written).unwrap()), written);
        }
    }

    #[test]
    fn says_what_is_missing() {
        for (written, problem) in [
            ("60", "has no unit, write `60s` for seconds"),
            ("-5s", "is below 0"),
            ("0.5ms", "is not a whole number of milliseconds"),
            ("99999999999999999h", "is too long"),
        ] {
            assert_eq!(parse(written).unwrap_err(), problem, "{written}");
        }
        for written in ["", "s", "5 s", "5d", "1m30s", "five", "5S", "5µs", "1e3s"] {
            assert!(
                parse(written).unwrap_err().starts_with("is not a duration"),
                "{written}"
            );
        }
    }
}
