//! The step of the first messages: what the server says, and whether it hangs up at once.

use std::time::{Duration, Instant};

use crate::cli::diagnose::cause::{Cause, Culprit, Step};
use crate::cli::diagnose::finding::{Finding, count, time};
use crate::cli::diagnose::open::{End, Heard, Open};

/// Sends `texts` and listens for `window`.
pub(super) fn check(open: &mut Open, texts: &[String], window: Duration) -> Finding {
    let start = Instant::now();
    for text in texts {
        // What cannot be sent shows as the end, below.
        let _ = open.send_text(text);
    }
    let (mut messages, mut pings, mut lines) = (0, 0, Vec::new());
    let finding = loop {
        match open.next(start + window) {
            Heard::Message(line) => {
                messages += 1;
                if lines.len() < LINES_MAX {
                    lines.push(format!("after {}: {line}", time(start.elapsed())));
                }
            }
            Heard::Ping => pings += 1,
            Heard::Pong(_) => {}
            Heard::Quiet => break quiet(messages, window, texts),
            Heard::Ended(end) => {
                let at = time(start.elapsed());
                let seen = format!("{at} after the handshake: {end}");
                break ended(&end).seen(seen).fact("end", end.to_string());
            }
        }
        // One that never pauses would keep us here.
        if start.elapsed() >= window {
            break quiet(messages, window, texts);
        }
    };
    finding
        .seen_all(lines)
        .fact("messages", messages)
        .fact("pings", pings)
        .took(start.elapsed())
}

/// The messages that are shown.
const LINES_MAX: usize = 5;

fn quiet(messages: usize, window: Duration, texts: &[String]) -> Finding {
    let window = time(window);
    let summary = match (messages, texts.is_empty()) {
        (0, true) => format!("none within {window}, and the connection stands"),
        (0, false) => format!("no answer to --send within {window}, and the connection stands"),
        (n, _) => format!("{} within {window}", count(n, "message", "messages")),
    };
    Finding::ok(Step::Messages, summary)
}

/// The server ended it, and by how one may know why.
pub(super) fn ended(end: &End) -> Finding {
    let code = match end {
        End::Closed(Some(code), _) => code.number(),
        End::Closed(None, _) => {
            return Finding::failed(
                Cause::ClosedWithoutCode,
                "the server closed the connection without saying why",
            )
            .means("It closed in order, with a Close frame that has no code (clients say 1005).")
            .todo("Look into the server's log; perhaps it expects a message or a subprotocol.");
        }
        End::Protocol(error) => {
            return Finding::failed(
                Cause::ProtocolBroken,
                format!("what the server sent is not WebSocket: {error}"),
            )
            .means(
                "The handshake was right and the frames are not: the server is at fault, or \
                 something on the way changed the bytes. Every strict client hangs up here.",
            )
            .todo("See the frames: openline tap, or a capture with openline inspect.")
            .todo(
                "Bring the server's library, and what compresses or rewrites on the way, up to \
                 date.",
            );
        }
        End::Dropped { .. } | End::Reset(_) | End::CloseTimeout => {
            return Finding::failed(
                Cause::Dropped,
                "the connection was dropped right after the handshake",
            )
            .means(
                "No Close frame came, so no WebSocket server ended it in order: it crashed or was \
                 killed, or a proxy that agreed to the Upgrade lost the server behind it.",
            )
            .todo("Look into the log of the server, then of the proxy, at this very time.");
        }
    };
    match code {
        1000 => Finding::failed(
            Cause::ClosedNormally,
            "the server closed at once, content (1000)",
        )
        .means("It has nothing to say or to hear here: its handler returned.")
        .todo("Does the path lead to the right handler? Does it wait for messages?"),
        1001 | 1012 => Finding::failed(
            Cause::ClosedGoingAway,
            format!("the server goes down or restarts ({code})"),
        )
        .means("It was told to end, as by a deployment, and says good-bye to everybody.")
        .todo("Connect again in a while, with some chance in how long.")
        .todo("If this lasts: does it restart in a loop?"),
        1002 | 1003 | 1007 => Finding::failed(
            Cause::ClosedProtocol,
            format!(
                "the server says that we broke the protocol or sent what it does not take \
                 ({code})"
            ),
        )
        .means(
            "It does not understand what it received: something on the way changed it, the server \
             expects another subprotocol, or the messages of --send are not of its kind.",
        )
        .todo("What did it receive? Its log says more; so does openline tap before it."),
        1008 => Finding::failed(
            Cause::ClosedPolicy,
            "the server let us in and then refused by policy (1008)",
        )
        .means(
            "Mostly authentication after the handshake: the token is missing, wrong or expired; \
             also a limit, or a rule that this client breaks.",
        )
        .todo(
            "Give credentials (--bearer, --cookie, --header), or the first message that it \
             expects (--send).",
        )
        .todo("The reason above, and the server's log, say which policy."),
        1009 => Finding::failed(
            Cause::ClosedTooBig,
            "a message was too big for the server (1009)",
        )
        .means(
            "The limit of the server, or of a proxy that reads messages, is below what was \
             sent.",
        )
        .todo("Send less at once, or raise its limit."),
        1010 => Finding::failed(
            Cause::ClosedProtocol,
            "the server misses an extension (1010), which only clients may say",
        )
        .means("RFC 6455 has this code for clients alone.")
        .todo("Look into the server's log."),
        1011 | 1014 => Finding::failed(
            Cause::ClosedInternalError,
            format!("the server met an error of its own ({code})"),
        )
        .blames(match code {
            1014 => Culprit::LoadBalancer,
            _ => Culprit::Endpoint,
        })
        .means("An exception in the handler of the connection, mostly: the client cannot help it.")
        .todo("Look into the server's log at this very time; the reason above may name it."),
        1013 => Finding::failed(Cause::ClosedOverload, "the server is overloaded (1013)")
            .means("It asks to try again later, and elsewhere if there is an elsewhere.")
            .todo("Connect again after a while, longer from try to try, with some chance in it.")
            .todo("Look at the server's load and its limits on connections."),
        _ => Finding::failed(
            Cause::ClosedApplication,
            format!("the server closed with a code of its own ({code})"),
        )
        .means(
            "Codes from 3000 on are a framework's or the application's: its documentation knows \
             what this one means.",
        )
        .todo("Look the code up there; 4001, 4003 and 4401 are mostly authentication."),
    }
}
