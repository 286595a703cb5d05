//! What is wrong with a vectors file: where it is, and what to do about it.

use std::error::Error;
use std::fmt;

/// A vectors file cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorsError {
    /// The name of the file.
    pub file: String,
    /// Where in the file: the line and the column, from 1. `None` is the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for VectorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.what, self.help)
    }
}

impl Error for VectorsError {}

/// The line and the column of an offset in a text, both from 1.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}
