//! Reads what a case expects: events, the ending, the time.

use crate::conformance::case::{Decides, Ending, Event, Expected, Party, Within};
use crate::conformance::error::VectorsError;
use crate::conformance::read::document::Node;
use crate::conformance::read::step::payload;
use crate::conformance::verdict::Behavior;

/// `expect "non-strict" { text "…" }`
pub(super) fn expected(node: Node<'_>) -> Result<Expected, VectorsError> {
    node.only(&[])?;
    let behavior = match node
        .args()
        .next()
        .map(|entry| node.text(entry))
        .transpose()?
    {
        None | Some("ok") => Behavior::Ok,
        Some("non-strict") => Behavior::NonStrict,
        Some("informational") => Behavior::Informational,
        Some(_) => {
            let help = "write \"ok\", \"non-strict\" or \"informational\"";
            return Err(node.error("there is no such verdict to expect", help));
        }
    };
    let mut events = Vec::new();
    for child in node.children() {
        if child.name() == "open" {
            child.only(&[])?;
            events.push(Event::Open(child.only_text()?.to_owned()));
            continue;
        }
        if child.name() == "echo" {
            if node.children().count() > 1 {
                let help = "write the events out, or leave it to echo alone";
                return Err(child.error("echo does not go with other events", help));
            }
            return Ok(Expected {
                behavior,
                events: None,
            });
        }
        child.childless()?;
        child.only(&["size", "from", "offset"])?;
        let payload = payload(child, &mut child.args())?;
        events.push(match child.name() {
            "text" => Event::Text(payload),
            "binary" => Event::Binary(payload),
            "ping" => Event::Ping(payload),
            "pong" => Event::Pong(payload),
            _ => {
                let known = "there are: text, binary, ping, pong, open, echo";
                return Err(child.unknown(known));
            }
        });
    }
    Ok(Expected {
        behavior,
        events: Some(events),
    })
}

/// What is expected of a case that does not say: an echo, or nothing.
pub(super) fn default(echoes: bool) -> Expected {
    Expected {
        behavior: Behavior::Ok,
        events: (!echoes).then(Vec::new),
    }
}

/// `end 1002 by="peer" clean=#false decides="party"`
pub(super) fn ending(node: Node<'_>) -> Result<Ending, VectorsError> {
    node.only(&["by", "clean", "decides", "informational"])?;
    let by = match node.text_property("by")? {
        None | Some("us") => Party::Us,
        Some("peer") => Party::Peer,
        Some("end-of-file") => Party::EndOfFile,
        Some(_) => {
            let help = "write by=\"us\", \"peer\" or \"end-of-file\"";
            return Err(node.error("nobody of that name ends it", help));
        }
    };
    let decides = match node.text_property("decides")? {
        None => Decides::Nothing,
        Some("party") => Decides::Party,
        Some("code") => Decides::Code,
        Some("all") => Decides::All,
        Some(_) => {
            let help = "write decides=\"party\", \"code\" or \"all\"";
            return Err(node.error("an ending does not decide so", help));
        }
    };
    let codes: Vec<u16> = node
        .args()
        .map(|entry| node.number(entry))
        .collect::<Result<_, _>>()?;
    Ok(Ending {
        codes: match (codes.is_empty(), by) {
            (true, Party::Us) => vec![1000],
            _ => codes,
        },
        clean: node.flag("clean")?.unwrap_or(by == Party::Us),
        by,
        decides,
        informational: node.flag("informational")?.unwrap_or(false),
    })
}

/// `within 10 then="close"`
pub(super) fn within(node: Node<'_>) -> Result<Within, VectorsError> {
    node.only(&["then"])?;
    let Some(seconds) = node.args().next() else {
        return Err(node.error("within how long?", "write seconds: `within 1`"));
    };
    Ok(Within {
        time: node.seconds(seconds)?,
        closes: match node.text_property("then")? {
            None | Some("drop") => false,
            Some("close") => true,
            Some(_) => {
                let help = "write then=\"drop\" or \"close\"";
                return Err(node.error("nothing of that name is done then", help));
            }
        },
    })
}
