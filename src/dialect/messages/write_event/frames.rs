//! The events of a Messages stream, as they are sent.

use crate::base::tokens::Tokens;
use crate::dialect::compose::{self, Composer};
use crate::dialect::shell::books::Books;
use crate::dialect::tariff;
use crate::wire::usage::Usage;

/// Appends the event `name`, whose data is put together of `parts`, JSON without a line break.
pub(in crate::dialect::messages) fn write(name: &str, parts: &[&[u8]], out: &mut Vec<u8>) {
    let head = [b"event: ", name.as_bytes(), b"\ndata: "];
    for part in head.iter().chain(parts) {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\n\n");
}

/// Appends the start of the block with this number.
pub(in crate::dialect::messages) fn write_start(index: u32, block: &[u8], out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let index = digits.format(index).as_bytes();
    let parts = [
        br#"{"type":"content_block_start","index":"#,
        index,
        br#","content_block":"#,
        block,
        b"}",
    ];
    write("content_block_start", &parts, out);
}

/// Appends a delta of the block with this number; `text` is the inside of a JSON string. Returns
/// where in `out` it stands.
pub(in crate::dialect::messages) fn write_delta(
    index: u32,
    kind: Delta,
    text: &[u8],
    out: &mut Vec<u8>,
) -> usize {
    let mut digits = itoa::Buffer::new();
    let index = digits.format(index).as_bytes();
    let parts = [
        br#"{"type":"content_block_delta","index":"#,
        index,
        br#","delta":{"type":""#,
        kind.begin(),
        text,
        END,
    ];
    write("content_block_delta", &parts, out);
    out.len() - b"\n\n".len() - END.len() - text.len()
}

/// The end of a delta, behind its text.
const END: &[u8] = br#""}}"#;

/// Appends the end of the block with this number.
pub(in crate::dialect::messages) fn write_stop(index: u32, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let index = digits.format(index).as_bytes();
    let parts = [br#"{"type":"content_block_stop","index":"#, index, b"}"];
    write("content_block_stop", &parts, out);
}

/// What a delta adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::messages) enum Delta {
    Text,
    Thinking,
    Signature,
    Arguments,
}

impl Delta {
    /// Its type and the name of its text, up to that.
    const fn begin(self) -> &'static [u8] {
        match self {
            Self::Text => br#"text_delta","text":""#,
            Self::Thinking => br#"thinking_delta","thinking":""#,
            Self::Signature => br#"signature_delta","signature":""#,
            Self::Arguments => br#"input_json_delta","partial_json":""#,
        }
    }
}

/// Appends the usage of an answer (rule MA5): where the provider has told none, an estimate.
pub(in crate::dialect::messages) fn write_usage(books: &Books, prompt: Tokens, out: &mut Vec<u8>) {
    let usage = books.usage().unwrap_or_else(|| Usage {
        prompt,
        completion: Tokens::estimated(books.text_bytes),
        ..Usage::default()
    });
    let mut told = begin_usage(&usage, out);
    if let Some(thinking) = books.thinking {
        let mut details = Composer::object(told.member("output_tokens_details"));
        details.number("thinking_tokens", thinking.get());
        details.end();
    }
    if let Some(cost) = books.cost() {
        cost.write(told.member(tariff::NAME));
    }
    told.end();
}

/// Appends the usage with which an answer begins: what is known of its prompt.
pub(super) fn write_first_usage(books: &Books, prompt: Tokens, out: &mut Vec<u8>) {
    let usage = books.told.unwrap_or(Usage {
        prompt,
        ..Usage::default()
    });
    let first = Usage {
        completion: Tokens::ZERO,
        ..usage
    };
    begin_usage(&first, out).end();
}

/// The four counts, which do not overlap.
fn begin_usage<'o>(usage: &Usage, out: &'o mut Vec<u8>) -> Composer<'o> {
    let counts = usage.counts();
    let written = counts.cache_write.saturating_add(counts.cache_write_1h);
    let counts: [(&[u8], Tokens); 4] = [
        (br#"{"input_tokens":"#, counts.input),
        (br#","cache_creation_input_tokens":"#, written),
        (br#","cache_read_input_tokens":"#, counts.cache_read),
        (br#","output_tokens":"#, counts.output),
    ];
    compose::counts(&counts, out);
    Composer::within(out)
}
