//! Reads how a case opens its connection.

use crate::conformance::case::{Agreement, Answer, Check, Edit, Head, Opening};
use crate::conformance::error::VectorsError;
use crate::conformance::read::document::Node;
use crate::conformance::read::step::{chop, payload};

/// One of the nodes about the opening handshake.
pub(super) fn read(node: Node<'_>, opening: &mut Opening) -> Result<(), VectorsError> {
    match node.name() {
        "deflate" => deflate(node, opening)?,
        "request" => head(node, &mut opening.request)?,
        "response" => head(node, &mut opening.response)?,
        "checks" => {
            node.only(&[])?;
            for child in node.children() {
                opening.checks.push(check(child)?);
            }
        }
        _ => opening.answer = answer(node)?,
    }
    Ok(())
}

/// `deflate { offer "permessage-deflate"; agree max-window-bits=9 }`
fn deflate(node: Node<'_>, opening: &mut Opening) -> Result<(), VectorsError> {
    node.only(&["required", "context"])?;
    opening.deflate = node.flag("required")?.unwrap_or(true);
    opening.context = node.flag("context")?.unwrap_or(false);
    opening.offers.clear();
    opening.agreements.clear();
    for child in node.children() {
        match child.name() {
            "offer" => opening.offers.push(child.only_text()?.to_owned()),
            "agree" => {
                child.only(&["no-context-takeover", "max-window-bits"])?;
                opening.agreements.push(Agreement {
                    no_context_takeover: child.flag("no-context-takeover")?.unwrap_or(false),
                    max_window_bits: child
                        .number_property("max-window-bits")?
                        .filter(|bits| *bits > 0),
                });
            }
            _ => return Err(child.unknown("there are: offer, agree")),
        }
    }
    Ok(())
}

fn head(node: Node<'_>, head: &mut Head) -> Result<(), VectorsError> {
    node.only(&["chop"])?;
    head.chop = chop(node)?;
    for child in node.children() {
        head.edits.push(edit(child)?);
    }
    Ok(())
}

fn edit(node: Node<'_>) -> Result<Edit, VectorsError> {
    node.only(&["size", "from", "offset", "count"])?;
    let mut args = node.args();
    let mut name = || match args.next() {
        Some(entry) => node.text(entry).map(str::to_owned),
        None => {
            let help = format!("write {} \"Name\" \"value\"", node.name());
            Err(node.error("a field without a name", help))
        }
    };
    Ok(match node.name() {
        "line" => Edit::Line(payload(node, &mut args)?),
        "field" => Edit::Field(name()?, payload(node, &mut args)?),
        "add" => Edit::Add {
            name: name()?,
            value: payload(node, &mut args)?,
            count: node.number_property("count")?.unwrap_or(1),
        },
        "without" => Edit::Without(name()?),
        "raw" => Edit::Raw(payload(node, &mut args)?),
        "line-end" => Edit::LineEnd(node.only_text()?.to_owned()),
        "cut" => match args.next() {
            Some(entry) => Edit::Cut(node.number(entry)?),
            None => return Err(node.error("cut where?", "write how many bytes remain")),
        },
        "behind" => Edit::Behind(payload(node, &mut args)?),
        "whole" => Edit::Whole(payload(node, &mut args)?),
        _ => {
            return Err(node.unknown(
                "there are: line, field, add, without, raw, line-end, cut, behind, whole",
            ));
        }
    })
}

fn check(node: Node<'_>) -> Result<Check, VectorsError> {
    node.only(&["max"])?;
    Ok(match node.name() {
        "method" => Check::Method(node.only_text()?.to_owned()),
        "version" => Check::Version(node.only_text()?.to_owned()),
        "has" => {
            let [name, value] = node.texts()?;
            Check::Has(name.to_owned(), value.to_owned())
        }
        "lists" => {
            let [name, word] = node.texts()?;
            Check::Lists(name.to_owned(), word.to_owned())
        }
        "once" => Check::Once(node.only_text()?.to_owned()),
        "lacks" => Check::Lacks(node.only_text()?.to_owned()),
        "key" => Check::Key,
        "agrees" => Check::Agrees(node.only_text()?.to_owned(), node.number_property("max")?),
        "declines" => Check::Declines,
        _ => {
            return Err(node.unknown(
                "there are: method, version, has, lists, once, lacks, key, agrees, declines",
            ));
        }
    })
}

fn answer(node: Node<'_>) -> Result<Answer, VectorsError> {
    node.only(&[])?;
    let help = "write \"opens\", \"should-open\", \"rejects\", \"drops\", \"either\", or statuses";
    let Some(first) = node.args().next() else {
        return Err(node.error("what answer?", help));
    };
    match first.value().as_string() {
        Some("opens") => Ok(Answer::Opens),
        Some("should-open") => Ok(Answer::ShouldOpen),
        Some("rejects") => Ok(Answer::Rejects),
        Some("drops") => Ok(Answer::Drops),
        Some("either") => Ok(Answer::Either),
        Some(_) => Err(node.error_at(first, "there is no such answer", help)),
        None => {
            let statuses = node.args().map(|entry| node.number(entry));
            Ok(Answer::Refuses(statuses.collect::<Result<_, _>>()?))
        }
    }
}
