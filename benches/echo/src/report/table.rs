//! A table: who was measured, under what, and what came of it. Less is better everywhere.

/// Figures of servers, in rows, under loads, in columns.
pub struct Table {
    pub title: String,
    /// What the figures are, and how they were taken.
    pub caption: String,
    pub unit: Unit,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// Whether there is a plot of it.
    pub is_drawn: bool,
}

/// What a figure is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Ratio,
    Bytes,
    Milliseconds,
}

/// What all were measured under.
pub struct Column {
    pub name: String,
    /// What openline is to keep.
    pub goal: Option<f64>,
}

/// What one came to, column by column.
pub struct Row {
    pub name: String,
    pub cells: Vec<Option<Cell>>,
}

/// A median, and its quartiles where there are some.
#[derive(Clone, Copy)]
pub struct Cell {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// Whose figures these tables are about.
pub const OURS: &str = "openline";

impl Cell {
    /// Without quartiles.
    pub fn alone(value: f64) -> Self {
        Self {
            low: value,
            median: value,
            high: value,
        }
    }

    /// Whether each median lies between the other's quartiles: chance decides which is less.
    pub fn is_level_with(&self, other: Self) -> bool {
        (self.low..=self.high).contains(&other.median)
            && (other.low..=other.high).contains(&self.median)
    }
}

/// Whether it is what others are measured by, and no rival.
pub fn is_ruler(name: &str) -> bool {
    matches!(name, "raw" | "floor")
}

impl Unit {
    /// A figure with three digits, or all of a number of bytes.
    pub fn write(self, value: f64) -> String {
        let three = || match value {
            ..9.995 => format!("{value:.2}"),
            ..99.95 => format!("{value:.1}"),
            _ => format!("{value:.0}"),
        };
        match self {
            Self::Ratio | Self::Milliseconds => three(),
            Self::Bytes => thousands(value),
        }
    }

    /// Its name behind a figure.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ratio => "",
            Self::Bytes => "bytes",
            Self::Milliseconds => "ms",
        }
    }
}

impl Table {
    /// The figure of a row's in a column.
    pub fn cell(&self, name: &str, column: usize) -> Option<Cell> {
        let row = self.rows.iter().find(|row| row.name == name)?;
        row.cells.get(column).copied().flatten()
    }

    /// The best of those that are neither openline nor a ruler.
    fn best_other(&self, column: usize) -> Option<(&str, Cell)> {
        let others = self.rows.iter();
        let others = others.filter(|row| row.name != OURS && !is_ruler(&row.name));
        let others = others.filter_map(|row| Some((row.name.as_str(), row.cells[column]?)));
        others.min_by(|(_, a), (_, b)| a.median.total_cmp(&b.median))
    }

    /// The table, with the best in bold, the goals, and how openline stands to the best other.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            format!("**{}.** {}", self.title, self.caption),
            String::new(),
        ];
        let names = self.columns.iter().map(|column| column.name.clone());
        lines.push(line(self.unit.name(), names));
        lines.push(format!("|---{}|", "|--:".repeat(self.columns.len())));
        for row in &self.rows {
            let cells = row.cells.iter().enumerate().map(|(column, cell)| {
                let Some(cell) = cell else {
                    return "–".to_owned();
                };
                let text = self.unit.write(cell.median);
                match !is_ruler(&row.name) && self.is_best(column, cell.median) {
                    true => format!("**{text}**"),
                    false => text,
                }
            });
            lines.push(line(&row.name, cells));
        }
        if self.columns.iter().any(|column| column.goal.is_some()) {
            let goals = self.columns.iter().enumerate().map(|(number, column)| {
                let Some(goal) = column.goal else {
                    return "–".to_owned();
                };
                let text = self.unit.write(goal);
                match self.cell(OURS, number) {
                    Some(ours) if ours.median > goal => format!("{text}, missed"),
                    _ => text,
                }
            });
            lines.push(line("openline's goal", goals));
        }
        if (0..self.columns.len()).any(|column| self.best_other(column).is_some()) {
            let stands = (0..self.columns.len()).map(|column| {
                match (self.cell(OURS, column), self.best_other(column)) {
                    (Some(ours), Some((name, best))) => {
                        let to_best = Unit::Ratio.write(ours.median / best.median);
                        if ours.median <= best.median {
                            to_best
                        } else if ours.is_level_with(best) {
                            format!("{to_best}, level with {name}")
                        } else {
                            format!("{to_best}, {name} is first")
                        }
                    }
                    _ => "–".to_owned(),
                }
            });
            lines.push(line("openline to the best other", stands));
        }
        lines.join("\n")
    }

    fn is_best(&self, column: usize, value: f64) -> bool {
        let rivals = self.rows.iter().filter(|row| !is_ruler(&row.name));
        let mut rivals = rivals.filter_map(|row| row.cells[column]);
        rivals.all(|cell| value <= cell.median)
    }
}

fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {name} | {} |", cells.join(" | "))
}

/// A whole number with commas.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits.as_str()),
    };
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, Row, Table, Unit, thousands};

    fn table(ours: f64, other: f64) -> String {
        let row = |name: &str, value| Row {
            name: name.to_owned(),
            cells: vec![Some(Cell::alone(value))],
        };
        let table = Table {
            title: "Echo".to_owned(),
            caption: String::new(),
            unit: Unit::Ratio,
            columns: vec![Column {
                name: "20 B".to_owned(),
                goal: Some(1.0),
            }],
            rows: vec![row("raw", 0.5), row("openline", ours), row("ws", other)],
            is_drawn: true,
        };
        table.markdown()
    }

    #[test]
    fn a_row_that_is_won_is_bold_and_one_that_is_not_says_who_won() {
        let won = table(0.9, 1.2);
        assert!(won.contains("| openline | **0.90** |"), "{won}");
        assert!(won.contains("| openline's goal | 1.00 |"), "{won}");
        assert!(won.contains("best other | 0.75 |"), "{won}");
        let lost = table(1.5, 1.2);
        assert!(lost.contains("| ws | **1.20** |"), "{lost}");
        assert!(lost.contains("1.00, missed"), "{lost}");
        assert!(lost.contains("1.25, ws is first"), "{lost}");
    }

    #[test]
    fn figures_that_chance_may_have_put_in_this_order_are_level() {
        let cell = |low, median, high| Cell { low, median, high };
        let ours = cell(0.98, 1.02, 1.05);
        assert!(ours.is_level_with(cell(0.95, 1.0, 1.03)));
        assert!(!ours.is_level_with(cell(0.99, 1.0, 1.01)));
        assert!(!ours.is_level_with(cell(0.9, 0.95, 1.03)));
    }

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!(thousands(254.4), "254");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
