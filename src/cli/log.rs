//! Where the library's events go: to standard error, as text or as JSON, a line each.

use std::io::{self, Write};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::terminal::{neutralise, neutralise_json};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: an object a line
    Json,
}

/// Sets the subscriber up, for the whole program and once.
///
/// It takes no spans: each event of ours names its connection, and would name it twice.
pub(crate) fn start(level: LevelFilter, format: Format) {
    let events = filter_fn(move |metadata| !metadata.is_span() && *metadata.level() <= level)
        .with_max_level_hint(level);
    let lines = fmt::layer().with_writer(Lines(format)).with_ansi(false);
    let lines = match format {
        Format::Text => lines.with_filter(events).boxed(),
        Format::Json => lines.json().flatten_event(true).with_filter(events).boxed(),
    };
    tracing_subscriber::registry().with(lines).init();
}

/// What `steps` louder (`-v`) or quieter (`-q`) than `level` is.
pub(crate) fn level(level: LevelFilter, steps: i32) -> LevelFilter {
    let levels = [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ];
    let at = levels
        .iter()
        .position(|other| *other == level)
        .unwrap_or_default();
    let at = i32::try_from(at).unwrap_or_default().saturating_add(steps);
    let at = usize::try_from(at).unwrap_or_default();
    levels[at.min(levels.len() - 1)]
}

/// Makes each line harmless and writes it. The subscriber writes a line at a time.
#[derive(Clone, Copy, Debug)]
struct Lines(Format);

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = match self.0 {
            Format::Text => neutralise(text),
            Format::Json => neutralise_json(text),
        };
        // A log that nobody reads any more is no reason to stop.
        let _ = io::stderr()
            .lock()
            .write_all(format!("{text}\n").as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::level;

    #[test]
    fn steps_end_at_the_ends() {
        let info = LevelFilter::INFO;
        assert_eq!(level(info, 0), info);
        assert_eq!(level(info, 1), LevelFilter::DEBUG);
        assert_eq!(level(info, 9), LevelFilter::TRACE);
        assert_eq!(level(info, -1), LevelFilter::WARN);
        assert_eq!(level(info, -9), LevelFilter::OFF);
    }
}
