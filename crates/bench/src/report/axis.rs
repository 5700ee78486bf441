//! Axes: where values lie on them, which of them are marked, and how these are written.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// How values are spread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    LinearFromZero,
    /// Marked at powers of ten.
    Log,
    /// Marked at powers of two.
    Doubling,
}

/// How marks are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    /// Nanoseconds, in the unit that fits.
    Nanos,
    /// As 10k and 1M.
    Count,
    /// x as the percentage of all but one in x: 1,000 as 99.9.
    Nines,
    /// Bytes.
    Mebibytes,
}

const MIB: f64 = 1024.0 * 1024.0;

/// One axis. Places are logarithms where the scale is.
#[derive(Clone)]
pub(super) struct Axis {
    scale: Scale,
    unit: Unit,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis that has room for all values.
    pub(super) fn new(scale: Scale, unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let empty = Self { scale, unit, from: 0.0, to: 1.0, ticks: Vec::new() };
        let places: Vec<f64> =
            values.map(|value| empty.place(value)).filter(|place| place.is_finite()).collect();
        let lowest = places.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if lowest > highest {
            return empty;
        }
        let (from, to, step) = match scale {
            Scale::Log | Scale::Doubling => {
                let (from, to) = (lowest.floor(), highest.ceil());
                (from, to.max(from + 1.0), 1.0)
            }
            Scale::Linear => {
                let step = round_step((highest - lowest).max(f64::MIN_POSITIVE), unit);
                (lowest, highest.max(lowest + step), step)
            }
            Scale::LinearFromZero => {
                let step = round_step(highest.max(f64::MIN_POSITIVE), unit);
                (0.0, (highest / step).ceil() * step, step)
            }
        };
        let first = (from / step).ceil() as i64;
        let last = (to / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|at| at as f64 * step).collect();
        Self { from, to, ticks, ..empty }
    }

    /// Where a value lies.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear | Scale::LinearFromZero => value / self.divisor(),
            // There is no place for zero; what took no time took no more than this.
            Scale::Log => value.max(1e-3).log10(),
            Scale::Doubling => value.max(1e-3).log2(),
        }
    }

    fn divisor(&self) -> f64 {
        if self.unit == Unit::Mebibytes { MIB } else { 1.0 }
    }

    pub(super) fn marks(&self) -> usize {
        self.ticks.len()
    }

    /// Whether a place is on the axis.
    pub(super) fn spans(&self, place: f64) -> bool {
        (self.from..=self.to).contains(&place)
    }

    /// What is written at a place.
    fn label(&self, place: f64) -> String {
        let value = match self.scale {
            Scale::Linear | Scale::LinearFromZero => place,
            Scale::Log => 10_f64.powf(place),
            Scale::Doubling => place.exp2(),
        };
        match self.unit {
            Unit::Plain | Unit::Mebibytes => plain(value),
            Unit::Nanos => in_steps(value, &[" ns", " us", " ms", " s"]),
            Unit::Count => in_steps(value, &["", "k", "M", "G"]),
            Unit::Nines => nines(place),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (place - self.from) / (self.to - self.from);
        low + (f64::from(high - low) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(place: &f64) -> String {
        plain(*place)
    }

    fn format_ext(&self, place: &f64) -> String {
        self.label(*place)
    }
}

/// A step of 1, 2 or 5 times a power of ten that makes four to ten of them.
fn round_step(range: f64, unit: Unit) -> f64 {
    let power = 10_f64.powf((range / 4.0).log10().floor());
    let fitting = [5.0, 2.0, 1.0].map(|step| step * power).into_iter().find(|s| *s <= range / 4.0);
    let step = fitting.unwrap_or(power);
    if unit == Unit::Count { step.max(1.0) } else { step }
}

fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number in steps of a thousand, each with its ending.
fn in_steps(value: f64, endings: &[&str]) -> String {
    let (mut value, mut endings) = (value, endings.iter().peekable());
    loop {
        match endings.next() {
            // What would be written as 1000 is 1 of the next.
            Some(_) if value >= 999.995 && endings.peek().is_some() => value /= 1_000.0,
            ending => return format!("{}{}", plain(value), ending.unwrap_or(&"")),
        }
    }
}

/// The percentage of all but one in ten to this power.
fn nines(power: f64) -> String {
    match power.round() as usize {
        0 => "0".into(),
        1 => "90".into(),
        2 => "99".into(),
        power => format!("99.{}", "9".repeat(power - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, unit: Unit, values: &[f64]) -> Vec<String> {
        let axis = Axis::new(scale, unit, values.iter().copied());
        axis.ticks.iter().map(|tick| axis.label(*tick)).collect()
    }

    #[test]
    fn marks_are_round_and_in_their_unit() {
        assert_eq!(
            labels(Scale::Log, Unit::Nanos, &[25.0, 2e6]),
            ["10 ns", "100 ns", "1 us", "10 us", "100 us", "1 ms", "10 ms"]
        );
        assert_eq!(
            labels(Scale::Log, Unit::Nines, &[1.0, 9e4]),
            ["0", "90", "99", "99.9", "99.99", "99.999"]
        );
        assert_eq!(
            labels(Scale::LinearFromZero, Unit::Count, &[8e6]),
            ["0", "2M", "4M", "6M", "8M"]
        );
        assert_eq!(labels(Scale::Doubling, Unit::Plain, &[1.0, 8.0]), ["1", "2", "4", "8"]);
        assert_eq!(
            labels(Scale::LinearFromZero, Unit::Mebibytes, &[300.0 * MIB]),
            ["0", "50", "100", "150", "200", "250", "300"]
        );
        assert_eq!(
            labels(Scale::Linear, Unit::Plain, &[-1.3, 4.0]),
            ["-1", "0", "1", "2", "3", "4"]
        );
    }

    #[test]
    fn axis_without_values_is_no_failure() {
        assert!(labels(Scale::Log, Unit::Nanos, &[]).is_empty());
        assert!(!labels(Scale::Linear, Unit::Plain, &[3.0]).is_empty());
    }
}
