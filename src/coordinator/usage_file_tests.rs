//! The file of usage records on a real disk.

use super::*;

const HOUR: u64 = 3_600_000;

/// A folder of its own for one test, removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("infermux-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn usage(&self, rotate: Rotate, keep: usize) -> Usage {
        let file = self.0.join("usage.jsonl");
        Usage {
            file: file.to_str().expect("a text").into(),
            rotate,
            keep,
        }
    }

    /// The names of its files but the lock, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("a text")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn at(millis: u64) -> WallTime {
    WallTime::from_unix_millis(millis)
}

fn line(number: u64) -> String {
    format!("{{\"schema\":1,\"number\":{number}}}\n")
}

#[test]
fn each_span_has_a_file_and_the_oldest_are_deleted() {
    let folder = Folder::new("span");
    let hourly = folder.usage(Rotate::Every(Duration::from_secs(3_600)), 2);
    let mut file = UsageFile::open(&hourly, at(0)).expect("a file");
    for hour in 0..5 {
        let now = at(hour * HOUR + 5);
        file.append(line(2 * hour).as_bytes(), now).expect("a disk");
        file.append(line(2 * hour + 1).as_bytes(), now)
            .expect("a disk");
    }
    // What is not the file's own stays.
    fs::write(folder.0.join("usage-old.jsonl"), "").expect("a disk");
    file.rotate(at(5 * HOUR)).expect("a disk");
    // An empty file has nothing to be put aside for.
    file.rotate(at(9 * HOUR)).expect("a disk");
    let names = folder.names();
    let expected = [
        "usage-19700101T040000.005Z.jsonl",
        "usage-19700101T050000.000Z.jsonl",
        "usage-old.jsonl",
        "usage.jsonl",
    ];
    assert_eq!(names, expected);
    assert_eq!(folder.text(&names[0]), line(6) + &line(7));
    assert_eq!(folder.text(&names[1]), line(8) + &line(9));
    assert_eq!(folder.text("usage.jsonl"), "");
}

#[test]
fn a_file_from_an_earlier_span_is_put_aside_at_the_start() {
    let folder = Folder::new("start");
    let daily = folder.usage(Rotate::Every(Duration::from_secs(86_400)), 9);
    let mut file = UsageFile::open(&daily, at(0)).expect("a file");
    file.append(line(1).as_bytes(), at(1)).expect("a disk");
    drop(file);
    // The disk says that it was written just now.
    let now = fs::metadata(folder.0.join("usage.jsonl")).expect("a file");
    let now = u64::try_from(now.mtime()).expect("after 1970") * 1_000;
    let same = UsageFile::open(&daily, at(now)).expect("a file");
    assert!(!same.is_due(1, at(now)) && same.is_due(1, at(now + 24 * HOUR)));
}

#[test]
fn no_file_grows_beyond_its_size_and_names_do_not_repeat() {
    let folder = Folder::new("size");
    let small = folder.usage(Rotate::Above(60), 100);
    let mut file = UsageFile::open(&small, at(0)).expect("a file");
    for number in 0..9 {
        file.append(line(number).as_bytes(), at(7)).expect("a disk");
    }
    let names = folder.names();
    assert_eq!(names.len(), 5, "{names:?}");
    let texts: Vec<String> = names.iter().map(|name| folder.text(name)).collect();
    assert!(texts.iter().all(|text| text.len() <= 60));
    let all: String = (0..9).map(line).collect();
    assert_eq!(texts.concat(), all);
}

#[test]
fn what_a_killed_process_has_left_unfinished_is_cut_off() {
    for (left, kept) in [
        (line(1) + &line(2), line(1) + &line(2)),
        (line(1) + "{\"schema\":1,\"num", line(1)),
        (line(1) + "{", line(1)),
        ("{\"schema\":1,\"num".to_owned(), String::new()),
        ("{\"sch".to_owned(), String::new()),
        (String::new(), String::new()),
    ] {
        let folder = Folder::new("cut");
        fs::create_dir_all(&folder.0).expect("a folder");
        fs::write(folder.0.join("usage.jsonl"), &left).expect("a file");
        let usage = folder.usage(Rotate::Never, 1);
        let mut file = UsageFile::open(&usage, at(0)).expect("a file");
        assert_eq!(folder.text("usage.jsonl"), kept, "{left:?}");
        file.append(line(3).as_bytes(), at(0)).expect("a disk");
        assert_eq!(folder.text("usage.jsonl"), kept + &line(3));
    }
}

#[test]
fn a_file_of_something_else_is_left_as_it_is() {
    let folder = Folder::new("else");
    fs::create_dir_all(&folder.0).expect("a folder");
    let usage = folder.usage(Rotate::Never, 1);
    for content in ["root:x:0:0", "\n", "{\"a\":1}\n"] {
        fs::write(folder.0.join("usage.jsonl"), content).expect("a file");
        let fault = UsageFile::open(&usage, at(0)).expect_err("a foreign file");
        assert!(matches!(fault, Fault::Foreign { .. }), "{fault}");
        assert_eq!(folder.text("usage.jsonl"), content);
    }
    fs::remove_file(folder.0.join("usage.jsonl")).expect("a file");
    fs::create_dir(folder.0.join("usage.jsonl")).expect("a folder");
    let fault = UsageFile::open(&usage, at(0)).expect_err("a folder");
    assert!(matches!(fault, Fault::Io { .. }), "{fault}");
}

#[test]
fn one_file_has_one_writer() {
    let folder = Folder::new("lock");
    let usage = folder.usage(Rotate::Never, 1);
    let first = UsageFile::open(&usage, at(0)).expect("a file");
    let fault = UsageFile::open(&usage, at(0)).expect_err("a second one");
    assert!(matches!(fault, Fault::InUse(_)), "{fault}");
    drop(first);
    UsageFile::open(&usage, at(0)).expect("a file that nobody has");
}

#[test]
fn a_file_that_was_renamed_is_left_at_a_reload() {
    let folder = Folder::new("rename");
    let usage = folder.usage(Rotate::Never, 1);
    let mut file = UsageFile::open(&usage, at(0)).expect("a file");
    file.append(line(1).as_bytes(), at(0)).expect("a disk");
    fs::rename(folder.0.join("usage.jsonl"), folder.0.join("usage.1")).expect("a disk");
    file.append(line(2).as_bytes(), at(0)).expect("a disk");
    file.reload(&usage, at(0)).expect("a disk");
    file.append(line(3).as_bytes(), at(0)).expect("a disk");
    assert_eq!(folder.text("usage.1"), line(1) + &line(2));
    assert_eq!(folder.text("usage.jsonl"), line(3));
}

#[test]
fn a_file_that_was_removed_or_renamed_is_followed_by_another_one() {
    let folder = Folder::new("follow");
    let usage = folder.usage(Rotate::Never, 1);
    let mut file = UsageFile::open(&usage, at(0)).expect("a file");
    for number in 1..4 {
        file.append(line(number).as_bytes(), at(0)).expect("a disk");
        file.follow(at(0)).expect("a disk");
    }
    fs::rename(folder.0.join("usage.jsonl"), folder.0.join("usage.1")).expect("a disk");
    file.follow(at(0)).expect("a disk");
    file.append(line(4).as_bytes(), at(0)).expect("a disk");
    assert_eq!(folder.text("usage.jsonl"), line(4));
    fs::remove_file(folder.0.join("usage.jsonl")).expect("a disk");
    file.follow(at(0)).expect("a disk");
    file.append(line(5).as_bytes(), at(0)).expect("a disk");
    assert_eq!(folder.text("usage.jsonl"), line(5));
    // Something else stands there now: it is left alone, at a reload, too.
    fs::remove_file(folder.0.join("usage.jsonl")).expect("a disk");
    fs::write(folder.0.join("usage.jsonl"), "other\n").expect("a disk");
    for fault in [file.follow(at(0)), file.reload(&usage, at(0))] {
        let fault = fault.expect_err("a foreign file");
        assert!(matches!(fault, Fault::Foreign { .. }), "{fault}");
    }
    file.append(line(6).as_bytes(), at(0)).expect("a disk");
    assert_eq!(folder.text("usage.jsonl"), "other\n");
    assert_eq!(folder.text("usage.1"), (1..4).map(line).collect::<String>());
}

#[test]
fn lines_go_into_a_file_that_cannot_be_put_aside() {
    let folder = Folder::new("stuck");
    let mut usage = folder.usage(Rotate::Above(60), 1);
    // With the time in it, its name would be longer than a disk takes.
    let long = folder.0.join(format!("{}.jsonl", "u".repeat(240)));
    usage.file = long.to_str().expect("a text").into();
    let mut file = UsageFile::open(&usage, at(0)).expect("a file");
    for number in 0..9 {
        file.append(line(number).as_bytes(), at(0)).expect("a disk");
    }
    let fault = file.rotate(at(0)).expect_err("a name that is too long");
    assert_eq!(fault.raw_os_error(), Some(libc::ENAMETOOLONG));
    let all: String = (0..9).map(line).collect();
    assert_eq!(fs::read_to_string(&long).expect("a text"), all);
}

#[test]
fn one_that_cannot_be_deleted_keeps_no_other_one() {
    let folder = Folder::new("kept");
    let usage = folder.usage(Rotate::Above(60), 1);
    let mut file = UsageFile::open(&usage, at(0)).expect("a file");
    fs::create_dir(folder.0.join("usage-19600101T000000.000Z.jsonl")).expect("a folder");
    for number in 0..9 {
        file.append(line(number).as_bytes(), at(7)).expect("a disk");
        let _ = file.rotate(at(7));
    }
    assert_eq!(folder.names().len(), 3, "{:?}", folder.names());
    assert_eq!(folder.text("usage.jsonl"), line(8));
}

#[test]
fn a_device_is_written_to_and_never_put_aside() {
    let usage = |file: &str| Usage {
        file: file.into(),
        rotate: Rotate::Above(64_000),
        keep: 1,
    };
    let mut null = UsageFile::open(&usage("/dev/null"), at(0)).expect("a device");
    let many = line(1).repeat(4_000);
    for _ in 0..2 {
        assert_eq!(
            null.append(many.as_bytes(), at(0)).expect("a device"),
            many.len()
        );
    }
    null.sync().expect("a device");
    let mut full = UsageFile::open(&usage("/dev/full"), at(0)).expect("a device");
    let fault = full.append(b"a\n", at(0)).expect_err("a full disk");
    assert_eq!(fault.kind(), ErrorKind::StorageFull);
    assert!(!Path::new("/dev/full.lock").exists());
}
