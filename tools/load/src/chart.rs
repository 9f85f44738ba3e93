//! Plots as SVG: lines over two axes, and bars beside each other.

use std::fmt::Write as _;

use crate::page::escaped;
use crate::scale::{Axis, Scale, Unit};

/// A curve with its name.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Lines over two axes.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// The title above it.
    pub title: &'a str,
    /// How the horizontal axis is spread, and what its values are.
    pub x: (Scale, Unit),
    /// How the vertical axis is spread, and what its values are.
    pub y: (Scale, Unit),
    /// What is drawn.
    pub lines: &'a [Curve],
}

/// A bar with its name.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What stands before it.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// The value up to which it is good, where there is one.
    pub aim: Option<f64>,
}

/// Most colours that are told apart; further lines begin again.
const COLOURS: usize = 6;
/// The whole picture.
const SIZE: (f64, f64) = (720.0, 330.0);
/// Left, top, right and bottom of the field in it.
const FIELD: (f64, f64, f64, f64) = (70.0, 14.0, 706.0, 280.0);
/// Height of one bar with the gap below it.
const BAR: f64 = 26.0;
/// Where bars begin and the longest ends.
const BARS: (f64, f64) = (300.0, 640.0);

impl Chart<'_> {
    /// The chart with its title and legend.
    #[must_use]
    pub fn render(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::around(self.x.0, self.x.1, points().map(|point| point.0));
        let y = Axis::around(self.y.0, self.y.1, points().map(|point| point.1));
        let mut svg = opened(self.title, SIZE.1);
        grid(&mut svg, &x, &y);
        for (index, line) in self.lines.iter().enumerate() {
            let place = |(px, py): &(f64, f64)| {
                let (left, top, right, bottom) = FIELD;
                let across = left + x.place(*px) * (right - left);
                let down = bottom - y.place(*py) * (bottom - top);
                format!("{across:.1},{down:.1}")
            };
            let path: Vec<String> = line.points.iter().map(place).collect();
            let _ = write!(
                svg,
                "<polyline class=\"line c{}\" points=\"{}\"><title>{}</title></polyline>",
                index % COLOURS,
                path.join(" "),
                escaped(&line.name)
            );
        }
        svg.push_str("</svg>");
        figure(self.title, &svg, &self.legend())
    }

    /// The names of the lines; nothing where there is one line only.
    fn legend(&self) -> String {
        if self.lines.len() < 2 {
            return String::new();
        }
        let entry = |(index, line): (usize, &Curve)| {
            let (colour, name) = (index % COLOURS, escaped(&line.name));
            format!("<span><i class=\"c{colour}\"></i>{name}</span>")
        };
        let entries: String = self.lines.iter().enumerate().map(entry).collect();
        format!("<div class=\"legend\">{entries}</div>")
    }
}

/// Bars below each other, each with its value and, as a stroke, its aim.
#[must_use]
pub fn bars(title: &str, bars: &[Bar], unit: Unit) -> String {
    let values = bars.iter().flat_map(|bar| [Some(bar.value), bar.aim]);
    let axis = Axis::around(Scale::Linear, unit, values.flatten());
    let height = BAR * f64::from(u32::try_from(bars.len()).unwrap_or(u32::MAX));
    let mut svg = opened(title, height + 8.0);
    let (left, right) = BARS;
    let across = |value: f64| left + axis.place(value) * (right - left);
    let mut top = 4.0;
    for bar in bars {
        let is_good = bar.aim.is_none_or(|aim| bar.value <= aim);
        let (end, middle) = (across(bar.value), top + BAR / 2.0 + 2.0);
        let _ = write!(
            svg,
            "<text class=\"end\" x=\"{:.1}\" y=\"{middle:.1}\">{}</text>\
             <rect class=\"{}\" x=\"{left}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{middle:.1}\">{}</text>",
            left - 8.0,
            escaped(&bar.name),
            if is_good { "good" } else { "bad" },
            (end - left).max(1.0),
            BAR - 8.0,
            bar.aim.map_or(end, across).max(end) + 6.0,
            unit.text(bar.value)
        );
        if let Some(aim) = bar.aim.map(across) {
            let _ = write!(
                svg,
                "<line class=\"aim\" x1=\"{aim:.1}\" x2=\"{aim:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                top - 2.0,
                top + BAR - 6.0
            );
        }
        top += BAR;
    }
    svg.push_str("</svg>");
    figure(title, &svg, "")
}

fn opened(title: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {} {height}\" role=\"img\" aria-label=\"{}\">",
        SIZE.0,
        escaped(title)
    )
}

fn figure(title: &str, svg: &str, legend: &str) -> String {
    let title = escaped(title);
    format!("<figure><figcaption>{title}</figcaption>{svg}{legend}</figure>\n")
}

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    let (left, top, right, bottom) = FIELD;
    for (value, text) in x.ticks() {
        let at = left + x.place(value) * (right - left);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text class=\"mid\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>",
            bottom + 20.0
        );
    }
    for (value, text) in y.ticks() {
        let at = bottom - y.place(value) * (bottom - top);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
            left - 8.0,
            at + 4.0
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_draws_every_line_inside_its_picture() {
        let lines = ["a<b", "b"].map(|name| Curve {
            name: name.to_owned(),
            points: vec![(0.0, 10.0), (0.9, 100.0), (0.9999, 5_000.0)],
        });
        let svg = Chart {
            title: "Latency",
            x: (Scale::Percentile, Unit::Number),
            y: (Scale::Log, Unit::Micros),
            lines: &lines,
        }
        .render();
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
        assert!(
            svg.contains("points=\"70.0,") && svg.contains(" 706.0,"),
            "{svg}"
        );
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"), "{svg}");
    }

    #[test]
    fn a_bar_above_its_aim_is_bad() {
        let bar = |value, aim| Bar {
            name: "x".to_owned(),
            value,
            aim,
        };
        let all = [bar(0.7, Some(0.8)), bar(0.9, Some(0.8)), bar(5.0, None)];
        let svg = bars("Ratios", &all, Unit::Number);
        assert_eq!(
            (
                svg.matches("\"good\"").count(),
                svg.matches("\"bad\"").count()
            ),
            (2, 1),
            "{svg}"
        );
    }
}
