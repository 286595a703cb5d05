//! From lines of JSON to tables: what each kind of line tells.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use serde_json::Value;

use crate::report::table::{Cell, Column, OURS, Row, Table, Unit, is_ruler};

/// The kinds, in the order in which they are written.
const KINDS: [&str; 8] = [
    "codec",
    "echo",
    "compressed",
    "broadcast",
    "handshakes",
    "idle",
    "flood",
    "claim",
];

/// A kind, its tables, and where they are many, all of them in one.
pub struct Section {
    pub kind: &'static str,
    pub tables: Vec<Table>,
    pub summary: Option<String>,
}

/// The tables of each kind of which there are lines.
pub fn sections(lines: &[Value]) -> Result<Vec<Section>, Box<dyn Error>> {
    for line in lines {
        let what = line["what"].as_str().unwrap_or_default();
        if !KINDS.contains(&what) {
            return Err(format!("that is not a line that can be reported: {line}").into());
        }
    }
    let mut sections = Vec::new();
    for kind in KINDS {
        let lines: Vec<&Value> = lines.iter().filter(|line| line["what"] == kind).collect();
        if lines.is_empty() {
            continue;
        }
        let tables = match kind {
            "codec" => codec(&lines)?,
            "idle" => vec![idle(&lines)?],
            "flood" => flood(&lines)?,
            "claim" => vec![claim(&lines)?],
            _ => compared(kind, &lines)?,
        };
        let summary = match kind {
            "codec" => Some(codec_summary(&lines)?),
            _ => None,
        };
        sections.push(Section {
            kind,
            tables,
            summary,
        });
    }
    Ok(sections)
}

/// A table that is filled cell by cell; rows and columns stand in the order of their first figure.
struct Filling(Table);

impl Filling {
    fn new(title: &str, caption: &str, unit: Unit) -> Self {
        Self(Table {
            title: title.to_owned(),
            caption: caption.to_owned(),
            unit,
            columns: Vec::new(),
            rows: Vec::new(),
            is_drawn: true,
        })
    }

    fn set(&mut self, row: &str, column: &str, goal: Option<f64>, cell: Cell) {
        let Self(table) = self;
        let known = table.columns.iter().position(|known| known.name == column);
        let number = known.unwrap_or_else(|| {
            table.columns.push(Column {
                name: column.to_owned(),
                goal: None,
            });
            table.columns.len() - 1
        });
        // Only openline's figures come with one.
        if goal.is_some() {
            table.columns[number].goal = goal;
        }
        let known = table.rows.iter().position(|known| known.name == row);
        let at = known.unwrap_or_else(|| {
            table.rows.push(Row {
                name: row.to_owned(),
                cells: Vec::new(),
            });
            table.rows.len() - 1
        });
        let cells = &mut table.rows[at].cells;
        cells.resize(cells.len().max(number + 1), None);
        cells[number] = Some(cell);
    }

    /// With every row as long as the others: openline first, then the rulers.
    fn finish(self) -> Table {
        let Self(mut table) = self;
        for row in &mut table.rows {
            row.cells.resize(table.columns.len(), None);
        }
        table.rows.sort_by_key(|row| match row.name.as_str() {
            OURS => 0,
            name if is_ruler(name) => 1,
            _ => 2,
        });
        table
    }
}

/// What was measured in rounds: ratios to the ruler, and the time in which the kernel says whose
/// it was.
fn compared(kind: &str, lines: &[&Value]) -> Result<Vec<Table>, Box<dyn Error>> {
    let (title, what) = match kind {
        "echo" => ("Echo", "an echo"),
        "compressed" => ("Compressed JSON", "an echo of compressed JSON"),
        "broadcast" => ("Broadcast", "a delivery"),
        _ => ("Handshakes", "a connection that is opened and closed"),
    };
    let ruler = match text(lines[0], "ruler")? {
        "raw" if kind == "handshakes" => "a server whose answers lie ready",
        "raw" => "a bare TCP echo",
        _ => "the least that a server can do",
    };
    let fewest = lines
        .iter()
        .filter_map(|line| line["rounds_kept"].as_u64())
        .min();
    let mut ratios = Filling::new(
        title,
        &format!(
            "The server's CPU time for {what}, as a ratio to that of {ruler}: medians of at least \
             {} rounds.",
            fewest.unwrap_or_default()
        ),
        Unit::Ratio,
    );
    let mut times = Filling::new(
        &format!("{title}: time in user mode"),
        "What is not the kernel's of the ratio above, as a ratio to the floor's.",
        Unit::Ratio,
    );
    for line in lines {
        let (connections, in_flight) = (whole(line, "connections")?, whole(line, "in_flight")?);
        let size = display(whole(line, "size")?);
        let column = match kind {
            "broadcast" => format!("{connections} subscribers, {in_flight} × {size}"),
            "handshakes" => format!("{connections} at a time"),
            _ => format!("{connections} × {in_flight} × {size}"),
        };
        let server = text(line, "server")?;
        let goal = line["goal"].as_f64();
        ratios.set(server, &column, goal, quartiles(&line["ratio"])?);
        if let (Some(ratio), Some(error)) = (
            line["user_ratio"].as_f64(),
            line["user_ratio_error"].as_f64(),
        ) {
            let cell = Cell {
                low: ratio - error,
                median: ratio,
                high: ratio + error,
            };
            times.set(server, &column, line["user_goal"].as_f64(), cell);
        }
    }
    let mut tables = vec![ratios.finish()];
    if kind == "echo" {
        let mut times = times.finish();
        times.is_drawn = false;
        tables.push(times);
    }
    Ok(tables)
}

fn idle(lines: &[&Value]) -> Result<Table, Box<dyn Error>> {
    let mut table = Filling::new("Idle connections", "Resident memory of each.", Unit::Bytes);
    for line in lines {
        let connections = display_count(whole(line, "connections")?);
        let variant = match text(line, "variant")? {
            "compressed" => "compression agreed",
            "tls" => "TLS",
            _ => "plain",
        };
        let server = text(line, "server")?;
        for (key, when) in [
            ("bytes_opened", "opened"),
            ("bytes_used", "after a message"),
        ] {
            let goal = match (variant, when) {
                ("plain" | "compression agreed", "opened") if server == OURS => Some(256.0),
                _ => None,
            };
            let column = format!("{variant}, {connections}, {when}");
            table.set(server, &column, goal, Cell::alone(number(line, key)?));
        }
    }
    Ok(table.finish())
}

fn flood(lines: &[&Value]) -> Result<Vec<Table>, Box<dyn Error>> {
    let mut memory = Filling::new(
        "Floods: memory",
        "By how much a server grows while peers send as fast as they can and never read.",
        Unit::Bytes,
    );
    let mut latency = Filling::new(
        "Floods: latency",
        "The 99th percentile of the round trips of a peer that behaves.",
        Unit::Milliseconds,
    );
    for line in lines {
        let server = text(line, "server")?;
        let (peers, seconds) = (whole(line, "peers")?, whole(line, "seconds")?);
        let column = format!("{peers} peers, {seconds} s");
        memory.set(
            server,
            &column,
            None,
            Cell::alone(number(line, "bytes_grown")?),
        );
        for (key, when) in [("p99_quiet_us", "before"), ("p99_us", "meanwhile")] {
            let value = number(line, key)? / 1e3;
            latency.set(
                server,
                &format!("{column}: {when}"),
                None,
                Cell::alone(value),
            );
        }
    }
    Ok([memory, latency].map(Filling::finish).into())
}

fn claim(lines: &[&Value]) -> Result<Table, Box<dyn Error>> {
    let mut table = Filling::new(
        "Claims",
        "Resident memory of each peer that declares a mebibyte and sends nothing of it.",
        Unit::Bytes,
    );
    for line in lines {
        let column = format!("{} peers", whole(line, "peers")?);
        let value = number(line, "bytes_each")?;
        table.set(text(line, "server")?, &column, None, Cell::alone(value));
    }
    Ok(table.finish())
}

/// A table for each direction, role and content.
fn codec(lines: &[&Value]) -> Result<Vec<Table>, Box<dyn Error>> {
    let mut tables: Vec<Filling> = Vec::new();
    for line in lines {
        let (direction, role) = (text(line, "direction")?, text(line, "role")?);
        let title = format!("Codec: {direction} as {role}, {}", text(line, "content")?);
        let at = tables
            .iter()
            .position(|Filling(table)| table.title == title);
        let at = at.unwrap_or_else(|| {
            let caption = "Time for a message, as a ratio to the least that it can be.";
            tables.push(Filling::new(&title, caption, Unit::Ratio));
            tables.len() - 1
        });
        let size = whole(line, "size")?;
        let goal = match size {
            16 => Some(1.5),
            0x400.. => Some(1.15),
            _ => None,
        };
        let contestants = line["contestants"].as_array();
        for contestant in contestants.ok_or_else(|| lacks(line, "contestants"))? {
            let name = text(contestant, "name")?;
            let goal = goal.filter(|_| name == OURS);
            let ratio = quartiles(&contestant["ratio_to_floor"])?;
            tables[at].set(name, &display(size), goal, ratio);
        }
    }
    Ok(tables.into_iter().map(Filling::finish).collect())
}

/// How openline stands in every row, to the best of the others and to the floor.
fn codec_summary(lines: &[&Value]) -> Result<String, Box<dyn Error>> {
    let mut sizes = BTreeSet::new();
    let mut rows: Vec<(String, BTreeMap<u64, String>)> = Vec::new();
    for line in lines {
        let (direction, role) = (text(line, "direction")?, text(line, "role")?);
        let name = format!("{direction} as {role}, {}", text(line, "content")?);
        let size = whole(line, "size")?;
        sizes.insert(size);
        let known = rows.iter().position(|(known, _)| *known == name);
        let at = known.unwrap_or_else(|| {
            rows.push((name, BTreeMap::new()));
            rows.len() - 1
        });
        let (_, cells) = &mut rows[at];
        cells.insert(size, codec_standing(line)?);
    }
    let heads: Vec<String> = sizes.iter().map(|size| display(*size)).collect();
    let mut written = vec![
        "**Codec.** openline's time for a message as a ratio to that of the best other crate in \
         the same rounds, bold where openline is first, and behind the dot to the floor's; the \
         goal for that is 1.50 at 16 B and 1.15 from 1 KiB."
            .to_owned(),
        String::new(),
        format!("|  | {} |", heads.join(" | ")),
        format!("|---|{}", "--:|".repeat(heads.len())),
    ];
    for (name, cells) in rows {
        let cell = |size| cells.get(size).map_or("–", String::as_str);
        let cells: Vec<&str> = sizes.iter().map(cell).collect();
        written.push(format!("| {name} | {} |", cells.join(" | ")));
    }
    Ok(written.join("\n"))
}

/// A cell of that: `**0.15** · 1.20`.
fn codec_standing(line: &Value) -> Result<String, Box<dyn Error>> {
    let to_best = quartiles(&line["openline_to_best"])?;
    let ratio = Unit::Ratio.write(to_best.median);
    let best = text(line, "best_of_the_others")?;
    let standing = match truth(line, "first")? {
        true => format!("**{ratio}**"),
        false if to_best.low < 1.0 => format!("{ratio}, level with {best}"),
        false => format!("{ratio}, {best} is first"),
    };
    let to_floor = quartiles(&line["openline_to_floor"])?;
    let to_floor = Unit::Ratio.write(to_floor.median);
    let missed = match truth(line, "near_floor")? {
        true => "",
        false => ", missed",
    };
    Ok(format!("{standing} · {to_floor}{missed}"))
}

fn truth(line: &Value, key: &str) -> Result<bool, String> {
    line[key].as_bool().ok_or_else(|| lacks(line, key))
}

fn text<'a>(line: &'a Value, key: &str) -> Result<&'a str, String> {
    line[key].as_str().ok_or_else(|| lacks(line, key))
}

fn whole(line: &Value, key: &str) -> Result<u64, String> {
    line[key].as_u64().ok_or_else(|| lacks(line, key))
}

fn number(line: &Value, key: &str) -> Result<f64, String> {
    line[key].as_f64().ok_or_else(|| lacks(line, key))
}

fn lacks(line: &Value, key: &str) -> String {
    format!("a line lacks {key}: {line}")
}

fn quartiles(value: &Value) -> Result<Cell, String> {
    let numbers: Option<Vec<f64>> =
        (value.as_array()).and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
    match numbers.as_deref() {
        Some(&[low, median, high]) => Ok(Cell { low, median, high }),
        _ => Err(format!("that is not a median between quartiles: {value}")),
    }
}

/// A size as people say it.
fn display(size: u64) -> String {
    match size {
        0x10_0000.. if size.is_multiple_of(0x10_0000) => format!("{} MiB", size >> 20),
        0x400.. if size.is_multiple_of(0x400) => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}

fn display_count(count: u64) -> String {
    Unit::Bytes.write(count as f64)
}
