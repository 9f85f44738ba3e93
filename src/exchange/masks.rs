//! Configured keys, made unreadable wherever a provider quotes them.
//!
//! Each byte of a key is replaced by a `*`: nothing moves, and no text becomes invalid. Words of
//! fewer than [`MASKED_BYTES_MIN`] bytes are not masked: ordinary text has them, too.

use std::ops::Range;

use memchr::memmem::Finder;

use crate::base::limits::STREAM_READ_BYTES;
use crate::base::secret::Secret;
use crate::config::plan::{Auth, Plan, Provider};

/// All keys of a configuration: for errors, which are rare. Every text is read once, however many
/// keys there are.
pub struct Masks {
    /// In ascending order; no word starts with another one.
    words: Box<[Box<[u8]>]>,
    /// Bits by the hashes of the words' beginnings.
    beginnings: Box<[u64; HASHES / 64]>,
}

/// The keys that one provider is sent, and so the only ones that it can quote: for headers and
/// whole answers, of which there are many.
pub struct OwnMasks {
    /// Keys that no ordinary text contains come first.
    finders: Box<[Finder<'static>]>,
    /// How many such keys there are.
    unmistakable: usize,
    shortest: usize,
    /// Length of the longest of these.
    longest_unmistakable: usize,
}

impl Masks {
    /// The keys of `plan`, and the operators' token.
    #[must_use]
    pub fn of(plan: &Plan, token: Option<&Secret>) -> Self {
        let mut words: Vec<Box<[u8]>> = plan.providers.iter().flat_map(words_of).collect();
        let auth = match &plan.auth {
            Auth::StaticKey(key) => Some(key),
            // Of callers' keys only digests are known.
            Auth::Passthrough | Auth::Keys(_) => None,
        };
        for key in auth.into_iter().chain(token) {
            add_words(key.expose(), &mut words);
        }
        let mut masks = Self {
            words: prefix_free(words).into(),
            beginnings: Box::new([0; HASHES / 64]),
        };
        for word in &masks.words {
            if let Some(beginning) = word.first_chunk() {
                let hash = hash(beginning);
                masks.beginnings[hash / 64] |= 1 << (hash % 64);
            }
        }
        masks
    }

    /// Makes the keys in `text` unreadable.
    pub fn mask(&self, text: &mut [u8]) {
        let mut from = 0;
        while let Some(found) = self.find(text, from) {
            from = fill(text, found);
        }
    }

    /// The beginning of a provider's text for a log, `most` bytes at most: without the configured
    /// keys, and without `callers`, the key that the caller presented.
    #[must_use]
    pub fn for_log(&self, text: &str, callers: Option<&[u8]>, most: usize) -> String {
        // The text is cut last: a key that was cut in two would not be found.
        let within = text.len().min(most.saturating_add(KEY_BYTES_MAX));
        let mut bytes = text.as_bytes()[..within].to_vec();
        self.mask(&mut bytes);
        let callers = callers.map(<[u8]>::trim_ascii).unwrap_or_default();
        if callers.len() >= MASKED_BYTES_MIN {
            mask_all(&Finder::new(callers), &mut bytes);
        }
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        while text.len() > most {
            text.pop();
        }
        text
    }

    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let windows = text.get(from..)?.windows(MASKED_BYTES_MIN);
        for (at, beginning) in (from..).zip(windows) {
            let hash = hash(beginning.first_chunk()?);
            if self.beginnings[hash / 64] >> (hash % 64) & 1 == 0 {
                continue;
            }
            let rest = &text[at..];
            // All texts between a word and a text that starts with it start with it, too.
            let behind = self.words.partition_point(|word| **word <= *rest);
            let word = behind.checked_sub(1).map(|place| &self.words[place]);
            if let Some(word) = word.filter(|word| rest.starts_with(word)) {
                return Some(at..at + word.len());
            }
        }
        None
    }
}

impl OwnMasks {
    /// The keys that `provider` is sent.
    #[must_use]
    pub fn of(provider: &Provider) -> Self {
        let mut words = prefix_free(words_of(provider));
        words.sort_by_key(|word| !is_unmistakable(word));
        let unmistakable = words.iter().filter(|word| is_unmistakable(word));
        let lengths = unmistakable.map(|word| word.len());
        Self {
            shortest: words.iter().map(|word| word.len()).min().unwrap_or(0),
            unmistakable: lengths.clone().count(),
            longest_unmistakable: lengths.max().unwrap_or(0),
            finders: words
                .iter()
                .map(|word| Finder::new(word).into_owned())
                .collect(),
        }
    }

    /// Makes the keys in a header's value unreadable.
    pub fn mask_value(&self, value: &mut [u8]) {
        if value.len() < self.shortest {
            return;
        }
        for finder in &self.finders {
            mask_all(finder, value);
        }
    }

    /// Makes the keys in an answer unreadable, except keys that may be words of its text:
    /// `not-needed`, `placeholder`.
    pub fn mask_answer(&self, body: &mut [u8]) {
        for finder in self.finders.iter().take(self.unmistakable) {
            mask_all(finder, body);
        }
    }

    /// How many bytes at the end of an answer that goes on must wait for what follows: a key of
    /// which [`mask_answer`](Self::mask_answer) has not seen the end yet may begin in them. Always
    /// less than what is gathered before it is sent.
    #[must_use]
    pub fn undecided(&self) -> usize {
        let most = STREAM_READ_BYTES / 2;
        self.longest_unmistakable.saturating_sub(1).min(most)
    }
}

/// Whether no ordinary text contains this word.
fn is_unmistakable(word: &[u8]) -> bool {
    word.len() >= 16 && word.iter().any(u8::is_ascii_digit)
}

fn mask_all(finder: &Finder<'_>, text: &mut [u8]) {
    let length = finder.needle().len();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| finder.find(rest)) {
        from = fill(text, from + at..from + at + length);
    }
}

/// Masks the found beginning and the rest of the same word; returns where the word ends.
fn fill(text: &mut [u8], found: Range<usize>) -> usize {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let rest = text.get(found.end..).unwrap_or_default();
    let end = found.end + rest.iter().take_while(|byte| is_of_word(byte)).count();
    text[found.start..end].fill(MASK);
    end
}

/// The words in ascending order, without those that start with another one: where that one is
/// masked, so is the rest of the word.
fn prefix_free(mut words: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    words.sort_unstable();
    words.dedup_by(|later, kept| later.starts_with(kept));
    words
}

/// The secrets that a provider is sent: its key, and the words of the headers that are set for it.
fn words_of(provider: &Provider) -> Vec<Box<[u8]>> {
    let mut words = Vec::new();
    let set = provider.headers.set.iter().map(|(_, value)| value);
    // Of proxies, only those that pass requests on can quote what they are sent in an answer.
    let login = provider.relay().and_then(|proxy| proxy.login.as_ref());
    let login = login
        .into_iter()
        .flat_map(|one| [&one.authorization, &one.password]);
    for secret in provider.api_key.iter().chain(set).chain(login) {
        // `Bearer` and the like are no secret, and a provider may quote the key without them.
        for word in secret.expose().split_ascii_whitespace() {
            add_words(word, &mut words);
        }
    }
    words
}

/// Adds `word` as it is, and in the forms in which it may stand in JSON.
fn add_words(word: &str, to: &mut Vec<Box<[u8]>>) {
    if word.len() < MASKED_BYTES_MIN {
        return;
    }
    let quoted = word.replace('\\', "\\\\").replace('"', "\\\"");
    let forms = [
        word.to_owned(),
        // .NET escapes what could end a script, and more.
        word.replace('\\', "\\\\")
            .replace('"', "\\u0022")
            .replace('&', "\\u0026")
            .replace('\'', "\\u0027")
            .replace('+', "\\u002B")
            .replace('<', "\\u003C")
            .replace('>', "\\u003E")
            .replace('`', "\\u0060"),
        quoted.replace('/', "\\/"),
        quoted
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
        quoted,
    ];
    to.extend(forms.map(|form| form.into_bytes().into()));
}

/// A cheap hash of a word's beginning, below [`HASHES`].
fn hash(beginning: &[u8; MASKED_BYTES_MIN]) -> usize {
    let mixed = u64::from_le_bytes(*beginning).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (u64::BITS - HASHES.ilog2())).unwrap_or(0)
}

/// Shortest word that is masked: servers without keys are given words like `none` and `EMPTY`.
pub const MASKED_BYTES_MIN: usize = 8;
const _: () = assert!(MASKED_BYTES_MIN == size_of::<u64>());
/// Longest key that a file may hold.
const KEY_BYTES_MAX: usize = 4_096;
/// Different hashes: 64 for each of a thousand keys, so that few places are compared in vain.
const HASHES: usize = 1 << 16;
const MASK: u8 = b'*';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Environment, Options, Strictness, load};
    use crate::exchange::auth;

    fn masks(words: &[&str]) -> Masks {
        let text = "providers: [{name: p, type: ollama}]";
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Strict,
        };
        let mut plan = load(text, &options).unwrap_or_else(|_| unreachable!()).plan;
        let set = words
            .iter()
            .map(|word| ("x".into(), Secret::new(*word)))
            .collect();
        plan.providers[0].headers.set = set;
        Masks::of(&plan, None)
    }

    fn masked(masks: &Masks, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        masks.mask(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn keys_become_stars_wherever_they_stand() {
        let masks = masks(&[
            "Bearer sk-1234567",
            "sk-1234567890",
            "short",
            "a/b\"c<d>&1",
            "q+w/e1234=",
            "sk-2",
        ]);
        for (text, expected) in [
            ("", ""),
            ("sk-12345", "sk-12345"),
            ("sk-1234567", "**********"),
            ("xsk-1234567 sk-1234567é", "x********** **********é"),
            ("?key=sk-1234567_a&x=1", "?key=************&x=1"),
            ("sk-1234567890", "*************"),
            ("Bearer short", "Bearer short"),
            (r#"a/b"c<d>&1"#, "**********"),
            (r#"{"k":"a/b\"c<d>&1"}"#, r#"{"k":"***********"}"#),
            (r#"{"k":"a\/b\"c<d>&1"}"#, r#"{"k":"************"}"#),
            (
                r#"{"k":"a/b\"c\u003cd\u003e\u00261"}"#,
                r#"{"k":"**************************"}"#,
            ),
            (
                r#"{"k":"a/b\u0022c\u003Cd\u003E\u00261"}"#,
                r#"{"k":"******************************"}"#,
            ),
            (
                r#"{"k":"q+w/e1234= q\u002Bw/e1234="}"#,
                r#"{"k":"********** ***************"}"#,
            ),
        ] {
            assert_eq!(masked(&masks, text), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_keeps_what_may_be_a_word_of_it() {
        let key = |key| OwnMasks::of(&auth::tests::provider(Some(key), false));
        for (own, text, answer, value) in [
            (
                "not-needed",
                "is not-needed",
                "is not-needed",
                "is **********",
            ),
            ("sk-1234567", "a sk-1234567", "a sk-1234567", "a **********"),
            (
                "sk-1234567890abc",
                "sk-1234567890abc",
                "****************",
                "****************",
            ),
            ("none", "none", "none", "none"),
        ] {
            let masked = |mask: fn(&OwnMasks, &mut [u8])| {
                let mut bytes = text.as_bytes().to_vec();
                mask(&key(own), &mut bytes);
                String::from_utf8(bytes).unwrap()
            };
            assert_eq!(masked(OwnMasks::mask_answer), answer, "{own}");
            assert_eq!(masked(OwnMasks::mask_value), value, "{own}");
        }
    }

    #[test]
    fn a_log_gets_no_half_of_a_key() {
        let masks = masks(&["sk-1234567"]);
        let log = |text, callers: Option<&str>| masks.for_log(text, callers.map(str::as_bytes), 12);
        assert_eq!(log("your sk-1234567 is bad", None), "your *******");
        assert_eq!(
            log("your sk-callers is bad", Some("sk-callers")),
            "your *******"
        );
        assert_eq!(log("éééééééé", None), "éééééé");
        assert_eq!(log("ab sk-12", Some("sk-12")), "ab sk-12");
    }

    proptest! {
        #[test]
        fn both_ways_find_the_same(text in r"(sk-1234567|sk-|1234567|a/b|x){0,8}") {
            let (all, own) = (masks(&["sk-1234567"]), Finder::new("sk-1234567"));
            let mut other = text.clone().into_bytes();
            mask_all(&own, &mut other);
            prop_assert_eq!(masked(&all, &text).into_bytes(), other);
        }
    }
}
