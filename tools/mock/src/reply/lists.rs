//! Lists: embeddings and models.

use std::fmt::Write as _;

use super::{CREATED, Voice, quoted};
use crate::answer::UsagePolicy;
use crate::ask::{Flavour, Route};
use crate::endpoint::Endpoint;

impl Voice<'_> {
    pub(super) fn embeddings_body(&self) -> String {
        let dimensions = self.ask.dimensions.unwrap_or(8);
        let mut data = String::new();
        for index in 0..self.ask.inputs {
            let vector = vector(self.ask.characters + index, dimensions);
            let embedding = if self.ask.base64 {
                let bytes: Vec<u8> = vector
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                format!("\"{}\"", base64(&bytes))
            } else {
                let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
                format!("[{}]", numbers.join(","))
            };
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(
                data,
                "{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":{embedding}}}"
            );
        }
        let tokens = self.prompt_tokens();
        let usage = match self.answer.usage {
            UsagePolicy::Never => String::new(),
            UsagePolicy::Always | UsagePolicy::Asked | UsagePolicy::OnFinishChunk => {
                format!(",\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}")
            }
        };
        format!(
            "{{\"object\":\"list\",\"data\":[{data}],\"model\":{}{usage}}}",
            self.model()
        )
    }
}

/// The list of models, or one of them.
pub(crate) fn models_body(route: &Route, models: &[String]) -> Option<String> {
    let entry = |id: &str| match route.flavour {
        Flavour::Anthropic => format!(
            "{{\"type\":\"model\",\"id\":{0},\"display_name\":{0},\
             \"created_at\":\"2024-10-27T00:00:00Z\"}}",
            quoted(id)
        ),
        Flavour::OpenAi | Flavour::Azure | Flavour::Ollama => format!(
            "{{\"id\":{},\"object\":\"model\",\"created\":{CREATED},\"owned_by\":\"mock\"}}",
            quoted(id)
        ),
    };
    let Endpoint::Model(id) = &route.endpoint else {
        let ids: Vec<&str> = models.iter().map(String::as_str).collect();
        let ids = if ids.is_empty() {
            &["mock-model"][..]
        } else {
            &ids[..]
        };
        let entries: Vec<String> = ids.iter().map(|id| entry(id)).collect();
        let entries = entries.join(",");
        return Some(match route.flavour {
            Flavour::Anthropic => format!(
                "{{\"data\":[{entries}],\"has_more\":false,\"first_id\":{},\"last_id\":{}}}",
                quoted(ids.first().copied().unwrap_or_default()),
                quoted(ids.last().copied().unwrap_or_default())
            ),
            Flavour::OpenAi | Flavour::Azure | Flavour::Ollama => {
                format!("{{\"object\":\"list\",\"data\":[{entries}]}}")
            }
        });
    };
    (models.is_empty() || models.contains(id)).then(|| entry(id))
}

/// A vector that only depends on its arguments, of numbers that binary32 holds exactly.
fn vector(seed: usize, dimensions: usize) -> Vec<f32> {
    let step = |index: usize| {
        let mixed = (seed.wrapping_mul(31).wrapping_add(index)).wrapping_mul(2_654_435_761) >> 7;
        f32::from(u8::try_from(mixed & 0xff).unwrap_or(0)) / 256.0 - 0.5
    };
    (0..dimensions).map(step).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let sextet = (word >> (18 - 6 * index)) & 63;
            let letter = ALPHABET.get(sextet as usize).copied().unwrap_or(b'=');
            text.push(if index <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }
}
