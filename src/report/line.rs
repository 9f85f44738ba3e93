//! One log line: a time, a level, a message and fields, as text or as JSON.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::base::limits::LOG_VALUE_BYTES_MAX;
use crate::base::money::NanoUsd;
use crate::base::time::WallTime;
use crate::report::escape::{Escaping, acts, bounded, escaped, json_string, must_escape};
use crate::wire::plain::{append_if_all, are_all};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-23T08:13:26.123Z INFO  message key=value`
    Text,
    /// `{"time":"…","level":"info","message":"…","key":"value"}`
    Json,
}

/// Severities, the least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// One request's steps.
    Debug,
    /// Start, stop, reload, circuit changes, requests.
    Info,
    /// Something unexpected that was handled.
    Warn,
    /// An operator must act.
    Error,
}

/// Whether lines carry the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamps {
    /// They do.
    On,
    /// They do not: the program that collects the lines adds it.
    Off,
}

/// Writes the lines of one thread; it keeps the text of the second that it last wrote.
#[derive(Clone, Debug)]
pub struct Lines {
    format: Format,
    timestamps: Timestamps,
    stamp: Stamp,
}

/// A line that is being written. Keys come from the program, values from anywhere.
#[must_use = "a line ends with `end`"]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
}

impl Lines {
    /// Writes lines in this format.
    #[must_use]
    pub fn new(format: Format, timestamps: Timestamps) -> Self {
        Self {
            format,
            timestamps,
            stamp: Stamp::default(),
        }
    }

    /// Starts a line at the end of `out`.
    pub fn begin<'a>(
        &mut self,
        out: &'a mut Vec<u8>,
        now: WallTime,
        level: Level,
        message: &str,
    ) -> Line<'a> {
        match self.format {
            Format::Text => self.begin_text(out, now, level),
            Format::Json => self.begin_json(out, now, level),
        }
        let message = bounded(message, LOG_VALUE_BYTES_MAX);
        let acts_on_readers =
            || !are_all(message.as_bytes(), (b' ', b'~'), []) && message.contains(acts);
        match self.format {
            // A message is not quoted: it is prose, and comes first.
            Format::Text if acts_on_readers() => escaped(out, message),
            Format::Text => out.extend_from_slice(message.as_bytes()),
            Format::Json => json_string(out, message),
        }
        Line {
            out,
            format: self.format,
        }
    }

    fn begin_text(&mut self, out: &mut Vec<u8>, now: WallTime, level: Level) {
        if self.timestamps == Timestamps::On {
            out.extend_from_slice(self.stamp.at(now));
            out.push(b' ');
        }
        out.extend_from_slice(match level {
            Level::Debug => b"DEBUG ",
            Level::Info => b"INFO  ",
            Level::Warn => b"WARN  ",
            Level::Error => b"ERROR ",
        });
    }

    fn begin_json(&mut self, out: &mut Vec<u8>, now: WallTime, level: Level) {
        out.push(b'{');
        if self.timestamps == Timestamps::On {
            out.extend_from_slice(b"\"time\":\"");
            out.extend_from_slice(self.stamp.at(now));
            out.extend_from_slice(b"\",");
        }
        out.extend_from_slice(match level {
            Level::Debug => b"\"level\":\"debug\",\"message\":",
            Level::Info => b"\"level\":\"info\",\"message\":",
            Level::Warn => b"\"level\":\"warn\",\"message\":",
            Level::Error => b"\"level\":\"error\",\"message\":",
        });
    }
}

impl Line<'_> {
    /// Adds a text.
    #[expect(
        clippy::inline_always,
        reason = "keys are copied word by word where their length is known"
    )]
    #[inline(always)]
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.key_of_text(key);
        if !self.add_bare(value.as_bytes()) {
            self.add_text(value);
        }
        self
    }

    /// Adds a text of visible ASCII. Nothing is checked, as it is for any text, while it needs no
    /// quotes.
    #[expect(
        clippy::inline_always,
        reason = "keys are copied word by word where their length is known"
    )]
    #[inline(always)]
    pub fn ascii(mut self, key: &str, value: &[u8]) -> Self {
        self.key_of_text(key);
        if !self.add_bare(value) {
            self.add_text(std::str::from_utf8(value).unwrap_or_default());
        }
        self
    }

    /// Adds a text where there is one.
    #[expect(
        clippy::inline_always,
        reason = "keys are copied word by word where their length is known"
    )]
    #[inline(always)]
    pub fn text_if(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// Adds a name of the program's own, which stands for itself, where there is one.
    #[expect(
        clippy::inline_always,
        reason = "keys are copied word by word where their length is known"
    )]
    #[inline(always)]
    pub fn name_if(mut self, key: &str, value: Option<&'static str>) -> Self {
        if let Some(value) = value {
            debug_assert!(is_bare(value), "{value}");
            self.key_of_text(key);
            self.out.extend_from_slice(value.as_bytes());
            match self.format {
                Format::Text => {}
                Format::Json => self.out.push(b'"'),
            }
        }
        self
    }

    /// Adds a whole number.
    #[inline]
    pub fn number(mut self, key: &str, value: impl itoa::Integer) -> Self {
        self.key(key);
        self.out
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self
    }

    /// Adds a value that implements `Display`, in quotes.
    pub fn printed(mut self, key: &str, value: impl Display) -> Self {
        self.key(key);
        self.out.push(b'"');
        // Writing to memory cannot fail.
        let _ = write!(Escaping::new(self.out, LOG_VALUE_BYTES_MAX), "{value}");
        self.out.push(b'"');
        self
    }

    /// Adds an amount, in dollars.
    #[inline]
    pub fn dollars(mut self, key: &str, amount: NanoUsd) -> Self {
        self.key(key);
        amount.write(self.out);
        self
    }

    /// Adds `true` or `false`.
    #[inline]
    pub fn boolean(mut self, key: &str, value: bool) -> Self {
        self.key(key);
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// Adds a span in milliseconds, to the microsecond.
    pub fn millis(mut self, key: &str, span: Duration) -> Self {
        self.key(key);
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.out
            .extend_from_slice(itoa::Buffer::new().format(micros / 1_000).as_bytes());
        // Four digits, of which the point takes the first one's place.
        let mut fraction = itoa::Buffer::new();
        let fraction = fraction.format(micros % 1_000 + 1_000).as_bytes();
        if let Some([_, digits @ ..]) = fraction.first_chunk::<4>() {
            let [tenths, hundredths, thousandths] = *digits;
            self.out
                .extend_from_slice(&[b'.', tenths, hundredths, thousandths]);
        }
        self
    }

    /// Adds a flag that is `true`; a flag that does not hold is left out.
    pub fn flag(self, key: &str) -> Self {
        self.boolean(key, true)
    }

    /// Ends the line.
    pub fn end(self) {
        match self.format {
            Format::Text => self.out.push(b'\n'),
            Format::Json => self.out.extend_from_slice(b"}\n"),
        }
    }

    /// Adds a text that stands for itself, as nearly all do, behind its key; returns false for any
    /// other.
    #[inline(never)]
    fn add_bare(&mut self, value: &[u8]) -> bool {
        if value.is_empty() || value.len() > LOG_VALUE_BYTES_MAX {
            return false;
        }
        match self.format {
            Format::Text => append_if_all(self.out, value, (b'!', b'~'), [b'"', b'\\', b'=']),
            Format::Json => {
                let is_bare = append_if_all(self.out, value, (b' ', b'~'), [b'"', b'\\']);
                if is_bare {
                    self.out.push(b'"');
                }
                is_bare
            }
        }
    }

    /// Adds any text behind its key.
    #[cold]
    fn add_text(&mut self, value: &str) {
        let cut = bounded(value, LOG_VALUE_BYTES_MAX);
        match self.format {
            Format::Text if is_bare(cut) => self.out.extend_from_slice(cut.as_bytes()),
            Format::Text => json_string(self.out, cut),
            Format::Json => {
                // Its quote is there already.
                self.out.pop();
                json_string(self.out, cut);
            }
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "keys are copied word by word where their length is known"
    )]
    #[inline(always)]
    fn key(&mut self, key: &str) {
        match self.format {
            Format::Text => self.start(b" ", key, b"="),
            Format::Json => self.start(b",\"", key, b"\":"),
        }
    }

    /// As [`Line::key`], with the quote before the text in JSON.
    #[expect(
        clippy::inline_always,
        reason = "keys are copied word by word where their length is known"
    )]
    #[inline(always)]
    fn key_of_text(&mut self, key: &str) {
        match self.format {
            Format::Text => self.start(b" ", key, b"="),
            Format::Json => self.start(b",\"", key, b"\":\""),
        }
    }

    /// Adds a key between two marks, in one piece where it is short.
    #[expect(
        clippy::inline_always,
        reason = "keys are copied word by word where their length is known"
    )]
    #[inline(always)]
    fn start<const B: usize, const E: usize>(
        &mut self,
        before: &[u8; B],
        key: &str,
        behind: &[u8; E],
    ) {
        // Keys come from the program, which has none that must be escaped.
        debug_assert!(!key.contains(must_escape), "{key}");
        let mut piece = [0; PIECE];
        match piece.get_mut(..B + key.len() + E) {
            Some(piece) => {
                let (start, end) = (B, B + key.len());
                piece[..start].copy_from_slice(before);
                piece[start..end].copy_from_slice(key.as_bytes());
                piece[end..].copy_from_slice(behind);
                self.out.extend_from_slice(piece);
            }
            None => {
                for part in [&before[..], key.as_bytes(), behind] {
                    self.out.extend_from_slice(part);
                }
            }
        }
    }
}

/// Bytes of a key that is added in one piece, its marks included.
const PIECE: usize = 32;

/// Whether a value can stand in a text line without quotes.
fn is_bare(value: &str) -> bool {
    !value.is_empty() && !value.contains(|c| must_escape(c) || c == '=' || c.is_whitespace())
}

/// The time as text, kept for the next line: most lines fall into the same second.
#[derive(Clone, Debug, Default)]
struct Stamp {
    /// The second that `text` shows, counted from 1; 0: none.
    second: u64,
    text: [u8; 24],
}

impl Stamp {
    /// RFC 3339 with milliseconds, in UTC.
    fn at(&mut self, now: WallTime) -> &[u8] {
        let second = now.unix_millis() / 1_000 + 1;
        if self.second != second {
            self.second = second;
            self.write_second(now);
        }
        digits(&mut self.text[20..23], now.unix_millis() % 1_000);
        &self.text
    }

    fn write_second(&mut self, now: WallTime) {
        let civil = now.civil();
        self.text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut self.text[0..4], civil.year);
        digits(&mut self.text[5..7], civil.month);
        digits(&mut self.text[8..10], civil.day);
        digits(&mut self.text[11..13], civil.hour);
        digits(&mut self.text[14..16], civil.minute);
        digits(&mut self.text[17..19], civil.second);
    }
}

/// Writes `number` into `place`, with leading zeros.
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
    }
}

const DIGITS: &[u8; 10] = b"0123456789";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: WallTime = WallTime::from_unix_millis(1_795_421_606_123);

    fn line(format: Format, fill: impl FnOnce(Line<'_>) -> Line<'_>) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(format, Timestamps::Off);
        fill(lines.begin(&mut out, NOW, Level::Warn, "circuit opened")).end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn starts_with_time_and_level() {
        for (format, timestamps, level, expected) in [
            (
                Format::Text,
                Timestamps::On,
                Level::Info,
                "2026-11-23T08:13:26.123Z INFO  started\n",
            ),
            (
                Format::Text,
                Timestamps::Off,
                Level::Error,
                "ERROR started\n",
            ),
            (
                Format::Text,
                Timestamps::Off,
                Level::Warn,
                "WARN  started\n",
            ),
            (
                Format::Json,
                Timestamps::On,
                Level::Debug,
                "{\"time\":\"2026-11-23T08:13:26.123Z\",\"level\":\"debug\",\
                 \"message\":\"started\"}\n",
            ),
            (
                Format::Json,
                Timestamps::Off,
                Level::Info,
                "{\"level\":\"info\",\"message\":\"started\"}\n",
            ),
        ] {
            let mut out = b"before\n".to_vec();
            Lines::new(format, timestamps)
                .begin(&mut out, NOW, level, "started")
                .end();
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("before\n{expected}")
            );
        }
    }

    #[test]
    fn fields_follow_in_both_formats() {
        fn fill(line: Line<'_>) -> Line<'_> {
            line.text("model", "gpt-4o")
                .text("note", "two words")
                .text_if("absent", None)
                .number("status", 200_u16)
                .millis("latency_ms", Duration::from_micros(1_234_567))
                .millis("first_byte_ms", Duration::from_nanos(7_999))
                .dollars("cost_usd", NanoUsd::new(2_500_000))
                .boolean("stream", false)
                .printed("cause", format_args!("{} {:?}", 1, "x"))
                .flag("estimated")
        }
        assert_eq!(
            line(Format::Text, fill),
            "WARN  circuit opened model=gpt-4o note=\"two words\" status=200 latency_ms=1234.567 \
             first_byte_ms=0.007 cost_usd=0.0025 stream=false cause=\"1 \\\"x\\\"\" \
             estimated=true\n"
        );
        assert_eq!(
            line(Format::Json, fill),
            "{\"level\":\"warn\",\"message\":\"circuit opened\",\"model\":\"gpt-4o\",\
             \"note\":\"two words\",\"status\":200,\"latency_ms\":1234.567,\"first_byte_ms\":0.007,\
             \"cost_usd\":0.0025,\"stream\":false,\"cause\":\"1 \\\"x\\\"\",\"estimated\":true}\n"
        );
    }

    #[test]
    fn values_that_could_be_mistaken_are_quoted() {
        for (value, expected) in [
            ("", r#""""#),
            ("a=b", r#""a=b""#),
            ("say \"hi\"", r#""say \"hi\"""#),
            ("back\\slash", r#""back\\slash""#),
            ("x\nERROR forged", r#""x\nERROR forged""#),
            ("\u{1b}[2J", r#""\u001b[2J""#),
            ("nbsp\u{a0}x", "\"nbsp\u{a0}x\""),
            ("größe", "größe"),
        ] {
            let text = line(Format::Text, |line| line.text("v", value));
            assert_eq!(text, format!("WARN  circuit opened v={expected}\n"));
        }
    }

    #[test]
    fn long_values_are_cut() {
        let text = line(Format::Text, |line| line.text("v", &"x".repeat(1 << 20)));
        assert!(text.len() < LOG_VALUE_BYTES_MAX + 64);
    }

    proptest! {
        #[test]
        fn nothing_can_forge_a_line(message in any::<String>(), value in any::<String>()) {
            let (mut text, mut json) = (Vec::new(), Vec::new());
            for (format, out) in [(Format::Text, &mut text), (Format::Json, &mut json)] {
                Lines::new(format, Timestamps::On)
                    .begin(out, NOW, Level::Info, &message)
                    .text("value", &value)
                    .end();
                let line = std::str::from_utf8(out).unwrap().strip_suffix('\n').unwrap();
                prop_assert!(!line.contains(acts));
            }
            let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(read["message"].as_str(), Some(&*message));
            prop_assert_eq!(read["value"].as_str(), Some(&*value));
        }

        #[test]
        fn the_kept_second_is_never_stale(moments in prop::collection::vec(0..5_000_u64, 1..50)) {
            let mut stamp = Stamp::default();
            for millis in moments {
                let now = WallTime::from_unix_millis(1_795_421_600_000 + millis);
                prop_assert_eq!(std::str::from_utf8(stamp.at(now)).unwrap(), now.to_string());
            }
        }
    }
}
