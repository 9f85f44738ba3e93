//! Requests that name no model, and are passed on to one provider: those about files, batches,
//! fine-tuning and vector stores.

use crate::base::endpoint::Endpoint;
use crate::exchange::segments::below;

/// Such a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// What it is about.
    pub endpoint: Endpoint,
    /// The path behind that, without doubled slashes or one at the end: empty, or one or more
    /// segments, each behind a slash.
    pub path: Box<str>,
    /// Whether it may cost something.
    pub cost: Cost,
}

/// Whether a request may cost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// It only looks, or takes away, or is about a file.
    Nothing,
    /// It makes the provider work.
    Unknown,
}

/// The request for this path, which stands behind `/v1` or nothing. Segments hold nothing that
/// could lead a provider to another path than the one that was meant.
#[must_use]
pub fn at(path: &str) -> Option<Passed> {
    let mut words = WORDS.into_iter();
    let (endpoint, rest) =
        words.find_map(|(endpoint, word)| Some((endpoint, below(path, word)?)))?;
    let mut path = String::with_capacity(rest.len());
    for segment in rest.split('/').filter(|segment| !segment.is_empty()) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte);
        if matches!(segment, "." | "..") || !segment.bytes().all(is_plain) {
            return None;
        }
        path.extend(["/", segment]);
    }
    Some(Passed {
        endpoint,
        path: path.into(),
        cost: if endpoint.is_free() {
            Cost::Nothing
        } else {
            Cost::Unknown
        },
    })
}

const WORDS: [(Endpoint, &str); 4] = [
    (Endpoint::Files, "files"),
    (Endpoint::Batches, "batches"),
    (Endpoint::FineTuning, "fine_tuning"),
    (Endpoint::VectorStores, "vector_stores"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_nowhere_else() {
        for (path, expected) in [
            ("/files", Some((Endpoint::Files, ""))),
            ("/files/", Some((Endpoint::Files, ""))),
            (
                "//files//file-1_a//content/",
                Some((Endpoint::Files, "/file-1_a/content")),
            ),
            (
                "/fine_tuning/checkpoints/ft:gpt-4o:org::7p4/permissions",
                Some((
                    Endpoint::FineTuning,
                    "/checkpoints/ft:gpt-4o:org::7p4/permissions",
                )),
            ),
            ("/batches/b/cancel", Some((Endpoint::Batches, "/b/cancel"))),
            ("/vector_stores", Some((Endpoint::VectorStores, ""))),
            ("/filesx", None),
            ("/file", None),
            ("/files/..", None),
            ("/files/../models", None),
            ("/files/%2e%2e", None),
            ("/files/a b", None),
            ("/files/a\\b", None),
            ("/files/\u{e4}", None),
            ("/", None),
        ] {
            let found = at(path);
            let found = found.as_ref().map(|found| (found.endpoint, &*found.path));
            assert_eq!(found, expected, "{path}");
        }
    }
}
