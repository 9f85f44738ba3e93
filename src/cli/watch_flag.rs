//! The flag that repeats a table.

use std::time::Duration;

use clap::Args;

use crate::config::duration;

/// The flag that repeats a table.
#[derive(Args, Debug, Default)]
pub struct WatchFlag {
    /// Draw the table again and again, every 2s or as given, until Ctrl-C
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "2s", value_parser = interval)]
    pub watch: Option<Duration>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration::parse(text)?;
    if interval < WATCH_LEAST {
        return Err(format!("is below {}", duration::text(WATCH_LEAST)));
    }
    Ok(interval)
}

/// Shortest pause between two tables: faster ones cannot be read.
const WATCH_LEAST: Duration = Duration::from_millis(100);
