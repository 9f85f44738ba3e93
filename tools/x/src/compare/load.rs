//! One run of the load tool against one system.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::figures::{Figure, Figures};
use super::process::Tree;
use super::system::{Folders, LOAD_CORE};
use super::workloads::Workload;

/// The caller that has a budget.
const CALLER: &str = "X-Infermux-Caller: load";
/// Headers and flags that a Messages provider requires.
const MESSAGES: [&str; 6] = [
    "-H",
    "x-api-key: sk-compare",
    "-H",
    "anthropic-version: 2023-06-01",
    "--model",
    "claude-sonnet-4-5",
];

/// The results of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// Its figures.
    pub(crate) figures: Figures,
    /// Answers that were not good.
    pub(crate) errors: f64,
    /// Latency in microseconds by share.
    pub(crate) curve: Vec<(f64, f64)>,
    /// Answers in each tenth of a second.
    pub(crate) timeline: Vec<f64>,
}

/// How long the load goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// So many seconds.
    Seconds(f64),
    /// So many requests.
    Requests(u32),
}

/// The load tool with the flags of `workload`.
fn command(folders: &Folders, workload: &Workload, url: &str, extent: Extent) -> Command {
    let mut command = Command::new(folders.bin.join("infermux-load"));
    command.args(["--json", "--pin", LOAD_CORE, "--url", url, "-H", CALLER]);
    for flag in workload.load {
        command.arg(flag.replace("@folder@", &folders.folder.display().to_string()));
    }
    if url.ends_with("/messages") {
        command.args(MESSAGES);
    }
    match extent {
        Extent::Seconds(seconds) => command.args(["-d", &format!("{seconds}s")]),
        Extent::Requests(count) => command.args(["-n", &count.to_string()]),
    };
    command.stdin(Stdio::null());
    command
}

/// Loads `url`; with the tree of its system, its processor time is measured.
///
/// # Errors
///
/// When the tool does not run or nothing is answered.
pub(crate) fn run(
    folders: &Folders,
    workload: &Workload,
    url: &str,
    measured: (Extent, Option<&Tree>),
) -> Result<Run, String> {
    let (extent, tree) = measured;
    let before = tree.map(Tree::cpu_micros).transpose()?;
    let output = command(folders, workload, url, extent)
        .output()
        .map_err(|e| format!("cannot run infermux-load: {e}"))?;
    let after = tree.map(Tree::cpu_micros).transpose()?;
    let result: Value = serde_json::from_slice(&output.stdout).map_err(|e| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("infermux-load: {e}\n{said}")
    })?;
    let mut run = read(&result, workload)?;
    if let (Some(before), Some(after)) = (before, after) {
        let done = units(&result, workload);
        run.figures.insert(Figure::Cpu, (after - before) / done);
    }
    Ok(run)
}

/// Starts the load and leaves it running.
///
/// # Errors
///
/// When it does not start.
pub(crate) fn start(
    folders: &Folders,
    workload: &Workload,
    url: &str,
    extent: Extent,
) -> Result<Child, String> {
    command(folders, workload, url, extent)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot run infermux-load: {e}"))
}

/// Requests, or content events, that were answered.
fn units(result: &Value, workload: &Workload) -> f64 {
    let answers = result["answers"].as_f64().unwrap_or_default();
    answers * f64::from(workload.events.unwrap_or(1))
}

fn read(result: &Value, workload: &Workload) -> Result<Run, String> {
    if units(result, workload) == 0.0 {
        let errors = &result["errors_by_kind"];
        return Err(format!("nothing was answered; errors: {errors}"));
    }
    let mut figures = Figures::new();
    for (figure, times, percentile) in [
        (Figure::P50, "latency_us", "p50"),
        (Figure::P99, "latency_us", "p99"),
        (Figure::Delay50, "delay_us", "p50"),
        (Figure::Delay99, "delay_us", "p99"),
    ] {
        if let Some(value) = result[times][percentile].as_f64() {
            figures.insert(figure, value);
        }
    }
    let rate = result["answers_per_second"].as_f64().unwrap_or_default();
    let events = f64::from(workload.events.unwrap_or(1));
    figures.insert(Figure::Rate, rate * events);
    let numbers = |value: &Value| -> Vec<f64> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(Value::as_f64).collect()
    };
    let curve = result["latency_us"]["curve"].as_array();
    let curve = curve.into_iter().flatten().map(numbers);
    Ok(Run {
        figures,
        errors: result["errors"].as_f64().unwrap_or_default(),
        curve: curve.filter_map(pair).collect(),
        timeline: numbers(&result["answers_by_100ms"]),
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is mapped over owned values"
)]
fn pair(numbers: Vec<f64>) -> Option<(f64, f64)> {
    match numbers.as_slice() {
        [share, micros] => Some((*share, *micros)),
        _ => None,
    }
}

/// Writes the chat request of 106 KB: prose with an escape every 50 bytes and some characters that
/// are not ASCII.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn write_prompt(folder: &Path) -> Result<(), String> {
    const SIZE: usize = 106_000;
    const PIECE: &str = "In the minutes of the meeting in Zürich we wrote: \\\"nobody is to be \
        blamed for the delay\\\". The delivery had left Gdańsk a day late, the truck broke down \
        near Jelenia Góra, and the spare part came from 大阪 only on the following Tuesday.\\n\\n\
        Please summarise what happened in three sentences, in plain words, without names and \
        without the reasons that each side gave for what it did \\ud83d\\ude42. Keep to this \
        form:\\n- what was promised, and when\\n- what was done instead\\n- what follows \
        from it\\n\\n\
        The log below is what the program in C:\\\\work\\\\reports wrote at that time; times are \
        local, amounts in €, and lines that repeat the one before have been taken out.\\n";
    let head = r#"{"model":"gpt-4o","max_tokens":64,"messages":[{"role":"user","content":""#;
    let tail = "\"}]}";
    let room = SIZE - head.len() - tail.len();
    let mut text = format!("{head}{}", PIECE.repeat(room / PIECE.len()));
    text.push_str(&"x".repeat(SIZE - text.len() - tail.len()));
    text.push_str(tail);
    let path = folder.join("prompt.json");
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::workloads;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tools_result_becomes_figures() {
        let workload = workloads::chosen(&["stream-flat".to_owned()]).expect("there is one")[0];
        let result = json!({
            "answers": 10, "errors": 1, "answers_per_second": 2.5, "answers_by_100ms": [4, 6],
            "latency_us": {"p50": 100.0, "p99": 900.0, "curve": [[0.0, 90.0], [0.5, 100.0]]},
        });
        let run = read(&result, &workload).expect("answers");
        assert_eq!(run.figures[&Figure::Rate], 500.0);
        assert_eq!(run.figures[&Figure::P99], 900.0);
        assert_eq!(units(&result, &workload), 2_000.0);
        assert_eq!(run.curve, [(0.0, 90.0), (0.5, 100.0)]);
        assert!(read(&json!({"answers": 0}), &workload).is_err());
    }

    #[test]
    fn the_prompt_is_json_of_its_size() {
        let folder = std::env::temp_dir().join(format!("infermux-x-prompt-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        write_prompt(&folder).expect("a file");
        let text = std::fs::read(folder.join("prompt.json")).expect("a file");
        let value: Result<Value, _> = serde_json::from_slice(&text);
        assert_eq!((text.len(), value.is_ok()), (106_000, true));
        std::fs::remove_dir_all(&folder).expect("a folder");
    }
}
