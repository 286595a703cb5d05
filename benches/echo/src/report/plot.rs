//! A plot of a table: a panel for each column, in it a dot for each row, and a line between its
//! quartiles. The picture brings its own ground, for light and for dark surroundings.
//!
//! Dots need no axis that begins at nothing, as bars do, so that small differences can be seen.

use std::fmt::Write as _;

use crate::report::table::{Cell, Column, OURS, Table, Unit, is_ruler};

const WIDTH: f64 = 880.0;
const MARGIN: f64 = 20.0;
const GAP: f64 = 28.0;
const HEAD: f64 = 62.0;
const PANEL_HEAD: f64 = 30.0;
const PANEL_FOOT: f64 = 30.0;
const ROW: f64 = 19.0;
/// The room for names, and for figures.
const NAMES: f64 = 128.0;
const FIGURES: f64 = 62.0;
/// From this ratio between the largest and the smallest on, steps are factors.
const LOGARITHMIC: f64 = 6.0;

const LEGEND: &str = "Less is better. Dot: median; line: quartiles; dashed: openline's goal.";

const STYLE: &str = "\
svg{--ground:#fff;--edge:#d8dee4;--text:#1f2328;--faint:#656d76;--grid:#e4e8ec;--ours:#c2410c;\
--other:#2563a8;--ruler:#8a919a}\
@media(prefers-color-scheme:dark){svg{--ground:#12161c;--edge:#30363d;--text:#e6edf3;\
--faint:#9aa4af;--grid:#262c34;--ours:#fb923c;--other:#79b8ff;--ruler:#8b949e}}\
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:var(--text)}\
.title{font-size:16px;font-weight:600}.head{font-weight:600}.faint{fill:var(--faint)}\
.tick{font-size:11px;fill:var(--faint);text-anchor:middle}.name{text-anchor:end}\
.grid{stroke:var(--grid)}.goal{stroke:var(--ours);stroke-dasharray:3 3}\
.ours{--mark:var(--ours)}.other{--mark:var(--other)}.ruler{--mark:var(--ruler)}\
circle{fill:var(--mark)}.span{stroke:var(--mark);stroke-width:2.5;stroke-linecap:round;opacity:.45}\
text.ours{font-weight:600;fill:var(--ours)}";

/// The picture.
pub fn svg(table: &Table) -> String {
    let across = if table.columns.len() == 1 { 1 } else { 2 };
    let width = (WIDTH - 2.0 * MARGIN - (across as f64 - 1.0) * GAP) / across as f64;
    let numbers: Vec<usize> = (0..table.columns.len()).collect();
    let lines: Vec<(&[usize], f64)> = (numbers.chunks(across))
        .map(|line| (line, height(table, line)))
        .collect();
    let caption = wrap(&format!("{} {LEGEND}", table.caption));
    let head = HEAD + 16.0 * (caption.len() as f64 - 1.0);
    let full = lines
        .iter()
        .fold(head - GAP + MARGIN, |sum, (_, height)| sum + height + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {full}\" role=\"img\">\
         <title>{title}</title><style>{STYLE}</style>\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"var(--ground)\" \
         stroke=\"var(--edge)\"/>\
         <text class=\"title\" x=\"{MARGIN}\" y=\"30\">{title}</text>",
        WIDTH - 1.0,
        full - 1.0,
        title = escape(&table.title),
    );
    for (number, line) in caption.iter().enumerate() {
        let y = 50.0 + 16.0 * number as f64;
        put(
            &mut svg,
            format_args!(
                "<text class=\"faint\" x=\"{MARGIN}\" y=\"{y}\">{}</text>",
                escape(line)
            ),
        );
    }
    let mut y = head;
    for (line, height) in lines {
        for (place, number) in line.iter().enumerate() {
            let x = MARGIN + place as f64 * (width + GAP);
            put(
                &mut svg,
                format_args!("<g transform=\"translate({x:.1} {y:.1})\">"),
            );
            panel(&mut svg, table, *number, width);
            svg += "</g>";
        }
        y += height + GAP;
    }
    svg += "</svg>\n";
    svg
}

/// What the tallest of these panels takes.
fn height(table: &Table, line: &[usize]) -> f64 {
    let rows = |number: &usize| {
        let rows = table.rows.iter();
        rows.filter(|row| row.cells[*number].is_some()).count()
    };
    let most = line.iter().map(rows).max().unwrap_or_default();
    PANEL_HEAD + most as f64 * ROW + PANEL_FOOT
}

/// The panel of one column, best first.
fn panel(svg: &mut String, table: &Table, number: usize, width: f64) {
    let Column { name, goal } = &table.columns[number];
    put(
        svg,
        format_args!("<text class=\"head\" y=\"14\">{}</text>", escape(name)),
    );
    let mut rows: Vec<(&str, Cell)> = (table.rows.iter())
        .filter_map(|row| Some((row.name.as_str(), row.cells[number]?)))
        .collect();
    rows.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    let ends = rows.iter().flat_map(|(_, cell)| [cell.low, cell.high]);
    let Some(scale) = Scale::new(ends.chain(*goal), NAMES + 10.0, width - FIGURES) else {
        return;
    };
    let bottom = PANEL_HEAD + rows.len() as f64 * ROW;
    for tick in scale.ticks() {
        let x = scale.at(tick);
        put(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{}\">{}</text>",
                PANEL_HEAD - 6.0,
                bottom + 15.0,
                label(table.unit, tick),
            ),
        );
    }
    if let Some(goal) = goal {
        let x = scale.at(*goal);
        put(
            svg,
            format_args!(
                "<line class=\"goal\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\">\
                 <title>openline's goal: {}</title></line>",
                PANEL_HEAD - 6.0,
                table.unit.write(*goal),
            ),
        );
    }
    for (position, (name, cell)) in rows.iter().enumerate() {
        let y = PANEL_HEAD + (position as f64 + 0.5) * ROW;
        let class = match *name {
            OURS => "ours",
            name if is_ruler(name) => "ruler",
            _ => "other",
        };
        let (low, at, high) = (
            scale.at(cell.low),
            scale.at(cell.median),
            scale.at(cell.high),
        );
        let baseline = y + 4.0;
        put(
            svg,
            format_args!(
                "<g class=\"{class}\"><text class=\"name {class}\" x=\"{NAMES}\" \
                 y=\"{baseline:.1}\">{}</text><line class=\"span\" x1=\"{low:.1}\" x2=\"{high:.1}\" \
                 y1=\"{y:.1}\" y2=\"{y:.1}\"/><circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
                 <text class=\"name {class}\" x=\"{width:.1}\" y=\"{baseline:.1}\">{}</text></g>",
                escape(name),
                table.unit.write(cell.median),
            ),
        );
    }
}

/// Where a value lies.
struct Scale {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

impl Scale {
    /// For these values, between two places; none where there is no value.
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut positive = f64::INFINITY;
        for value in values {
            least = least.min(value);
            most = most.max(value);
            if value > 0.0 {
                positive = positive.min(value);
            }
        }
        if !least.is_finite() || !most.is_finite() {
            return None;
        }
        let is_logarithmic = most / positive > LOGARITHMIC;
        if is_logarithmic {
            // What is nothing lies at the edge.
            (least, most) = (positive / 1.1, most * 1.1);
        } else {
            let room = ((most - least) * 0.06).max(most.abs() * 0.01).max(1e-9);
            (least, most) = (least - room, most + room);
        }
        Some(Self {
            least,
            most,
            from,
            to,
            is_logarithmic,
        })
    }

    fn at(&self, value: f64) -> f64 {
        let part = match self.is_logarithmic {
            true if value <= 0.0 => 0.0,
            true => (value / self.least).ln() / (self.most / self.least).ln(),
            false => (value - self.least) / (self.most - self.least),
        };
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Three to six round values.
    fn ticks(&self) -> Vec<f64> {
        if !self.is_logarithmic {
            let rough = (self.most - self.least) / 4.0;
            let magnitude = 10f64.powf(rough.log10().floor());
            let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude);
            let step = steps.into_iter().find(|step| *step >= rough);
            let step = step.unwrap_or(rough);
            let first = (self.least / step).ceil();
            let ticks = (0..8).map(|n| (first + f64::from(n)) * step);
            return ticks.filter(|tick| *tick <= self.most).collect();
        }
        let from = self.least.log10().floor() as i32;
        let to = self.most.log10().ceil() as i32;
        let factors: &[f64] = match (self.most / self.least).log10() {
            ..1.6 => &[1.0, 2.0, 5.0],
            ..3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let ticks = (from..=to)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        ticks
            .filter(|tick| (self.least..=self.most).contains(tick))
            .collect()
    }
}

/// A value at the axis: no more digits than it has.
fn label(unit: Unit, value: f64) -> String {
    let value = (value * 1e6).round() / 1e6;
    match unit {
        Unit::Bytes if value >= 1000.0 => unit.write(value),
        _ => value.to_string(),
    }
}

/// Lines of about the picture's width.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one");
        if last.is_empty() {
            last.push_str(word);
        } else if last.len() + word.len() < 125 {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn put(svg: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = svg.write_fmt(what);
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn ticks_are_round_and_within_the_scale() {
        for values in [[1.0, 1.2], [1.0, 24.0], [0.98, 1.45], [137.0, 90_000.0]] {
            let scale = Scale::new(values.into_iter(), 0.0, 100.0).unwrap();
            let ticks = scale.ticks();
            assert!((2..=8).contains(&ticks.len()), "{values:?}: {ticks:?}");
            for tick in ticks {
                assert!((0.0..=100.0).contains(&scale.at(tick)));
            }
        }
        assert!(Scale::new([].into_iter(), 0.0, 1.0).is_none());
    }
}
