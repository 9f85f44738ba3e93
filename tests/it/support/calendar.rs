//! A router whose calendar shows another time.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::router::Start;

/// The start of a router whose calendar shows `unix_seconds` now, and goes on from there. Its other
/// clocks stay.
pub fn at(start: Start, unix_seconds: i64) -> Start {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.expect("a time after 1970").as_secs()).expect("a time");
    let library = library().to_str().expect("a path");
    let shift = (unix_seconds - now).to_string();
    start
        .env("LD_PRELOAD", library)
        .env("CALENDAR_SHIFT", &shift)
}

/// A library that moves the calendar, compiled once.
fn library() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let own = std::process::id();
        let source = folder.join(format!("calendar-{own}.c"));
        let library = folder.join(format!("calendar-{own}.so"));
        std::fs::write(&source, SOURCE).expect("a file");
        // Whoever links Rust programs has it.
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
        let ended = compiler.arg(&library).arg(&source).status();
        assert!(ended.expect("a C compiler").success());
        library
    })
}

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long shift;

__attribute__((constructor)) static void read_shift(void) {
    const char *text = getenv("CALENDAR_SHIFT");
    shift = text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += shift;
    return result;
}
"#;
