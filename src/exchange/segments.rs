//! Paths by their segments. Slashes may be doubled or trail.

/// The part behind `word`, if that is the first segment of `path`.
#[must_use]
pub fn below<'p>(path: &'p str, word: &str) -> Option<&'p str> {
    let rest = path.strip_prefix('/')?.trim_start_matches('/');
    let rest = rest.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The part before `word`, if that is the last segment of `path`.
#[must_use]
pub fn above<'p>(path: &'p str, word: &str) -> Option<&'p str> {
    let rest = path.strip_suffix(word)?.strip_suffix('/')?;
    Some(rest.trim_end_matches('/'))
}

/// Whether `path` has these segments, and no others.
#[must_use]
pub fn are(path: &str, words: &str) -> bool {
    let mut words = words.split('/');
    words.try_fold(path, below) == Some("")
}

/// The part before these segments, if they are the last ones of `path`.
#[must_use]
pub fn before<'p>(path: &'p str, words: &str) -> Option<&'p str> {
    let mut words = words.rsplit('/');
    words.try_fold(path, above)
}
