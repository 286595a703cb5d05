//! Holds what the peer answers against what may be answered.
//!
//! Of the messages only the one at hand is kept, and of it no more than the case could have sent.

use std::fmt::Write;

use crate::conformance::case::{Case, Event};
use crate::conformance::payload::Payload;
use crate::conformance::verdict::Behavior;

/// What the peer did.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    Text(&'a [u8]),
    Binary(&'a [u8]),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Open(&'a str),
}

/// The alternatives, and how far each has been followed.
#[derive(Debug)]
pub(super) struct Judge {
    alternatives: Vec<Alternative>,
    /// The bytes of the longest message that may come.
    pub(super) message_max: usize,
    /// How many events have come.
    pub(super) count: usize,
}

#[derive(Debug)]
struct Alternative {
    behavior: Behavior,
    events: Vec<Event>,
    /// Where it was left, in words.
    difference: Option<String>,
}

impl Judge {
    pub(super) fn new(case: &Case, echo: &[Event]) -> Self {
        let alternatives: Vec<_> = case
            .expected
            .iter()
            .map(|expected| Alternative {
                behavior: expected.behavior,
                events: expected.events.clone().unwrap_or_else(|| echo.to_vec()),
                difference: None,
            })
            .collect();
        let expected = alternatives.iter().flat_map(|a| &a.events);
        // What was sent may come back, whether it is expected or not.
        let sizes = expected.chain(echo).map(|event| match event {
            Event::Text(payload) | Event::Binary(payload) => payload.len(),
            _ => 0,
        });
        Self {
            message_max: sizes.max().unwrap_or(0),
            alternatives,
            count: 0,
        }
    }

    pub(super) fn see(&mut self, seen: &Seen<'_>) {
        let place = self.count;
        self.count += 1;
        for alternative in &mut self.alternatives {
            if alternative.difference.is_some() {
                continue;
            }
            alternative.difference = match alternative.events.get(place) {
                None => Some(format!("nothing more was expected, and {} came", say(seen))),
                Some(event) => difference(event, seen),
            };
        }
    }

    /// Whether all that the strict alternative expects has come, and nothing else.
    pub(super) fn is_satisfied(&self) -> bool {
        self.alternatives
            .first()
            .is_some_and(|strict| strict.is_met(self.count))
    }

    /// The verdict on what has come, and why.
    pub(super) fn verdict(&self) -> (Behavior, String) {
        let met = self.alternatives.iter().find(|a| a.is_met(self.count));
        if let Some(met) = met {
            let why = match met.behavior {
                Behavior::Ok => "The peer answered as expected.",
                Behavior::NonStrict => "The peer answered as is allowed, but not as it should.",
                _ => "The document leaves the answer open.",
            };
            return (met.behavior, why.to_owned());
        }
        let why = match self.alternatives.first() {
            None => "Nothing is expected of this case.".to_owned(),
            Some(strict) => match &strict.difference {
                Some(difference) => format!("Event {}: {difference}.", self.count),
                None => format!(
                    "Only {} of {} events came; the next is {}.",
                    self.count,
                    strict.events.len(),
                    strict
                        .events
                        .get(self.count)
                        .map_or_else(String::new, say_expected)
                ),
            },
        };
        (Behavior::Failed, why)
    }
}

impl Alternative {
    fn is_met(&self, count: usize) -> bool {
        self.difference.is_none() && self.events.len() == count
    }
}

/// `None` if this is what was expected.
fn difference(event: &Event, seen: &Seen<'_>) -> Option<String> {
    let (payload, bytes) = match (event, seen) {
        (Event::Text(payload), Seen::Text(bytes))
        | (Event::Binary(payload), Seen::Binary(bytes))
        | (Event::Ping(payload), Seen::Ping(bytes))
        | (Event::Pong(payload), Seen::Pong(bytes)) => (payload, bytes),
        (Event::Open(mark), Seen::Open(other)) if mark == other => return None,
        _ => {
            return Some(format!(
                "{} was expected, and {} came",
                say_expected(event),
                say(seen)
            ));
        }
    };
    let expected = payload.render();
    if *expected == **bytes {
        return None;
    }
    let at = expected
        .iter()
        .zip(*bytes)
        .take_while(|(a, b)| a == b)
        .count();
    Some(format!(
        "{} was expected, and {} came; they differ from byte {at} on",
        say_expected(event),
        say(seen)
    ))
}

fn say_expected(event: &Event) -> String {
    let of = |what, payload: &Payload| describe(what, &payload.render());
    match event {
        Event::Text(payload) => of("a text", payload),
        Event::Binary(payload) => of("a binary message", payload),
        Event::Ping(payload) => of("a ping", payload),
        Event::Pong(payload) => of("a pong", payload),
        Event::Open(mark) => format!("a connection that is still open at {mark}"),
    }
}

fn say(seen: &Seen<'_>) -> String {
    match seen {
        Seen::Text(bytes) => describe("a text", bytes),
        Seen::Binary(bytes) => describe("a binary message", bytes),
        Seen::Ping(bytes) => describe("a ping", bytes),
        Seen::Pong(bytes) => describe("a pong", bytes),
        Seen::Open(mark) => format!("the end of pause {mark}, the connection still open"),
    }
}

fn describe(what: &str, bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 24;
    let mut text = format!("{what} of {} bytes", bytes.len());
    if !bytes.is_empty() {
        let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
        let dots = if bytes.len() > SHOWN_MAX { "…" } else { "" };
        let _ = write!(text, " \"{}{dots}\"", shown.escape_ascii());
    }
    text
}
