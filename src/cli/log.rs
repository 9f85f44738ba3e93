//! The log: events of any thread become lines, and one thread writes them to the standard error.

use std::fmt::Debug;
use std::io::{self, ErrorKind, Write};
use std::panic::PanicHookInfo;
use std::thread;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use crate::base::limits::LOG_BATCH_BYTES;
use crate::cli::not_started::{NotStarted, failed};
use crate::cli::threads;
use crate::config::plan::{self, LogFormat, LogLevel};
use crate::link::events::EventSender;
use crate::link::log::{self, LogCommand, LogReceiver, LogSender};
use crate::report::line::{Format, Level, Line, Lines, Timestamps};
use crate::sys::clock;

/// The running log. When it is dropped, all logged lines are written, unless nothing reads them.
pub struct Log {
    sender: LogSender,
    lines: Lines,
    level: LogLevel,
}

impl Log {
    /// Starts the log of this process; panics go to it too.
    ///
    /// # Errors
    ///
    /// No thread can be started, or there is a log already.
    pub fn start(how: plan::Log, events: &EventSender) -> Result<Self, NotStarted> {
        let (sender, receiver) = log::channel();
        let lines = look(how);
        let own = lines.clone();
        threads::start_log(events, move || write(&receiver, own, io::stderr()))?;
        let events = Events {
            sender: sender.clone(),
            lines: lines.clone(),
            filter: filter(how.level),
        };
        let begun = tracing::subscriber::set_global_default(events);
        begun.map_err(|fault| failed("cannot start the log")(io::Error::other(fault)))?;
        std::panic::set_hook(Box::new(on_panic));
        Ok(Self {
            sender,
            lines,
            level: how.level,
        })
    }

    /// A sender for threads that write lines of their own.
    #[must_use]
    pub fn sender(&self) -> LogSender {
        self.sender.clone()
    }

    /// Writes access lines; `None` where their level is not logged.
    #[must_use]
    pub fn access_lines(&self) -> Option<Lines> {
        (self.level <= LogLevel::Info).then(|| self.lines.clone())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // A reader that is slower than this does not keep the process from ending.
        let _ = self.sender.flush(FLUSH_MAX);
    }
}

fn look(how: plan::Log) -> Lines {
    let format = match how.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let timestamps = if how.timestamps {
        Timestamps::On
    } else {
        Timestamps::Off
    };
    Lines::new(format, timestamps)
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

fn level(of: tracing::Level) -> Level {
    match of {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
    }
}

/// Turns events into lines. There are no spans: each event has all of its fields.
struct Events {
    sender: LogSender,
    lines: Lines,
    filter: LevelFilter,
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.filter
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter)
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let mut out = Vec::with_capacity(128);
        let mut lines = self.lines.clone();
        let level = level(*event.metadata().level());
        let line = lines.begin(&mut out, clock::wall(), level, &message.0);
        let mut fields = Fields(Some(line));
        event.record(&mut fields);
        if let Some(line) = fields.0 {
            line.end();
        }
        self.sender.send(out);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Takes the message: a line starts with it, wherever it stands among the fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == MESSAGE {
            self.0 = format!("{value:?}");
        }
    }
}

/// Takes the other fields.
struct Fields<'a>(Option<Line<'a>>);

impl<'a> Fields<'a> {
    fn add(&mut self, field: &Field, write: impl FnOnce(Line<'a>, &str) -> Line<'a>) {
        if field.name() != MESSAGE {
            self.0 = self.0.take().map(|line| write(line, field.name()));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, |line, key| line.text(key, &format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, |line, key| line.text(key, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, |line, key| line.number(key, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, |line, key| line.number(key, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, |line, key| line.boolean(key, value));
    }
}

/// The field that `tracing` keeps an event's message in.
const MESSAGE: &str = "message";

/// Logs a panic as one line, where std would print several.
fn on_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let location = info.location().map(ToString::to_string);
    tracing::error!(
        thread = thread::current().name().unwrap_or_default(),
        location = location.as_deref().unwrap_or_default(),
        "panicked: {}",
        text.unwrap_or("without a message"),
    );
}

/// Writes all waiting lines with one call, again and again, until every sender is gone.
fn write(receiver: &LogReceiver, mut lines: Lines, mut out: impl Write) {
    let mut batch = Vec::new();
    let mut flushes = Vec::new();
    while let Some(first) = receiver.next() {
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                LogCommand::Lines(lines) if batch.is_empty() => batch = lines,
                LogCommand::Lines(lines) => batch.extend_from_slice(&lines),
                LogCommand::Flush(flush) => flushes.push(flush),
            }
            let has_room = batch.len() < LOG_BATCH_BYTES;
            next = has_room
                .then(|| receiver.next_within(Duration::ZERO))
                .flatten();
        }
        let dropped = receiver.take_dropped();
        if dropped > 0 {
            lines
                .begin(
                    &mut batch,
                    clock::wall(),
                    Level::Warn,
                    "log lines were dropped",
                )
                .number("count", dropped)
                .end();
        }
        write_all(&mut out, &batch);
        batch.clear();
        flushes.drain(..).for_each(log::Flush::done);
    }
}

/// Writes `bytes`, as far as the reader takes them: a log without a reader must not end the
/// process.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(fault) => match fault.kind() {
                ErrorKind::Interrupted => {}
                // Another process that shares the pipe or terminal has made it non-blocking.
                ErrorKind::WouldBlock => thread::park_timeout(Duration::from_millis(5)),
                _ => return,
            },
        }
    }
}

/// Longest wait for the last lines to be written.
const FLUSH_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn how(level: LogLevel, format: LogFormat) -> plan::Log {
        plan::Log {
            level,
            format,
            timestamps: false,
        }
    }

    /// The lines for the events of `body`.
    fn logged(how: plan::Log, body: impl FnOnce()) -> String {
        let (sender, receiver) = log::channel();
        let events = Events {
            sender,
            lines: look(how),
            filter: filter(how.level),
        };
        tracing::subscriber::with_default(events, body);
        let mut out = Vec::new();
        write(&receiver, look(how), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn some_events() {
        tracing::debug!("not told");
        let fault = io::Error::other("two\nlines");
        tracing::warn!(provider = "a b", %fault, count = 3, good = true, small = -1, "it {}", "is");
        tracing::error!(ids = ?[1, 2], "bad");
    }

    #[test]
    fn an_event_is_a_line_with_its_fields() {
        assert_eq!(
            logged(how(LogLevel::Info, LogFormat::Text), some_events),
            "WARN  it is provider=\"a b\" fault=\"two\\nlines\" count=3 good=true small=-1\n\
             ERROR bad ids=\"[1, 2]\"\n"
        );
        assert_eq!(
            logged(how(LogLevel::Error, LogFormat::Json), some_events),
            "{\"level\":\"error\",\"message\":\"bad\",\"ids\":\"[1, 2]\"}\n"
        );
    }

    #[test]
    fn lines_that_were_dropped_are_counted_in_the_log() {
        let (sender, receiver) = log::channel();
        for _ in 0..1_030 {
            sender.send(b"x\n".to_vec());
        }
        drop(sender);
        let mut out = Vec::new();
        let text = how(LogLevel::Info, LogFormat::Text);
        write(&receiver, look(text), &mut out);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.matches("x\n").count(), 1_024);
        assert!(out.ends_with("WARN  log lines were dropped count=6\n"));
    }

    /// Takes one byte at a time, and not at every call.
    struct Slow(Vec<u8>, u32);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            match self.1 % 3 {
                0 => Err(ErrorKind::WouldBlock.into()),
                1 => Err(ErrorKind::Interrupted.into()),
                _ => self.0.write(&bytes[..1]),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_gets_everything_and_a_gone_one_is_no_error() {
        let mut slow = Slow(Vec::new(), 0);
        write_all(&mut slow, b"line\n");
        assert_eq!(slow.0, b"line\n");
        let (mut writer, reader) = std::os::unix::net::UnixStream::pair().map_or_else(
            |fault| panic!("{fault}"),
            |(writer, reader)| (writer, reader),
        );
        drop(reader);
        write_all(&mut writer, b"line\n");
    }

    #[test]
    fn access_lines_are_written_at_their_level_only() {
        for (level, written) in [
            (LogLevel::Debug, true),
            (LogLevel::Info, true),
            (LogLevel::Warn, false),
            (LogLevel::Error, false),
        ] {
            let (sender, _receiver) = log::channel();
            let log = Log {
                sender,
                lines: look(how(level, LogFormat::Text)),
                level,
            };
            assert_eq!(log.access_lines().is_some(), written);
            std::mem::forget(log);
        }
    }
}
