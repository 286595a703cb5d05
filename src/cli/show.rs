//! What was seen of connections, written: as lines for people, or as JSON.
//!
//! `inspect`, `tap` and `replay` show alike, for they see alike.

use std::io::{self, Write};
use std::time::Duration;

use openline::inspect::text::{self, Line, Tone};
use openline::inspect::{Conversation, Item, json};
use serde_json::Value;

use crate::cli::form::Form;
use crate::cli::terminal::{neutralise, neutralise_json, paint};

/// Writes what is seen.
pub(crate) struct Show<W> {
    out: W,
    form: Form,
    tally: Tally,
    is_used: bool,
}

/// Where and when something was seen; nothing of it for a lone stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) connection: Option<usize>,
    /// Since the beginning, and since what was shown before.
    pub(crate) time: Option<(Duration, Duration)>,
    /// Whether the time was said already.
    pub(crate) is_continued: bool,
}

/// What was seen, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) heads: u64,
    pub(crate) frames: u64,
    pub(crate) messages: u64,
    pub(crate) violations: u64,
    pub(crate) cut_short: u64,
    pub(crate) missing: u64,
}

impl Tally {
    /// Counts an item.
    pub(crate) fn add(&mut self, item: &Item) {
        match item {
            Item::Head(head) => {
                self.heads += 1;
                self.violations += head.violations.len() as u64;
                self.cut_short += u64::from(!head.is_whole);
            }
            Item::Frame(frame) => {
                self.frames += 1;
                self.messages += u64::from(frame.message.is_some());
                self.violations += frame.violations.len() as u64;
                self.cut_short += u64::from(!frame.is_whole());
            }
            Item::Gap { missing, .. } => self.missing += missing,
            Item::Body { .. } => {}
        }
    }

    /// Whether no rule was broken.
    pub(crate) fn is_legal(&self) -> bool {
        self.violations == 0
    }

    fn line(&self) -> Line {
        let mut text = format!(
            "{}, {}, {}",
            count(self.heads, "head"),
            count(self.frames, "frame"),
            count(self.messages, "message")
        );
        if self.cut_short > 0 {
            text += &format!(", {} cut short", self.cut_short);
        }
        if self.missing > 0 {
            text += &format!(", {} missing", count(self.missing, "byte"));
        }
        match self.violations {
            0 => Line::new(Tone::Name, "legal").with(Tone::Faint, format!(": {text}")),
            faults => Line::new(
                Tone::Fault,
                format!("illegal, {}", count(faults, "violation")),
            )
            .with(Tone::Faint, format!(": {text}")),
        }
    }

    fn value(&self) -> Value {
        serde_json::json!({
            "event": "summary",
            "legal": self.is_legal(),
            "heads": self.heads,
            "frames": self.frames,
            "messages": self.messages,
            "violations": self.violations,
            "cut_short": self.cut_short,
            "missing": self.missing,
        })
    }
}

/// A number and what is counted.
pub(crate) fn count(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

impl<W: Write> Show<W> {
    pub(crate) fn new(out: W, form: Form) -> Self {
        Self {
            out,
            form,
            tally: Tally::default(),
            is_used: false,
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Something was sent.
    pub(crate) fn item(&mut self, place: Place, item: &Item) -> io::Result<()> {
        self.tally.add(item);
        match self.form {
            Form::Text { options, .. } => {
                let mut lines = text::item(item, options).into_iter();
                if let Some(first) = lines.next() {
                    self.line(place, &first)?;
                }
                // The time of the first line is that of all.
                let place = Place {
                    is_continued: true,
                    ..place
                };
                lines.try_for_each(|line| self.line(place, &line))
            }
            Form::Json => self.value(place, json::item(item)),
        }
    }

    /// Behind the response that agrees: what was agreed to.
    pub(crate) fn agreed(
        &mut self,
        place: Place,
        item: &Item,
        conversation: &Conversation,
    ) -> io::Result<()> {
        let Item::Head(head) = item else {
            return Ok(());
        };
        let (Some(101), Some(agreement)) = (head.status(), conversation.agreement()) else {
            return Ok(());
        };
        let subprotocol = agreement.subprotocol.as_deref().unwrap_or("none");
        let extensions = match agreement.extensions.as_slice() {
            [] => "none".to_owned(),
            extensions => extensions.join(", "),
        };
        let text = format!("open: subprotocol {subprotocol}, extensions {extensions}");
        let mut value = json::agreement(agreement);
        value["event"] = "open".into();
        self.remark(place, &text, value)
    }

    /// A remark: a line for people, an event for programs.
    pub(crate) fn remark(&mut self, place: Place, text: &str, event: Value) -> io::Result<()> {
        match self.form {
            Form::Text { .. } => {
                let line = Line::new(Tone::Faint, "* ").with(Tone::Faint, neutralise(text));
                self.line(place, &line)
            }
            Form::Json => self.value(place, event),
        }
    }

    /// Something is wrong that no item shows.
    pub(crate) fn fault(&mut self, place: Place, text: &str, event: Value) -> io::Result<()> {
        match self.form {
            Form::Text { .. } => {
                let text = neutralise(text);
                self.line(place, &Line::new(Tone::Fault, format!("! {text}")))
            }
            Form::Json => self.value(place, event),
        }
    }

    /// What there was, in all.
    pub(crate) fn summary(&mut self, tally: &Tally) -> io::Result<()> {
        match self.form {
            Form::Text { .. } => self.line(Place::default(), &tally.line()),
            Form::Json => self.value(Place::default(), tally.value()),
        }
    }

    /// Whether anything was written since this was last asked.
    pub(crate) fn was_used(&mut self) -> bool {
        std::mem::take(&mut self.is_used)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn line(&mut self, place: Place, line: &Line) -> io::Result<()> {
        let Form::Text { is_coloured, .. } = self.form else {
            return Ok(());
        };
        self.is_used = true;
        let mut prefix = String::new();
        if place.is_continued && place.time.is_some() {
            prefix += &" ".repeat(22);
        } else if let Some((time, delta)) = place.time {
            prefix += &format!(
                "{:>10.6} {:>+10.6} ",
                time.as_secs_f64(),
                delta.as_secs_f64()
            );
        }
        if let Some(connection) = place.connection {
            prefix += &format!("[{connection}] ");
        }
        let prefix = paint(&Line::new(Tone::Faint, prefix), is_coloured);
        writeln!(self.out, "{prefix}{}", paint(line, is_coloured))
    }

    fn value(&mut self, place: Place, mut value: Value) -> io::Result<()> {
        self.is_used = true;
        if let Some((time, delta)) = place.time {
            value["time"] = time.as_secs_f64().into();
            value["delta"] = delta.as_secs_f64().into();
        }
        if let Some(connection) = place.connection {
            value["connection"] = connection.into();
        }
        writeln!(self.out, "{}", neutralise_json(&value.to_string()))
    }
}
