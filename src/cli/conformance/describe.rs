//! A case in words, for somebody who wants to learn from it.

use std::fmt::Write;

use openline::conformance::{
    Answer, Behavior, Case, Chop, Event, Expected, Frame, Head, Item, Party, Payload, Step,
};
use openline::inspect::quote;

/// Everything about a case: what it is, why it is, what is done and what must come of it.
pub(super) fn describe(case: &Case) -> String {
    let mut text = format!("{}  {}\n{}", case.id, case.title, case.rfc);
    if let Some(link) = link(&case.rfc) {
        let _ = write!(text, "  {link}");
    }
    let whom = match case.peer {
        None => "servers and clients".to_owned(),
        Some(role) => format!("{}s", format!("{role:?}").to_lowercase()),
    };
    let _ = write!(text, "\nfor {whom}\n");
    if !case.why.is_empty() {
        let _ = write!(text, "\n{}\n", case.why);
    }
    let steps = steps(case);
    if !steps.is_empty() {
        text.push_str("\nWhat is sent:\n");
        for step in steps {
            let _ = writeln!(text, "  {step}");
        }
    }
    text.push_str("\nWhat is expected:\n");
    for line in expectation(case) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// The section on the web, of a citation such as `RFC 6455 §5.2`.
pub(super) fn link(rfc: &str) -> Option<String> {
    let (document, section) = rfc.strip_prefix("RFC ")?.split_once(" §")?;
    let is_section = |c: char| c.is_ascii_digit() || c == '.';
    let section: String = section.chars().take_while(|c| is_section(*c)).collect();
    let number: u32 = document.parse().ok()?;
    let section = section.trim_end_matches('.');
    Some(format!(
        "https://www.rfc-editor.org/rfc/rfc{number}#section-{section}"
    ))
}

/// What is done, a line a step.
pub(super) fn steps(case: &Case) -> Vec<String> {
    let mut lines = Vec::new();
    for (whose, head) in [
        ("request", &case.opening.request),
        ("response", &case.opening.response),
    ] {
        lines.extend(edits(whose, head));
    }
    if !case.opening.offers.is_empty() {
        lines.push(format!("offer: {}", case.opening.offers.join(", ")));
    }
    write_steps(&case.steps, "", &mut lines);
    lines
}

fn edits(whose: &str, head: &Head) -> Vec<String> {
    use openline::conformance::Edit;
    let edits = head.edits.iter().map(|edit| {
        let what = match edit {
            Edit::Line(line) => format!("begins with {}", payload(line)),
            Edit::Field(name, value) => format!("says {name}: {}", payload(value)),
            Edit::Add { name, value, count } => match count {
                1 => format!("adds {name}: {}", payload(value)),
                _ => format!("adds {name}: {}, {count} times", payload(value)),
            },
            Edit::Without(name) => format!("lacks {name}"),
            Edit::Raw(bytes) => format!("has {} behind its fields", payload(bytes)),
            Edit::LineEnd(end) => format!("ends its lines with {}", quote(end.as_bytes(), 20)),
            Edit::Cut(size) => format!("is cut off behind {size} bytes"),
            Edit::Behind(bytes) => format!("is followed at once by {}", payload(bytes)),
            Edit::Whole(bytes) => format!("is {}", payload(bytes)),
        };
        format!("our {whose} {what}")
    });
    let mut lines: Vec<_> = edits.collect();
    if let Chop::Size(size) = head.chop {
        lines.push(format!("our {whose} comes {size} bytes at a time"));
    }
    lines
}

fn write_steps(steps: &[Step], indent: &str, lines: &mut Vec<String>) {
    for step in steps {
        match step {
            Step::Write(items, chop) => {
                for item in items {
                    let what = match item {
                        Item::Frame(frame) => self::frame(frame),
                        Item::Raw(bytes) => format!("bytes {}", payload(bytes)),
                    };
                    lines.push(format!("{indent}{what}"));
                }
                match chop {
                    Chop::Whole => {}
                    Chop::Frame => lines.push(format!("{indent}  (each frame by itself)")),
                    Chop::Size(1) => lines.push(format!("{indent}  (one byte at a time)")),
                    Chop::Size(n) => lines.push(format!("{indent}  ({n} bytes at a time)")),
                }
            }
            Step::Pause(time, mark) => {
                let mark = mark
                    .as_ref()
                    .map_or_else(String::new, |m| format!(" ({m})"));
                lines.push(format!("{indent}wait {} s{mark}", time.as_secs_f64()));
            }
            Step::Await(1) => lines.push(format!("{indent}wait for an answer")),
            Step::Await(n) => lines.push(format!("{indent}wait for {n} answers")),
            Step::Shutdown => lines.push(format!("{indent}the end of our stream")),
            Step::Drop => lines.push(format!("{indent}drop the connection")),
            Step::Repeat(count, steps) => {
                lines.push(format!("{indent}{count} times:"));
                write_steps(steps, &format!("{indent}  "), lines);
            }
        }
    }
}

fn frame(frame: &Frame) -> String {
    let name = match frame.opcode {
        0 => "continuation",
        1 => "text",
        2 => "binary",
        8 => "close",
        9 => "ping",
        10 => "pong",
        _ => "frame",
    };
    let mut text = match name {
        "frame" => format!("frame of opcode {:#x}", frame.opcode),
        name => name.to_owned(),
    };
    if !frame.fin {
        text.push_str(", not the last");
    }
    for (bit, name) in [(4, "RSV1"), (2, "RSV2"), (1, "RSV3")] {
        if frame.rsv & bit != 0 {
            let _ = write!(text, ", {name}");
        }
    }
    match frame.masked {
        None => {}
        Some(true) => text.push_str(", masked"),
        Some(false) => text.push_str(", not masked"),
    }
    if let Some(length) = frame.length {
        let _ = write!(text, ", declaring {length} bytes");
    }
    if let Some(form) = frame.form {
        let _ = write!(text, ", its length in {form} bits");
    }
    if let Some(size) = frame.fragment {
        let _ = write!(text, ", in fragments of {size} bytes");
    }
    if frame.compress.is_some() {
        text.push_str(", compressed");
    }
    match (frame.opcode, &*frame.payload.render()) {
        (_, []) => {}
        (8, &[a, b, ref reason @ ..]) => {
            let _ = write!(text, " {}", u16::from_be_bytes([a, b]));
            if !reason.is_empty() {
                let _ = write!(text, " {}", quote(reason, SHOWN_MAX));
            }
        }
        _ => {
            let _ = write!(text, " {}", payload(&frame.payload));
        }
    }
    for (after, time, mark) in &frame.pauses {
        let mark = mark
            .as_ref()
            .map_or_else(String::new, |m| format!(" ({m})"));
        let _ = write!(
            text,
            ", {} s of silence{mark} behind {after} bytes",
            time.as_secs_f64()
        );
    }
    text
}

/// What must come of it, a line an alternative and one for the end.
pub(super) fn expectation(case: &Case) -> Vec<String> {
    let mut lines = Vec::new();
    match &case.opening.answer {
        Answer::Opens | Answer::ShouldOpen => {}
        Answer::Refuses(statuses) => {
            let listed: Vec<_> = statuses.iter().map(u16::to_string).collect();
            lines.push(format!("the server refuses with {}", listed.join(" or ")));
        }
        Answer::Rejects => lines.push("the client drops the connection".to_owned()),
        Answer::Drops => lines.push("the peer refuses, or drops the connection".to_owned()),
        Answer::Either => lines.push("whatever the peer does is legal, and told".to_owned()),
    }
    if !case.opening.answer.opens() {
        return lines;
    }
    lines.extend(case.expected.iter().map(alternative));
    if case.opening.answer == Answer::ShouldOpen {
        let behavior = Behavior::NonStrict;
        lines.push(format!(
            "or, {behavior}: the server refuses with 400 to 499"
        ));
    }
    let ending = &case.ending;
    let codes: Vec<_> = ending.codes.iter().map(u16::to_string).collect();
    let codes = match codes.is_empty() {
        true => String::new(),
        false => format!(" with {}", codes.join(" or ")),
    };
    let end = match ending.by {
        Party::Us => format!("then we close, and the peer answers{codes}"),
        Party::Peer if ending.clean => format!("then the peer closes{codes}"),
        Party::Peer => format!("then the peer closes{codes}, or drops the connection"),
        Party::EndOfFile => "then our stream ends, and the peer drops the connection".to_owned(),
    };
    lines.push(match ending.informational {
        true => format!("{end}; anything else is legal, and told"),
        false => end,
    });
    lines.push(format!("within {} s", case.within.time.as_secs_f64()));
    lines
}

fn alternative(expected: &Expected) -> String {
    let what = match &expected.events {
        None => "all of it echoed".to_owned(),
        Some(events) if events.is_empty() => "no answer".to_owned(),
        Some(events) => {
            let said: Vec<_> = events.iter().map(event).collect();
            said.join(", ")
        }
    };
    match expected.behavior {
        Behavior::Ok => what,
        behavior => format!("or, {behavior}: {what}"),
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::Text(bytes) => format!("text {}", payload(bytes)),
        Event::Binary(bytes) => format!("binary {}", payload(bytes)),
        Event::Ping(bytes) => format!("ping {}", payload(bytes)),
        Event::Pong(bytes) => format!("pong {}", payload(bytes)),
        Event::Open(mark) => format!("still open at {mark}"),
    }
}

fn payload(payload: &Payload) -> String {
    match payload.len() {
        0 => "(empty)".to_owned(),
        size if size > SHOWN_MAX => {
            format!("{} ({size} bytes)", quote(&payload.render(), SHOWN_MAX))
        }
        _ => quote(&payload.render(), SHOWN_MAX),
    }
}

/// The characters that are shown of a payload.
const SHOWN_MAX: usize = 48;

#[cfg(test)]
mod tests {
    use openline::conformance::Vectors;

    use super::{describe, link};

    #[test]
    fn a_section_has_its_place_on_the_web() {
        let cases = [
            (
                "RFC 6455 §5.2",
                Some("https://www.rfc-editor.org/rfc/rfc6455#section-5.2"),
            ),
            (
                "RFC 7692 §7.1.2.1",
                Some("https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.1"),
            ),
            (
                "RFC 6455 §5.5, §5.6",
                Some("https://www.rfc-editor.org/rfc/rfc6455#section-5.5"),
            ),
            ("elsewhere", None),
        ];
        for (rfc, expected) in cases {
            assert_eq!(link(rfc).as_deref(), expected);
        }
    }

    #[test]
    fn every_case_can_be_described() {
        for case in Vectors::embedded().cases() {
            let text = describe(case);
            assert!(text.contains(&case.title), "{text}");
            assert!(link(&case.rfc).is_some(), "{} cites {}", case.id, case.rfc);
        }
    }

    #[test]
    fn a_case_in_words() {
        let case = Vectors::embedded().case("5.6").unwrap();
        let text = describe(case);
        assert!(
            text.contains("text, not the last \"fragment1\"\n"),
            "{text}"
        );
        assert!(text.contains("ping \"ping payload\"\n"), "{text}");
        assert!(
            text.contains("we close, and the peer answers with 1000"),
            "{text}"
        );
    }
}
