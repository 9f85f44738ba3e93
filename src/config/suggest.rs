//! "Did you mean": the known word that is nearest to a mistyped one.

/// Longer words are not compared: no known word is as long, and the cost grows with the square of
/// the length.
const LONGEST: usize = 64;
/// A word is compared with at most this many others.
const MOST: usize = 1_000;

/// The nearest of `known`, if it is near enough to be what was meant.
pub fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let length = word.chars().count();
    let most = (length / 3).max(1);
    // Words cannot be nearer than their lengths are.
    let may_be_near = |candidate: &&str| {
        candidate.len() <= LONGEST && candidate.chars().count().abs_diff(length) <= most
    };
    known
        .into_iter()
        .take(MOST)
        .filter(may_be_near)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| (1..=most).contains(distance))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["timeout", "base_url", "api_key", "models"];
        for (word, meant) in [
            ("tiemout", Some("timeout")),
            ("base-url", Some("base_url")),
            ("apikey", Some("api_key")),
            ("model", Some("models")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(near(word, known), meant, "{word}");
        }
        assert_eq!(near(&"x".repeat(100_000), known), None);
    }
}
