//! Which cases cannot but meet a fault: what they do, read off the cases themselves.

use openline::conformance::{Case, Edit, Event, Frame, Item, Party, Step};

use crate::{handshake, run};

/// The connection opens.
pub(crate) fn opens(case: &Case) -> bool {
    case.opening.answer.opens()
}

/// The connection opens, and extensions were offered.
pub(crate) fn opens_with_offers(case: &Case) -> bool {
    let offers = |edit: &Edit| match edit {
        Edit::Field(name, _) | Edit::Add { name, .. } => name == "Sec-WebSocket-Extensions",
        _ => false,
    };
    let opening = &case.opening;
    opens(case) && (!opening.offers.is_empty() || opening.request.edits.iter().any(offers))
}

/// The connection opens, and no extension was offered.
pub(crate) fn opens_without_offers(case: &Case) -> bool {
    opens(case) && !opens_with_offers(case)
}

/// The path of the case is one of those that a client strikes with its fault.
pub(crate) fn is_struck(case: &Case) -> bool {
    handshake::is_struck(&run::path(&case.id))
}

/// We begin the closing handshake.
pub(crate) fn closes(case: &Case) -> bool {
    opens(case) && (case.ending.by == Party::Us || any(case, |frame| frame.opcode == 8))
}

/// The peer has to fail the connection.
pub(crate) fn is_to_fail(case: &Case) -> bool {
    opens(case) && case.ending.by == Party::Peer
}

pub(crate) fn pings(case: &Case) -> bool {
    // Behind a head there is a frame at once, and it is a ping or a text.
    let behind = |edit: &Edit| matches!(edit, Edit::Behind(_));
    any(case, |frame| frame.opcode == 9) || case.opening.response.edits.iter().any(behind)
}

/// A message comes in several frames, or a part of one does.
pub(crate) fn fragments(case: &Case) -> bool {
    any(case, |frame| {
        frame.opcode == 0
            || matches!(frame.opcode, 1 | 2) && (!frame.fin || frame.fragment.is_some())
    })
}

/// The peer answers with messages.
pub(crate) fn has_messages_answered(case: &Case) -> bool {
    answers(
        case,
        |event| matches!(event, Event::Text(_) | Event::Binary(_)),
        |frame| frame.opcode < 3,
    )
}

/// The peer answers with texts.
pub(crate) fn has_texts_answered(case: &Case) -> bool {
    answers(
        case,
        |event| matches!(event, Event::Text(_)),
        |frame| frame.opcode == 1,
    )
}

/// The peer answers with messages or pongs.
pub(crate) fn is_answered(case: &Case) -> bool {
    answers(
        case,
        |event| !matches!(event, Event::Open(_)),
        |frame| frame.opcode < 3 || frame.opcode == 9,
    )
}

/// More than one message is answered.
pub(crate) fn has_several_messages(case: &Case) -> bool {
    let mut count = 0;
    each(&case.steps, &mut |frame| {
        count += usize::from(matches!(frame.opcode, 1 | 2));
    });
    count > 1
}

/// Compression is agreed to, and used.
pub(crate) fn compresses(case: &Case) -> bool {
    any(case, |frame| frame.compress.is_some() || frame.rsv & 4 != 0)
        && !(case.opening.offers.is_empty() && case.opening.agreements.is_empty())
}

/// Compressed messages build on each other, or must not.
pub(crate) fn compresses_several(case: &Case) -> bool {
    compresses(case) && has_several_messages(case)
}

/// Some alternative has such an event, or an echo makes one of such a frame, or the peer may
/// answer as it likes.
fn answers(case: &Case, event: impl Fn(&Event) -> bool, frame: impl Fn(&Frame) -> bool) -> bool {
    case.ending.informational
        || case.expected.iter().any(|expected| match &expected.events {
            Some(events) => events.iter().any(&event),
            None => any(case, &frame),
        })
}

fn any(case: &Case, is_it: impl Fn(&Frame) -> bool) -> bool {
    let mut found = false;
    each(&case.steps, &mut |frame| found |= is_it(frame));
    found
}

/// Every frame that is sent, those repeated twice: what repeats comes more than once.
fn each(steps: &[Step], visit: &mut impl FnMut(&Frame)) {
    for step in steps {
        match step {
            Step::Write(items, _) => {
                for item in items {
                    if let Item::Frame(frame) = item {
                        visit(frame);
                    }
                }
            }
            Step::Repeat(_, steps) => {
                each(steps, visit);
                each(steps, visit);
            }
            _ => {}
        }
    }
}
