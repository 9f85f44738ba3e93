//! One chunk of a stream: read once, edited for the caller, and remembered as a form.

use crate::base::endpoint::Endpoint;
use crate::dialect::chat::choices::Choices;
use crate::dialect::shell::flow::{Alone, Flow};
use crate::dialect::shell::plan::UsageChunk;
use crate::dialect::tariff;
use crate::wire::forms::{GAPS_MAX, Gap, GapKind};
use crate::wire::json::{self, Bracket, Kind, Member, NotJson, Value, Walk};
use crate::wire::splice::Splice;
use crate::wire::sse;

/// The parts of a chunk that matter.
pub(super) struct Chunk<'a> {
    data: &'a [u8],
    pub(super) model: Option<Value<'a>>,
    pub(super) usage: Option<Member<'a>>,
    pub(super) error: Option<Value<'a>>,
    pub(super) x_groq: Option<Value<'a>>,
    pub(super) choices: Choices,
    /// Whether it is a ping, as Anthropic sends them.
    pub(super) is_ping: bool,
    /// Members that no relay needs and that differ between chunks.
    changing: [Option<Value<'a>>; CHANGING_MAX],
}

/// Most members of a chunk that may differ without being read.
const CHANGING_MAX: usize = GAPS_MAX - 1;

impl<'a> Chunk<'a> {
    /// What `data` is before it is read.
    pub(super) fn of(data: &'a [u8]) -> Self {
        Self {
            data,
            model: None,
            usage: None,
            error: None,
            x_groq: None,
            choices: Choices::default(),
            is_ping: false,
            changing: [None; CHANGING_MAX],
        }
    }

    pub(super) fn read(&mut self, endpoint: Endpoint) -> Result<(), NotJson> {
        let (mut changing, mut room) = (0, Vec::new());
        let mut walk = Walk::new(self.data);
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        while let Some(name) = walk.name()? {
            let known = name.read(&mut room);
            if known == b"choices" {
                self.choices.read(&mut walk, endpoint)?;
                continue;
            }
            let value = walk.value()?;
            match known {
                b"model" => self.model = Some(value),
                b"usage" => self.usage = Some(Member { name, value }),
                b"error" => self.error = Some(value),
                // The form of errors in older vLLM and Mistral.
                b"object" if value.says("error") => self.error = Some(value),
                b"type" if value.says("ping") => self.is_ping = true,
                b"x_groq" => self.x_groq = Some(value),
                // Members that OpenAI repeats in every chunk of a stream.
                b"id" | b"object" | b"created" | b"service_tier" | b"system_fingerprint" => {}
                _ => {
                    if let Some(place) = self.changing.get_mut(changing) {
                        *place = Some(value);
                        changing += 1;
                    }
                }
            }
        }
        self.is_ping &= self.choices.count == 0;
        walk.end()
    }
}

/// Puts the caller's name for the model into a chunk, and removes a `usage:null` that infermux has
/// caused.
pub(super) fn edit<'a>(
    chunk: &Chunk<'a>,
    caller_model: &'a [u8],
    usage: UsageChunk,
    splice: &mut Splice<'a>,
) {
    if let Some(model) = chunk.model.filter(|model| model.text != caller_model) {
        splice.replace(model.span(), caller_model);
    }
    if let Some(member) = &chunk.usage
        && usage == UsageChunk::Injected
        && member.value.kind == Kind::Null
    {
        splice.replace(json::removal(chunk.data, member), b"");
    }
}

/// Puts the stream's cost into the chunk's usage, where there is a cost to state.
pub(super) fn tell<'a>(chunk: &Chunk<'a>, cost: Option<&'a [u8]>, splice: &mut Splice<'a>) {
    if let (Some(cost), Some(usage)) = (cost, &chunk.usage) {
        tariff::insert(&usage.value, cost, splice);
    }
}

/// Appends the event that holds a chunk.
pub(super) fn write(splice: &Splice<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(DATA);
    let start = out.len();
    splice.write(out);
    sse::end_event(start, out);
}

/// The beginning of a line that holds a chunk.
const DATA: &[u8] = b"data: ";

/// Learns the form of a chunk that came as `event` and was written as `written`, if the accounts
/// need only its text.
pub(super) fn learn(
    flow: &mut Flow,
    chunk: &Chunk<'_>,
    splice: &Splice<'_>,
    event: Alone<'_>,
    written: &[u8],
) {
    let choices = &chunk.choices;
    let is_plain = choices.finished.is_empty()
        && chunk.x_groq.is_none()
        && chunk
            .usage
            .is_none_or(|usage| usage.value.kind == Kind::Null);
    let Some(text) = choices.text.filter(|_| is_plain) else {
        return;
    };
    let gap = |at: usize, len: usize, kind: GapKind| Gap {
        read_at: event.data_at + at,
        written_at: Some(DATA.len() + splice.place_of(at)),
        len,
        kind,
    };
    let mut gaps = [Gap::NONE; GAPS_MAX];
    let mut count = 0;
    let text = gap(text.at, text.len, GapKind::Text);
    let changing = chunk
        .changing
        .iter()
        .flatten()
        .filter_map(|value| match value.kind {
            Kind::String if !value.is_blank() => {
                Some(gap(value.at + 1, value.text.len() - 2, GapKind::Silent))
            }
            Kind::Number if value.text.iter().all(u8::is_ascii_digit) => {
                Some(gap(value.at, value.text.len(), GapKind::Digits))
            }
            _ => None,
        });
    for (place, gap) in gaps.iter_mut().zip(std::iter::once(text).chain(changing)) {
        *place = gap;
        count += 1;
    }
    let gaps = &mut gaps[..count];
    gaps.sort_unstable_by_key(|gap| gap.read_at);
    let told = json::text_len(&event.text[text.read_at..][..text.len]);
    flow.learn(event.text, written, gaps, choices.text_bytes - told);
}
