//! The measured figures, and their aims.

use std::collections::BTreeMap;

/// One kind of figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// Processor time for each request or event, in microseconds.
    Cpu,
    /// Median latency, in microseconds.
    P50,
    /// Median latency beyond that of the provider itself, in microseconds.
    AddedP50,
    /// 99th percentile of the latency, in microseconds.
    P99,
    /// Median delay of an event, in microseconds.
    Delay50,
    /// 99th percentile of an event's delay, in microseconds.
    Delay99,
    /// Requests or events per second.
    Rate,
    /// System calls for each request.
    Syscalls,
    /// Resident memory after the start, in MiB.
    RssStart,
    /// Resident memory for each idle connection, in KiB.
    RssIdle,
    /// Resident memory for each stream under way, in KiB.
    RssStream,
}

/// Figures by their kind.
pub(crate) type Figures = BTreeMap<Figure, f64>;

/// The aim of a figure: at most this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    /// This many times the base's figure.
    Ratio(f64),
    /// This value.
    Value(f64),
}

impl Figure {
    /// Its name in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU, µs",
            Self::P50 => "p50, µs",
            Self::AddedP50 => "added p50, µs",
            Self::P99 => "p99, µs",
            Self::Delay50 => "event delay p50, µs",
            Self::Delay99 => "event delay p99, µs",
            Self::Rate => "per second",
            Self::Syscalls => "system calls",
            Self::RssStart => "RSS at start, MiB",
            Self::RssIdle => "RSS per idle connection, KiB",
            Self::RssStream => "RSS per active stream, KiB",
        }
    }

    /// Its key in JSON.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_us",
            Self::P50 => "p50_us",
            Self::AddedP50 => "added_p50_us",
            Self::P99 => "p99_us",
            Self::Delay50 => "delay_p50_us",
            Self::Delay99 => "delay_p99_us",
            Self::Rate => "per_second",
            Self::Syscalls => "syscalls",
            Self::RssStart => "rss_start_mib",
            Self::RssIdle => "rss_idle_kib",
            Self::RssStream => "rss_stream_kib",
        }
    }

    /// `value` in the form for a table.
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Rate => format!("{value:.0}"),
            Self::P50 | Self::P99 | Self::Delay50 | Self::Delay99 if value >= 1_000.0 => {
                format!("{value:.0}")
            }
            Self::P50 | Self::P99 | Self::AddedP50 | Self::Delay50 | Self::Delay99 => {
                format!("{value:.1}")
            }
            Self::Cpu | Self::Syscalls | Self::RssStart | Self::RssIdle | Self::RssStream => {
                format!("{value:.2}")
            }
        }
    }
}

impl Aim {
    /// Its form in a table.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Ratio(most) => format!("≤ {most:.2} ×"),
            Self::Value(most) => format!("≤ {most}"),
        }
    }

    /// Whether `value`, `ratio` times the base's, meets the aim; unknown without a ratio.
    pub(crate) fn is_met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::Ratio(most) => ratio.map(|ratio| ratio <= most),
            Self::Value(most) => Some(value <= most),
        }
    }
}

/// The middle of `values`; of an even number the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn an_aim_asks_for_the_ratio_or_the_value() {
        assert_eq!(Aim::Ratio(0.8).is_met(9.0, Some(0.8)), Some(true));
        assert_eq!(Aim::Ratio(0.8).is_met(0.1, Some(0.81)), Some(false));
        assert_eq!(Aim::Ratio(0.8).is_met(0.1, None), None);
        assert_eq!(Aim::Value(15.0).is_met(15.1, Some(0.1)), Some(false));
    }
}
