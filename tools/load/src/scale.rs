//! Where a value lies on an axis, and which values stand beside it.

/// How the values of an axis are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from zero.
    Linear,
    /// Each power of ten as long as the next.
    Log,
    /// Shares from 0 to 0.9999, each further nine as long as the one before.
    Percentile,
}

/// What the values of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Number,
    /// Microseconds, shown in the unit that fits.
    Micros,
    /// Seconds.
    Seconds,
}

/// An axis with its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    scale: Scale,
    unit: Unit,
    low: f64,
    high: f64,
}

/// The largest share that a percentile axis shows.
const SHARE_MAX: f64 = 0.9999;
/// About how many ticks a linear axis has.
const TICKS: f64 = 5.0;

impl Axis {
    /// An axis on which all of `values` find room.
    pub(crate) fn around(scale: Scale, unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        let (low, high) = match scale {
            Scale::Linear => (0.0, if high > 0.0 { high * 1.05 } else { 1.0 }),
            Scale::Percentile => (0.0, SHARE_MAX),
            Scale::Log if high > 0.0 => {
                let floor = 10_f64.powf(low.max(1e-3).log10().floor());
                let ceiling = 10_f64.powf(high.max(1e-3).log10().ceil());
                (floor, ceiling.max(floor * 10.0))
            }
            Scale::Log => (1.0, 10.0),
        };
        Self {
            scale,
            unit,
            low,
            high,
        }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.spread(self.low), self.spread(self.high));
        ((self.spread(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    fn spread(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(1e-3).log10(),
            Scale::Percentile => -(1.0 - value.min(SHARE_MAX)).log10(),
        }
    }

    /// The values to mark, with what stands beside them.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Percentile => [0.0, 0.5, 0.9, 0.99, 0.999, SHARE_MAX]
                .map(|share| (share, format!("p{}", rounded(share * 100.0))))
                .to_vec(),
            Scale::Log => {
                let all = (-3..=15).map(|power| 10_f64.powi(power));
                let inside = all.filter(|v| *v >= self.low * 0.99 && *v <= self.high * 1.01);
                inside.map(|value| (value, self.text(value))).collect()
            }
            Scale::Linear => {
                let rough = self.high / TICKS;
                let power = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
                let step = step.into_iter().find(|step| *step >= rough);
                let step = step.unwrap_or(rough);
                let all = (0..=20).map(|index| f64::from(index) * step);
                let inside = all.filter(|value| *value <= self.high);
                inside.map(|value| (value, self.text(value))).collect()
            }
        }
    }

    fn text(&self, value: f64) -> String {
        self.unit.text(value)
    }
}

impl Unit {
    /// `value` as people read it.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match (self, value) {
            (Self::Micros, v) if v >= 1e6 => format!("{} s", rounded(v / 1e6)),
            (Self::Micros, v) if v >= 1e3 => format!("{} ms", rounded(v / 1e3)),
            (Self::Micros, v) => format!("{} µs", rounded(v)),
            (Self::Seconds, v) => format!("{} s", rounded(v)),
            (Self::Number, v) if v >= 1e6 => format!("{} M", rounded(v / 1e6)),
            (Self::Number, v) if v >= 1e4 => format!("{} k", rounded(v / 1e3)),
            (Self::Number, v) => rounded(v),
        }
    }
}

/// `value` with at most two digits after the point, and none that say nothing.
fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_the_ends() {
        let linear = Axis::around(Scale::Linear, Unit::Number, [50.0, 100.0].into_iter());
        assert!((linear.place(52.5) - 0.5).abs() < 1e-9);
        let log = Axis::around(Scale::Log, Unit::Micros, [20.0, 900.0].into_iter());
        assert!((log.place(100.0) - 0.5).abs() < 1e-9);
        let shares = Axis::around(Scale::Percentile, Unit::Number, std::iter::empty());
        assert!((shares.place(0.99) - 0.5).abs() < 1e-9);
        assert_eq!((shares.place(0.0), shares.place(1.0)), (0.0, 1.0));
    }

    #[test]
    fn ticks_read_well() {
        let texts = |axis: Axis| axis.ticks().into_iter().map(|(_, text)| text);
        let log = Axis::around(Scale::Log, Unit::Micros, [20.0, 90_000.0].into_iter());
        assert!(texts(log).eq(["10 µs", "100 µs", "1 ms", "10 ms", "100 ms"]));
        let linear = Axis::around(Scale::Linear, Unit::Number, [38_000.0].into_iter());
        assert!(texts(linear).eq(["0", "10 k", "20 k", "30 k"]));
        let shares = Axis::around(Scale::Percentile, Unit::Number, std::iter::empty());
        assert!(texts(shares).eq(["p0", "p50", "p90", "p99", "p99.9", "p99.99"]));
    }

    #[test]
    fn an_axis_of_nothing_still_has_ends() {
        for scale in [Scale::Linear, Scale::Log, Scale::Percentile] {
            let axis = Axis::around(scale, Unit::Number, std::iter::empty());
            assert!(!axis.ticks().is_empty() && axis.place(0.5).is_finite());
        }
    }
}
