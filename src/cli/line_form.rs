//! How `serve` prints lines for the person or script that started it: as prose, or as JSON objects
//! where its log consists of these.

use std::path::Path;

use crate::base::limits::CONFIG_BYTES_MAX;
use crate::cli::flags::{ServeFlags, word};
use crate::config::check::LOG_FORMATS;
use crate::config::plan::{self, LogFormat};
use crate::config::raw::{Node, yaml};
use crate::report::line::Timestamps;
use crate::sys::files;

/// The form of printed lines: `None` is prose, else objects with or without a time.
pub type LineForm = Option<Timestamps>;

/// The form that goes with a log.
#[must_use]
pub fn of(log: plan::Log) -> LineForm {
    line_form(log.format, log.timestamps)
}

/// The form that is probably wanted where the configuration cannot be used: that of the flag, of
/// the variables that `setting` gives, or of the file at `path`.
#[must_use]
pub fn without_plan(
    flags: &ServeFlags,
    setting: &dyn Fn(&str) -> Option<String>,
    path: &Path,
) -> LineForm {
    let format = |text: String| word(&LOG_FORMATS, &text).ok();
    let variable = || setting("INFERMUX_LOG_FORMAT").and_then(format);
    let of_file = || said(path, "format").and_then(format);
    let chosen = flags.log_format.or_else(variable).or_else(of_file);
    let timestamps = setting("INFERMUX_LOG_TIMESTAMPS").or_else(|| said(path, "timestamps"));
    let is_dated = timestamps.is_none_or(|text| text != "false");
    line_form(chosen.unwrap_or(LogFormat::Text), is_dated)
}

fn line_form(format: LogFormat, is_dated: bool) -> LineForm {
    match (format, is_dated) {
        (LogFormat::Text, _) => None,
        (LogFormat::Json, true) => Some(Timestamps::On),
        (LogFormat::Json, false) => Some(Timestamps::Off),
    }
}

/// The value of `log.<name>` in the file at `path`, whatever faults the file has.
fn said(path: &Path, name: &str) -> Option<String> {
    let text = files::read_text(path, CONFIG_BYTES_MAX).ok()?;
    let entries = yaml::parse(&text).ok()?;
    let under = |entries: &[(String, Node)], name: &str| {
        let found = entries.iter().find(|(key, _)| key == name);
        found.map(|(_, node)| node.clone())
    };
    let Some(Node::Map(log)) = under(&entries, "log") else {
        return None;
    };
    match under(&log, name) {
        Some(Node::Scalar(scalar)) => Some(scalar.text),
        Some(Node::Null | Node::List(_) | Node::Map(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_before_the_variable_and_that_before_the_file() {
        let file = std::env::temp_dir().join(format!("infermux-line-form-{}", std::process::id()));
        let (dated, bare) = (Timestamps::On, Timestamps::Off);
        for (text, flag, variable, expected) in [
            ("log: {format: json}\nproviders: 3", None, None, Some(dated)),
            (
                "log: {format: json, timestamps: false}",
                None,
                None,
                Some(bare),
            ),
            ("log: {format: json}", None, Some("text"), None),
            (
                "log: {format: json}",
                Some(LogFormat::Text),
                Some("json"),
                None,
            ),
            (
                "log: {format: text}",
                Some(LogFormat::Json),
                None,
                Some(dated),
            ),
            ("log: {format: text}", None, Some("json"), Some(dated)),
            ("log: {format: text}", None, Some("loud"), None),
            ("log: [json]", None, None, None),
            ("log: {format: [json]}", None, None, None),
            ("log: {format: json", None, None, None),
            ("a: b", None, None, None),
        ] {
            std::fs::write(&file, text).unwrap();
            let flags = ServeFlags {
                log_format: flag,
                ..ServeFlags::default()
            };
            let set = |name: &str| {
                let is_format = name == "INFERMUX_LOG_FORMAT";
                variable.filter(|_| is_format).map(str::to_owned)
            };
            assert_eq!(without_plan(&flags, &set, &file), expected, "{text}");
        }
        std::fs::remove_file(&file).unwrap();
        let flags = ServeFlags::default();
        assert_eq!(without_plan(&flags, &|_| None, &file), None);
    }
}
