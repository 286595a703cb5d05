//! The last step: the closing handshake (RFC 6455 §7.1).

use std::time::{Duration, Instant};

use crate::cli::diagnose::cause::{Cause, Step};
use crate::cli::diagnose::finding::{Finding, Outcome, time};
use crate::cli::diagnose::open::{End, Heard, Open};

/// Closes, and looks how the server takes it.
pub(super) fn check(mut open: Open, timeout: Duration) -> Finding {
    let start = Instant::now();
    open.close();
    let end = loop {
        match open.next(start + timeout * 2) {
            Heard::Ended(end) => break end,
            Heard::Quiet => break End::CloseTimeout,
            // Messages may come until its Close frame does.
            _ => {}
        }
        if start.elapsed() > timeout * 2 {
            break End::CloseTimeout;
        }
    };
    let took = start.elapsed();
    let finding = match &end {
        End::Closed(..) => {
            let soon = Instant::now() + LINGER_MAX.min(timeout);
            match open.peer_hangs_up(soon) {
                true => Finding::ok(
                    Step::Close,
                    format!("the Close frame is answered, in {}", time(took)),
                ),
                false => Finding::warning(
                    Cause::CloseLingers,
                    "the Close frame is answered, and the TCP connection stays",
                )
                .seen(format!(
                    "it stood for another {}",
                    time(LINGER_MAX.min(timeout))
                ))
                .means(
                    "The server closes TCP first (§7.1.1), or the client is left with the \
                     waiting; a server that forgets it runs out of descriptors.",
                )
                .todo("Have the server close the socket after its Close frame went out."),
            }
        }
        End::Dropped { .. } | End::Reset(_) => Finding::failed(
            Cause::CloseDropped,
            "the server hangs up instead of answering the Close frame",
        )
        .means(
            "Clients then say 1006 or \"not clean\" where nothing is wrong, which hides what is. \
             The server, or a proxy between, takes TCP's end for WebSocket's.",
        )
        .todo("Have the server answer a Close frame before it closes the socket (§5.5.1)."),
        End::CloseTimeout => Finding::failed(
            Cause::CloseUnanswered,
            format!("our Close frame was not answered within {}", time(timeout)),
        )
        .means(
            "Every endpoint must answer it (§5.5.1). Clients wait in vain and say 1006 in the end; \
             the server keeps a connection that is over.",
        )
        .todo("Mend the server, or bring its library up to date."),
        End::Protocol(_) => Finding::failed(
            Cause::CloseBroken,
            "what came after our Close frame is not WebSocket",
        )
        .means("The server breaks the protocol while it closes.")
        .todo("Mend the server, or bring its library up to date."),
    };
    let finding = match finding.outcome {
        Outcome::Ok => finding,
        _ => finding.seen(end.to_string()),
    };
    open.hang_up();
    finding.fact("end", end.to_string()).took(took)
}

/// How long the server may take to close TCP.
const LINGER_MAX: Duration = Duration::from_secs(1);
