//! What is shown: the steps as they are known, then the verdict; or one document of JSON.
//!
//! Nothing of the peer's reaches a terminal but through [`terminal`](crate::cli::terminal).

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use console::{Term, measure_text_width};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::diagnose::cause::{Cause, Culprit, Step};
use crate::cli::diagnose::finding::{Finding, Outcome};
use crate::cli::terminal::{Colour, neutralise, neutralise_json};

/// Shows findings.
#[derive(Debug)]
pub(super) struct Display {
    is_json: bool,
    is_coloured: bool,
    width: usize,
    progress: Option<ProgressBar>,
}

#[derive(Clone, Copy, Debug)]
enum Ink {
    Green,
    Yellow,
    Red,
    Dim,
    Bold,
}

/// Where the texts of a step begin, and those beneath it.
const INDENT: usize = 17;
const LABEL: usize = 6;
/// Where the texts of the verdict begin.
const VERDICT: usize = 9;
/// Longer lines are hard to read.
const WIDTH_MAX: usize = 100;
/// Narrower ones are left to the terminal to wrap.
const WIDTH_MIN: usize = 50;

impl Display {
    /// For standard output, whatever it is.
    pub(super) fn stdout(is_json: bool, colour: Colour) -> Self {
        let width = match io::stdout().is_terminal() {
            true => Term::stdout()
                .size_checked()
                .map(|(_, columns)| columns.into()),
            false => None,
        };
        Self {
            is_json,
            is_coloured: colour.on(&io::stdout()),
            width: width.unwrap_or(WIDTH_MAX).clamp(WIDTH_MIN, WIDTH_MAX),
            progress: None,
        }
    }

    /// What is asked for.
    pub(super) fn title(&self, url: &str) {
        if !self.is_json {
            self.line(&self.paint(Ink::Bold, &neutralise(url)));
            self.line("");
        }
    }

    /// Something begins that may take long. Only a terminal sees it, on standard error.
    pub(super) fn working(&mut self, step: Step, what: &str) {
        self.rest();
        let progress = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template(" {spinner}     {msg} {elapsed}");
        if let Ok(style) = style {
            progress.set_style(style);
        }
        progress.set_message(format!("{:<10} {}", step.name(), neutralise(what)));
        progress.enable_steady_tick(Duration::from_millis(100));
        self.progress = Some(progress);
    }

    /// It is over.
    fn rest(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish_and_clear();
        }
    }

    /// A step is known.
    pub(super) fn finding(&mut self, finding: &Finding) {
        self.rest();
        if self.is_json {
            return;
        }
        let (mark, ink) = match finding.outcome {
            Outcome::Ok => (" ok ", Ink::Green),
            Outcome::Warning => ("warn", Ink::Yellow),
            Outcome::Failed => ("FAIL", Ink::Red),
            Outcome::Skipped => (" -  ", Ink::Dim),
        };
        let head = format!("{}  {:<9}  ", self.paint(ink, mark), finding.step.name());
        let summary = match finding.outcome {
            Outcome::Skipped => Some(Ink::Dim),
            Outcome::Failed => Some(Ink::Bold),
            _ => None,
        };
        self.paragraph(&head, &finding.summary, INDENT, summary);
        self.labelled("seen", &finding.seen, Some(Ink::Dim));
        // What a failure means stands in the verdict.
        if finding.outcome == Outcome::Warning {
            self.labelled("means", std::slice::from_ref(&finding.means), None);
            self.labelled("do", &finding.todo, None);
        }
    }

    /// Lines beneath a step, of which the first says what they are.
    fn labelled(&self, label: &str, lines: &[String], ink: Option<Ink>) {
        for (at, line) in lines.iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let head = format!("{:INDENT$}{label:<LABEL$}", "");
            self.paragraph(&head, line, INDENT + LABEL, ink);
        }
    }

    /// All is known: what it comes to.
    pub(super) fn end(&mut self, url: Option<&str>, findings: &[Finding], exit: u8) {
        self.rest();
        match self.is_json {
            true => {
                let document = document(url, findings, exit).to_string();
                self.line(&neutralise_json(&document));
            }
            false => self.verdict(findings, exit),
        }
    }

    fn verdict(&self, findings: &[Finding], exit: u8) {
        let unreached: Vec<_> = Step::ALL
            .into_iter()
            .filter(|step| findings.iter().all(|finding| finding.step != *step))
            .map(Step::name)
            .collect();
        if !unreached.is_empty() {
            let text = format!("not reached: {}", unreached.join(", "));
            self.paragraph(
                &self.paint(Ink::Dim, " -   "),
                &text,
                INDENT,
                Some(Ink::Dim),
            );
        }
        self.line("");
        let Some(failed) = findings.iter().find(|finding| finding.is_failed()) else {
            let warnings = findings
                .iter()
                .filter(|one| one.outcome == Outcome::Warning);
            let text = match warnings.count() {
                0 => "Nothing is wrong with this connection, as far as was looked.".to_owned(),
                1 => "The connection works; look at the warning above.".to_owned(),
                n => format!("The connection works; look at the {n} warnings above."),
            };
            self.line(&self.paint(Ink::Green, &text));
            return;
        };
        let verdict = format!("{}: {}", failed.step.name(), failed.summary);
        self.last("verdict", &verdict, Some(Ink::Red));
        if let Some(culprit) = failed.culprit {
            self.last("suspect", culprit.words(), None);
        }
        self.last("means", &failed.means, None);
        for (at, todo) in failed.todo.iter().enumerate() {
            let label = if at == 0 { "do" } else { "" };
            let head = format!(
                "{}  {}. ",
                self.paint(Ink::Bold, &format!("{label:<7}")),
                at + 1
            );
            self.paragraph(&head, todo, VERDICT + 3, None);
        }
        let cause = failed.cause.map_or("", Cause::name);
        self.last("exit", &format!("{exit} ({cause})"), Some(Ink::Dim));
    }

    /// A line of the verdict.
    fn last(&self, label: &str, text: &str, ink: Option<Ink>) {
        let head = format!("{}  ", self.paint(Ink::Bold, &format!("{label:<7}")));
        self.paragraph(&head, text, VERDICT, ink);
    }

    /// Writes `text` behind `head`, its further lines indented.
    fn paragraph(&self, head: &str, text: &str, indent: usize, ink: Option<Ink>) {
        let mut lines =
            wrap(&neutralise(text), self.width - indent.min(self.width / 2)).into_iter();
        let painted = |line: String| match ink {
            Some(ink) => self.paint(ink, &line),
            None => line,
        };
        self.line(&format!(
            "{head}{}",
            painted(lines.next().unwrap_or_default())
        ));
        for line in lines {
            self.line(&format!("{}{}", " ".repeat(indent), painted(line)));
        }
    }

    fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.is_coloured || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Green => 32,
            Ink::Yellow => 33,
            Ink::Red => 31,
            Ink::Dim => 2,
            Ink::Bold => 1,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A line that is harmless already. That nobody reads it is no reason to stop.
    fn line(&self, line: &str) {
        let _ = writeln!(io::stdout(), "{}", line.trim_end());
    }
}

/// Breaks between words, so that no line is wider, if a word alone is not.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always one");
        match measure_text_width(line) + 1 + measure_text_width(word) {
            _ if line.is_empty() => line.push_str(word),
            // Writing to a string cannot fail.
            n if n <= width => drop(write!(line, " {word}")),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The whole report. Its keys are documented in the help and stay as they are.
fn document(url: Option<&str>, findings: &[Finding], exit: u8) -> Value {
    let failed = findings.iter().find(|finding| finding.is_failed());
    let verdict = failed.map(|failed| {
        json!({
            "step": failed.step.name(),
            "cause": failed.cause.map(Cause::name),
            "culprit": failed.culprit.map(Culprit::name),
            "summary": failed.summary,
            "means": failed.means,
            "do": failed.todo,
        })
    });
    let mut steps: Vec<_> = findings.iter().map(Finding::json).collect();
    let unreached = Step::ALL.into_iter();
    let unreached = unreached.filter(|step| findings.iter().all(|finding| finding.step != *step));
    steps.extend(unreached.map(|step| Finding::skipped(step, "not reached").json()));
    json!({ "url": url, "exit": exit, "verdict": verdict, "steps": steps })
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrap("incomprehensibilities a", 7),
            ["incomprehensibilities", "a"]
        );
        assert_eq!(wrap("", 7), [""]);
    }
}
