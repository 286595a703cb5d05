//! A case's own file: Autobahn's keys, and what we know beyond them under `openline`.

use std::time::{Duration, SystemTime};

use openline::conformance::{Case, Counts, Direction, Log, Logged, Party};
use openline::proto::Role;
use serde_json::{Map, Value, json};

use crate::cli::conformance::describe::{expectation, link, steps};
use crate::cli::conformance::record::Record;
use crate::cli::conformance::report::frame::{entries, wirelog};
use crate::cli::conformance::tally::millis;

/// Everything about a case and what came of it. `number` is its place, counted from 1.
pub(super) fn detail(record: &Record, peer: Role, agent: &str, number: usize) -> Value {
    let Record {
        case,
        outcome,
        log,
        started,
    } = record;
    let is_client = peer == Role::Client;
    let (sent, received) = (head(log, Direction::Sent), head(log, Direction::Received));
    let (request, response) = match is_client {
        true => (received, sent),
        false => (sent, received),
    };
    let late = |entry: &Logged| matches!(entry, Logged::Deadline | Logged::Dropped);
    let was_late = log.entries().iter().any(|entry| late(&entry.what));
    let clean_fault = (!outcome.clean).then(|| outcome.result_close.clone());
    let mut detail = about(case, peer, agent, number);
    let what_came = json!({
        "behavior": outcome.behavior.word(),
        "behaviorClose": outcome.behavior_close.word(),
        "closedByMe": outcome.closed_by_us,
        "droppedByMe": outcome.dropped_by_us,
        "duration": millis(outcome.duration),
        "failedByMe": false,
        "httpRequest": request,
        "httpResponse": response,
        "localCloseCode": outcome.local_close_code,
        "localCloseReason": outcome.local_close_reason,
        "received": [],
        "remoteCloseCode": outcome.remote_close_code,
        "remoteCloseReason": outcome.remote_close_reason,
        "result": outcome.result,
        "resultClose": outcome.result_close,
        "started": iso8601(*started),
        "wasClean": outcome.clean,
        "wasCloseHandshakeTimeout": outcome.opened && was_late && !outcome.clean,
        "wasNotCleanReason": clean_fault,
        "wasOpenHandshakeTimeout": !outcome.opened && was_late,
        "wasServerConnectionDropTimeout": !is_client && outcome.clean && outcome.dropped_by_us,
    });
    let traffic = json!({
        "createStats": true,
        "createWirelog": true,
        "reportCompressionRatio": false,
        "reportTime": case.id.starts_with("9."),
        "rxFrameStats": frames(log.counts(Direction::Received)),
        "rxOctetStats": octets(log.counts(Direction::Received)),
        "trafficStats": null,
        "txFrameStats": frames(log.counts(Direction::Sent)),
        "txOctetStats": octets(log.counts(Direction::Sent)),
        "wirelog": wirelog(log),
    });
    for part in [what_came, traffic] {
        if let Value::Object(part) = part {
            detail.extend(part);
        }
    }
    detail["openline"]["log"] = json!(entries(log));
    detail["openline"]["omitted"] = json!(log.omitted());
    Value::Object(detail)
}

/// What the case is, whatever came of it.
fn about(case: &Case, peer: Role, agent: &str, number: usize) -> Map<String, Value> {
    let about = json!({
        "agent": agent,
        "case": number,
        "description": description(case),
        "expectation": sentence(&expectation(case).join("; ")),
        "expected": {},
        "expectedClose": {
            "closeCode": case.ending.codes,
            "closedByMe": case.ending.by == Party::Us,
            "requireClean": case.ending.clean,
        },
        "id": case.id,
        "isServer": peer == Role::Client,
        "openline": {
            "title": case.title,
            "rfc": case.rfc,
            "link": link(&case.rfc),
            "why": case.why,
            "group": case.group,
            "steps": steps(case),
            "expectation": expectation(case),
        },
    });
    match about {
        Value::Object(about) => about,
        _ => Map::new(),
    }
}

/// As text for people and tools.
pub(super) fn to_text(value: &Value) -> String {
    format!("{value:#}\n")
}

fn description(case: &Case) -> String {
    match case.why.is_empty() {
        true => sentence(&case.title),
        false => format!("{} {}", sentence(&case.title), case.why),
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), chars.as_str())
}

/// The first head that went this way, without the empty line behind it.
fn head(log: &Log, way: Direction) -> Option<String> {
    log.entries().iter().find_map(|entry| match &entry.what {
        Logged::Head(direction, bytes) if *direction == way => {
            Some(String::from_utf8_lossy(bytes).trim_end().to_owned())
        }
        _ => None,
    })
}

fn frames(counts: &Counts) -> Value {
    let counted = counts.frames.iter().enumerate().filter(|(_, n)| **n > 0);
    let counted: Map<_, _> = counted
        .map(|(opcode, n)| (opcode.to_string(), json!(n)))
        .collect();
    Value::Object(counted)
}

fn octets(counts: &Counts) -> Value {
    let counted: Map<_, _> = counts
        .octets
        .iter()
        .map(|(size, n)| (size.to_string(), json!(n)))
        .collect();
    Value::Object(counted)
}

/// UTC, to the millisecond.
pub(super) fn iso8601(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millisecond = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// The date so many days after 1970-01-01. Years begin in March here, so that a leap day is the
/// last of its year; 400 of them have 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{iso8601, sentence};

    #[test]
    fn times_are_dates() {
        let at = |seconds| iso8601(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59.000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn sentences_begin_and_end() {
        assert_eq!(sentence("a ping"), "A ping.");
        assert_eq!(sentence("Done."), "Done.");
    }
}
