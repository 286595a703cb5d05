//! Typed access to the nodes of a KDL document, with errors that say where and what to do.

use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};

use crate::conformance::error::{VectorsError, place};

/// A file while it is read.
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn parse(&self) -> Result<KdlDocument, VectorsError> {
        KdlDocument::parse_v2(self.text).map_err(|error| {
            let first = error.diagnostics.first();
            let what = first.map_or_else(|| error.to_string(), |first| first.to_string());
            let help = first.and_then(|first| first.help.clone());
            VectorsError {
                file: self.name.to_owned(),
                place: first.map(|first| place(self.text, first.span.offset())),
                what: format!("this is not KDL: {what}"),
                help: help.unwrap_or_else(|| "see https://kdl.dev for the syntax".to_owned()),
            }
        })
    }

    fn error(&self, offset: usize, what: String, help: impl Into<String>) -> VectorsError {
        VectorsError {
            file: self.name.to_owned(),
            place: Some(place(self.text, offset)),
            what,
            help: help.into(),
        }
    }
}

/// A node of a document.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) node: &'a KdlNode,
    pub(super) source: &'a Source<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.node.name().value()
    }

    pub(super) fn error(&self, what: impl Into<String>, help: impl Into<String>) -> VectorsError {
        self.source
            .error(self.node.span().offset(), what.into(), help)
    }

    pub(super) fn error_at(
        &self,
        entry: &KdlEntry,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> VectorsError {
        self.source.error(entry.span().offset(), what.into(), help)
    }

    pub(super) fn unknown(&self, known: &str) -> VectorsError {
        self.error(format!("there is no {:?} here", self.name()), known)
    }

    pub(super) fn children(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let source = self.source;
        self.node
            .iter_children()
            .map(move |node| Node { node, source })
    }

    /// The values without a name, in order.
    pub(super) fn args(&self) -> impl Iterator<Item = &'a KdlEntry> + use<'a> {
        let entries = self.node.entries().iter();
        entries.filter(|entry| entry.name().is_none())
    }

    /// Refuses properties that are not among the known ones, lest a slip of the pen say nothing.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), VectorsError> {
        for entry in self.node.entries() {
            if let Some(name) = entry.name()
                && !known.contains(&name.value())
            {
                let help = match known {
                    [] => format!("{} takes no properties", self.name()),
                    known => format!("{} knows {}", self.name(), known.join(", ")),
                };
                let what = format!("there is no property {:?} here", name.value());
                return Err(self.error_at(entry, what, help));
            }
        }
        Ok(())
    }

    /// Refuses children.
    pub(super) fn childless(&self) -> Result<(), VectorsError> {
        match self.children().next() {
            Some(child) => Err(child.error(
                format!("{} has no children", self.name()),
                "take the braces away",
            )),
            None => Ok(()),
        }
    }

    pub(super) fn property(&self, name: &str) -> Option<&'a KdlEntry> {
        let named = |entry: &&KdlEntry| entry.name().is_some_and(|n| n.value() == name);
        self.node.entries().iter().rfind(named)
    }

    pub(super) fn text(&self, entry: &'a KdlEntry) -> Result<&'a str, VectorsError> {
        entry.value().as_string().ok_or_else(|| {
            self.error_at(
                entry,
                "this is not a text",
                "write it in quotes: \"like this\"",
            )
        })
    }

    pub(super) fn number<T: TryFrom<i128>>(&self, entry: &KdlEntry) -> Result<T, VectorsError> {
        let number = match entry.value() {
            KdlValue::Integer(number) => Some(*number),
            // A template's value within a longer text.
            KdlValue::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| {
            self.error_at(entry, "this is not a whole number", "write digits only")
        })?;
        T::try_from(number).map_err(|_| {
            let what = format!("{number} is out of range");
            self.error_at(entry, what, "write a number that fits this place")
        })
    }

    pub(super) fn seconds(&self, entry: &KdlEntry) -> Result<std::time::Duration, VectorsError> {
        let seconds = match entry.value() {
            KdlValue::Integer(number) => u32::try_from(*number).ok().map(f64::from),
            KdlValue::Float(number) => Some(*number),
            _ => None,
        };
        seconds
            .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| {
                let what = "this is not a time";
                self.error_at(entry, what, "write seconds, such as 1 or 0.25")
            })
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, VectorsError> {
        let Some(entry) = self.property(name) else {
            return Ok(None);
        };
        let flag = entry.value().as_bool().ok_or_else(|| {
            self.error_at(
                entry,
                "this is neither #true nor #false",
                "write one of them",
            )
        })?;
        Ok(Some(flag))
    }

    pub(super) fn number_property<T: TryFrom<i128>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, VectorsError> {
        self.property(name)
            .map(|entry| self.number(entry))
            .transpose()
    }

    pub(super) fn text_property(&self, name: &str) -> Result<Option<&'a str>, VectorsError> {
        self.property(name)
            .map(|entry| self.text(entry))
            .transpose()
    }

    /// The one text that the node has to say.
    pub(super) fn only_text(&self) -> Result<&'a str, VectorsError> {
        let mut args = self.args();
        match (args.next(), args.next()) {
            (Some(entry), None) => self.text(entry),
            _ => Err(self.error(
                format!("{} takes one text", self.name()),
                format!("write {} \"…\"", self.name()),
            )),
        }
    }

    /// The texts that the node has to say, exactly so many.
    pub(super) fn texts<const N: usize>(&self) -> Result<[&'a str; N], VectorsError> {
        let texts: Vec<&str> = self
            .args()
            .map(|entry| self.text(entry))
            .collect::<Result<_, _>>()?;
        texts.try_into().map_err(|_| {
            self.error(
                format!("{} takes {N} texts", self.name()),
                "write them in quotes",
            )
        })
    }
}

/// Bytes from hexadecimal digits; blanks are for the eye.
pub(super) fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
