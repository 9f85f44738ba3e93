//! State files on a real disk.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A folder that is removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("infermux-state-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("budgets.json")
    }

    fn put(&self, end: &str, text: &str) {
        fs::write(with_end(&self.file(), end), text).unwrap();
    }

    fn text(&self, end: &str) -> Option<String> {
        fs::read_to_string(with_end(&self.file(), end)).ok()
    }

    fn open(&self) -> Opened {
        StateFile::open(&self.file()).unwrap()
    }

    fn fault(&self) -> String {
        let fault = StateFile::open(&self.file()).map(|_| ()).unwrap_err();
        fault.to_string().replace(&self.0.display().to_string(), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A state that differs from others by this number.
fn text(number: u64) -> String {
    let months = format!(r#"{{"2026-11":{{"all":[{number},1,1,1]}}}}"#);
    format!(r#"{{"version":1,"callers":{{}},"months":{months}}}"#)
}

fn state(number: u64) -> State {
    State::parse(&text(number)).unwrap()
}

#[test]
fn what_is_written_is_read_and_the_generation_before_is_kept() {
    let folder = Folder::new();
    let opened = folder.open();
    assert_eq!((opened.state, opened.warning), (State::default(), None));
    for number in 1..=3 {
        opened.file.write(&text(number)).unwrap();
    }
    drop(opened.file);
    assert_eq!(folder.text(".prev"), Some(text(2)));
    let opened = folder.open();
    assert_eq!((opened.state, opened.warning), (state(3), None));
    let mut names: Vec<_> = fs::read_dir(&folder.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["budgets.json", "budgets.json.lock", "budgets.json.prev"]
    );
}

#[test]
fn a_kill_between_any_two_steps_leaves_the_old_state_or_the_new_one() {
    type Step = fn(&StateFile) -> io::Result<()>;
    let steps: [(Step, u64); 6] = [
        // Killed in the middle of the first step.
        (|file| fs::write(file.beside(), &text(3)[..20]), 2),
        (|file| file.write_beside(&text(3)), 2),
        // Killed in the middle of the second.
        (
            |file| fs::hard_link(&file.path, with_end(&file.path, ".prev.tmp")),
            2,
        ),
        (StateFile::keep_previous, 2),
        (StateFile::put_in_place, 3),
        (StateFile::sync_folder, 3),
    ];
    for killed_after in 0..steps.len() {
        let folder = Folder::new();
        let file = folder.open().file;
        file.write(&text(1)).unwrap();
        file.write(&text(2)).unwrap();
        for (step, _) in &steps[..=killed_after] {
            step(&file).unwrap();
        }
        drop(file);
        let opened = folder.open();
        assert_eq!(
            opened.state,
            state(steps[killed_after].1),
            "killed after {killed_after}"
        );
        assert!(State::parse(&folder.text(".prev").unwrap()).is_ok());
        // Files that were left behind do not disturb the next process.
        opened.file.write(&text(4)).unwrap();
        opened.file.write(&text(5)).unwrap();
        drop(opened.file);
        assert_eq!(
            (folder.open().state, folder.text(".prev")),
            (state(5), Some(text(4)))
        );
    }
}

#[test]
fn a_full_disk_leaves_the_old_state() {
    let folder = Folder::new();
    let file = folder.open().file;
    file.write(&text(1)).unwrap();
    symlink("/dev/full", file.beside()).unwrap();
    let fault = file.write(&text(2)).map_err(|error| error.kind());
    assert_eq!(fault, Err(ErrorKind::StorageFull));
    assert_eq!(folder.text(""), Some(text(1)));
    // Once there is room, writing works again.
    file.write(&text(3)).unwrap();
    assert_eq!(
        (folder.text(""), folder.text(".prev")),
        (Some(text(3)), Some(text(1)))
    );
}

#[test]
fn a_folder_that_is_gone_is_an_error_and_not_the_end() {
    let folder = Folder::new();
    let file = folder.open().file;
    fs::remove_dir_all(&folder.0).unwrap();
    assert!(file.write(&text(1)).is_err());
    fs::create_dir(&folder.0).unwrap();
    file.write(&text(2)).unwrap();
    assert_eq!(folder.text(""), Some(text(2)));
}

#[test]
fn a_damaged_file_stops_the_start_and_is_left_alone() {
    let folder = Folder::new();
    for (content, fault) in [
        ("", "it is cut off at line 1, column 0"),
        (&text(1)[..20], "it is cut off at line 1, column 20"),
        ("garbage", "expected value at line 1 column 1"),
    ] {
        folder.put("", content);
        let expected = format!(
            "/budgets.json: {fault}; it is left as it is: repair it, or move it away to start \
             without what was spent"
        );
        assert_eq!(folder.fault(), expected);
        assert_eq!(folder.text("").as_deref(), Some(content));
    }
    folder.put(".prev", &text(7));
    let says = folder.fault();
    assert!(says.ends_with("/budgets.json.prev is complete, put it in its place, or move it away"));
    folder.put("", r#"{"version":9}"#);
    assert_eq!(
        folder.fault(),
        "/budgets.json: it has version 9, and this infermux reads version 1; it is left as it is: \
         start the infermux that has written it, or move it away"
    );
}

#[test]
fn what_cannot_be_read_stops_the_start() {
    let folder = Folder::new();
    fs::create_dir(folder.file()).unwrap();
    assert!(
        folder.fault().starts_with("/budgets.json: "),
        "{}",
        folder.fault()
    );
    let folder = Folder::new();
    fs::write(folder.file(), [0xff, 0xfe]).unwrap();
    assert!(
        folder.fault().contains("it is left as it is"),
        "{}",
        folder.fault()
    );
    let folder = Folder::new();
    folder.put("", "a file");
    let inside = folder.file().join("budgets.json");
    let fault = StateFile::open(&inside)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        fault.ends_with("the state file's folder must be writable"),
        "{fault}"
    );
}

#[test]
fn a_second_process_is_refused_whatever_name_it_uses() {
    let folder = Folder::new();
    let file = folder.open().file;
    file.write(&text(1)).unwrap();
    let in_use = ": another infermux uses this state file; stop it, or give each its own";
    assert_eq!(folder.fault(), format!("/budgets.json{in_use}"));
    let other = folder.0.join("other.json");
    symlink(folder.file(), &other).unwrap();
    assert!(matches!(StateFile::open(&other), Err(Fault::InUse(_))));
    drop(file);
    let opened = StateFile::open(&other).unwrap();
    opened.file.write(&text(2)).unwrap();
    assert_eq!(folder.text(""), Some(text(2)));
    assert!(fs::symlink_metadata(&other).unwrap().is_symlink());
}

#[test]
fn a_folder_that_is_missing_is_made() {
    let folder = Folder::new();
    let path = folder.0.join("a/b/state.json");
    let opened = StateFile::open(&path).unwrap();
    opened.file.write(&text(1)).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), text(1));
}

#[test]
fn a_file_that_somebody_took_away_is_a_fresh_start_with_a_warning() {
    let folder = Folder::new();
    folder.put(".prev", &text(1));
    let opened = folder.open();
    assert_eq!(opened.state, State::default());
    assert!(
        opened
            .warning
            .is_some_and(|text| text.contains("budgets.json.prev"))
    );
}
