//! Tables and plots of what was measured, from the lines of JSON that it was printed in.
//!
//! Nothing is measured here, and a figure that is not among the lines is not in a table.

mod kinds;
mod plot;
mod table;

use std::error::Error;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use kinds::Section;
use table::Table;

const AFTER_HELP: &str = "\
KIND is echo, compressed, broadcast, handshakes, idle, flood, claim or codec. With --into, what \
stands between
  <!-- bench KIND -->
and
  <!-- /bench KIND -->
is written anew for each kind of which there are figures; what has no such place is left out, and \
said. Of codec's many tables codec-summary is all in one.

Examples:
  cargo run --release -- compare --peers all --json > echo.json
  (cd ../peers && cargo run --release -- --json receive server > codec.json)
  cargo run --release -- report echo.json ../peers/codec.json
  cargo run --release -- report echo.json --into ../../README.md";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Lines of JSON that --json printed, one figure each; `-` reads them from standard input. Of
    /// figures of the same thing the last counts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the tables into this file of Markdown, and not on standard output
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// Write the plots into this folder [default with --into: benches/plots]
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for file in &arguments.files {
        read(file, &mut lines)?;
    }
    let sections = kinds::sections(&lines)?;
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plots");
    let plots = match (&arguments.plots, &arguments.into) {
        (Some(directory), _) => Some(directory.clone()),
        (None, Some(_)) => Some(benches),
        (None, None) => None,
    };
    let mut text = match &arguments.into {
        Some(into) => fs::read_to_string(into).map_err(|error| named(into, &error))?,
        None => String::new(),
    };
    let mut placed = 0;
    for Section {
        kind,
        tables,
        summary,
    } in &sections
    {
        let summary = summary.as_deref().unwrap_or_default();
        let summarized = replace(&text, &format!("{kind}-summary"), summary);
        let is_summarized = summarized.is_some();
        if let Some(summarized) = summarized {
            text = summarized;
            placed += 1;
        }
        if let Some(into) = &arguments.into
            && replace(&text, kind, "").is_none()
        {
            if !is_summarized {
                eprintln!("{}: no place for {kind}; see --help", into.display());
            }
            continue;
        }
        let links = match &plots {
            Some(directory) => draw(directory, kind, tables, arguments.into.as_deref())?,
            None => Vec::new(),
        };
        let section = markdown(tables, &links);
        match replace(&text, kind, &section) {
            Some(replaced) => {
                text = replaced;
                placed += 1;
            }
            None => println!("{section}\n"),
        }
    }
    if let Some(into) = &arguments.into {
        if placed == 0 {
            return Err(format!("{} has no place for any of this", into.display()).into());
        }
        fs::write(into, text).map_err(|error| named(into, &error))?;
    }
    Ok(())
}

/// Adds the file's lines.
fn read(file: &Path, lines: &mut Vec<Value>) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    match file == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        false => fs::read_to_string(file).map(|read| text = read),
    }
    .map_err(|error| named(file, &error))?;
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(line)
            .map_err(|error| format!("{}:{}: {error}", file.display(), number + 1))?;
        lines.push(value);
    }
    Ok(())
}

fn named(file: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", file.display())
}

/// Draws the tables; answers how the file of Markdown, or the shell, calls the pictures.
fn draw(
    directory: &Path,
    kind: &str,
    tables: &[Table],
    into: Option<&Path>,
) -> Result<Vec<String>, Box<dyn Error>> {
    fs::create_dir_all(directory).map_err(|error| named(directory, &error))?;
    let mut links = Vec::new();
    for (number, table) in tables.iter().filter(|table| table.is_drawn).enumerate() {
        let name = match number {
            0 => format!("{kind}.svg"),
            number => format!("{kind}-{}.svg", number + 1),
        };
        let path = directory.join(name);
        fs::write(&path, plot::svg(table)).map_err(|error| named(&path, &error))?;
        let from = into.and_then(Path::parent).unwrap_or(Path::new("."));
        links.push(format!("![{}]({})", table.title, relative(from, &path)?));
    }
    Ok(links)
}

/// The tables, and then the pictures of them.
fn markdown(tables: &[Table], links: &[String]) -> String {
    let tables = tables.iter().map(Table::markdown);
    let parts: Vec<String> = tables.chain(links.iter().cloned()).collect();
    parts.join("\n\n")
}

/// The text with another section of that kind, if it has a place for it.
fn replace(text: &str, kind: &str, section: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- bench {kind} -->"),
        format!("<!-- /bench {kind} -->"),
    );
    let from = text.find(&begin)? + begin.len();
    let to = from + text[from..].find(&end)?;
    Some(format!("{}\n\n{section}\n\n{}", &text[..from], &text[to..]))
}

/// The way from a folder to a file.
fn relative(from: &Path, to: &Path) -> Result<String, Box<dyn Error>> {
    let from = match from.as_os_str().is_empty() {
        true => Path::new("."),
        false => from,
    };
    let (from, to) = (from.canonicalize()?, to.canonicalize()?);
    let from: Vec<Component<'_>> = from.components().collect();
    let to: Vec<Component<'_>> = to.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let down = to[shared..].iter();
    let down = down.map(|part| part.as_os_str().to_string_lossy().into_owned());
    Ok(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_what_is_between_the_marks_is_written_anew() {
        let text = "a\n<!-- bench idle -->\nold\n<!-- /bench idle -->\nb\n";
        let replaced = replace(text, "idle", "new").unwrap();
        assert_eq!(
            replaced,
            "a\n<!-- bench idle -->\n\nnew\n\n<!-- /bench idle -->\nb\n"
        );
        assert_eq!(replace(&replaced, "idle", "new").unwrap(), replaced);
        assert_eq!(replace(text, "echo", "new"), None);
    }
}
