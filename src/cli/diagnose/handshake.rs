//! The step of the handshake's promises: accept key, subprotocol, extensions (RFC 6455 §4.1).

use openline::proto::{Field, HandshakeError};

use crate::cli::diagnose::ask::Accepted;
use crate::cli::diagnose::cause::{Cause, Culprit, Step};
use crate::cli::diagnose::finding::{Finding, shorten};
use crate::cli::diagnose::http::Asker;
use crate::cli::diagnose::response::Response;

/// A 101 that keeps every rule.
pub(super) fn check(asker: &Asker<'_>, accepted: &Accepted, offers_deflate: bool) -> Finding {
    let offered: Vec<_> = asker.questions.full.subprotocols().collect();
    let chosen = accepted.subprotocol.as_deref();
    let extensions = accepted.response.header("Sec-WebSocket-Extensions");
    let subprotocol = match chosen {
        Some(name) => format!("subprotocol {name}"),
        None => "no subprotocol".to_owned(),
    };
    let extension = match extensions {
        Some(extensions) => format!("extensions {}", shorten(extensions, 80)),
        None => "no extensions".to_owned(),
    };
    let summary = format!("the accept key is right; {subprotocol}; {extension}");
    let finding = match (chosen, offered.is_empty()) {
        (None, false) => Finding::warning(
            Cause::SubprotocolNone,
            format!(
                "the server chose none of the subprotocols offered: {}",
                offered.join(", ")
            ),
        )
        .means(
            "RFC 6455 allows it, and browsers fail the connection (their WebSockets standard wants \
             one of those offered).",
        )
        .todo("Have the server name one of them in Sec-WebSocket-Protocol, or offer none."),
        _ => Finding::ok(Step::Handshake, summary),
    };
    let finding = finding
        .fact("subprotocol", chosen)
        .fact("extensions", extensions);
    match offers_deflate {
        true => deflate(asker, finding),
        false => finding,
    }
}

/// Whether the server would compress, asked over a connection of its own.
fn deflate(asker: &Asker<'_>, finding: Finding) -> Finding {
    let agreed = asker.offer_deflate();
    let seen = match &agreed {
        Some(Some(agreed)) => format!(
            "offered permessage-deflate, it agrees: {}",
            shorten(agreed, 120)
        ),
        Some(None) => "offered permessage-deflate, it agrees without it".to_owned(),
        None => "offered permessage-deflate, it does not agree to a connection".to_owned(),
    };
    finding.seen(seen).fact("deflate", agreed.flatten())
}

/// A 101 that breaks one.
pub(super) fn explain(asker: &Asker<'_>, error: HandshakeError, response: &Response) -> Finding {
    let finding =
        match error {
            HandshakeError::Invalid(Field::Accept) | HandshakeError::Missing(Field::Accept) => {
                let given = response.header("Sec-WebSocket-Accept");
                let finding = Finding::failed(
                    Cause::AcceptWrong,
                    "the server's accept key does not answer ours",
                )
                .seen(format!(
                    "Sec-WebSocket-Accept: {}",
                    shorten(given.unwrap_or("is missing"), 60)
                ));
                match response.header("Age").is_some() || response.header("X-Cache").is_some() {
                true => finding
                    .blames(Culprit::Proxy)
                    .means("The key is new for each connection. This answer comes out of a cache, \
                            so it answers another.")
                    .todo("Have the cache pass this path through."),
                false => finding
                    .means(
                        "The key is new for each connection, and who computes the answer wrongly \
                         has not understood WebSocket (§4.2.2), or somebody on the way changed \
                         the key or the answer.",
                    )
                    .todo("Accept = Base64(SHA-1(key + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11)); \
                           mend the server's code."),
            }
            }
            HandshakeError::Missing(Field::Upgrade | Field::Connection)
            | HandshakeError::Invalid(Field::Upgrade | Field::Connection) => Finding::failed(
                Cause::UpgradeHeaders,
                "the 101 comes without a proper Upgrade or Connection",
            )
            .means(
                "Both count from hop to hop, so a proxy on the way back may have dropped them; a \
                 server that leaves them out breaks §4.2.2.",
            )
            .todo("Have the proxies pass Upgrade and Connection of the answer on.")
            .todo("If there is no proxy: mend the server."),
            HandshakeError::SubprotocolNotOffered => {
                let offered: Vec<_> = asker.questions.full.subprotocols().collect();
                let finding = Finding::failed(
                    Cause::SubprotocolNotOffered,
                    "the server chose a subprotocol that was not offered",
                )
                .seen(format!(
                    "Sec-WebSocket-Protocol: {}",
                    shorten(
                        response
                            .header("Sec-WebSocket-Protocol")
                            .unwrap_or_default(),
                        80
                    )
                ))
                .means("Every client must fail such a connection (§4.1).");
                match offered.is_empty() {
                    true => finding.todo("Offer it, if it is right: --subprotocol NAME"),
                    false => finding.todo(format!(
                        "Have the server choose one of {} or none; case counts.",
                        offered.join(", ")
                    )),
                }
            }
            HandshakeError::ExtensionNotOffered => Finding::failed(
                Cause::ExtensionNotOffered,
                "the server agreed to an extension that was not offered",
            )
            .seen(format!(
                "Sec-WebSocket-Extensions: {}",
                shorten(
                    response
                        .header("Sec-WebSocket-Extensions")
                        .unwrap_or_default(),
                    80
                )
            ))
            .means("Every client must fail such a connection (§4.1): it could not read the frames.")
            .todo("Have the server, or the proxy that adds it, answer to what was offered only."),
            _ => Finding::failed(
                Cause::HandshakeInvalid,
                "the 101 breaks a rule of the handshake",
            )
            .means("Clients differ in how strict they are; some connect and some do not.")
            .todo("Mend what is named above, in the server or in the proxy that adds it."),
        };
    finding
        .seen(error.to_string())
        .fact("error", error.to_string())
}
