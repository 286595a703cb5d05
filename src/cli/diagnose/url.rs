//! The first step: what was asked for (RFC 6455 §3).

use openline::proto::{Url, UrlError};

use crate::cli::diagnose::cause::{Cause, Step};
use crate::cli::diagnose::finding::Finding;

/// Reads the URL; the finding says what there is to know about it.
pub(super) fn check(text: &str) -> (Finding, Option<Url>) {
    match text.parse::<Url>() {
        Ok(url) => (describe(&url, text), Some(url)),
        Err(error) => (refuse(text, error), None),
    }
}

fn describe(url: &Url, text: &str) -> Finding {
    let transport = match url.is_secure() {
        true => "TLS",
        false => "no TLS",
    };
    let summary = format!(
        "{transport}, host {}, port {}, path {}",
        url.host(),
        url.port(),
        without_query(url.resource_name()),
    );
    let mut finding = Finding::ok(Step::Url, summary)
        .fact("secure", url.is_secure())
        .fact("host", url.host())
        .fact("port", url.port());
    if !url.is_secure() && !is_local(url.host()) {
        finding = finding
            .seen("ws:// is readable on the way, and a page that came by https:// may not open it");
    }
    if has_userinfo(text) {
        finding = finding.seen(
            "user information becomes Basic authentication; browsers send it on their own terms",
        );
    }
    finding
}

fn refuse(text: &str, error: UrlError) -> Finding {
    let finding = match error {
        UrlError::Scheme => Finding::failed(Cause::UrlScheme, error.to_string()).means(
            "Without ws:// or wss:// it is not known whether to speak TLS, nor to which port.",
        ),
        _ => Finding::failed(Cause::UrlInvalid, error.to_string())
            .means("No client can know what is meant, so nothing was sent anywhere."),
    };
    let suggestion = match (error, text.split_once("://")) {
        (UrlError::Scheme, None) => Some(format!("ws://{text}, or wss://{text} for TLS")),
        (UrlError::Scheme, Some(("http", rest))) => Some(format!("ws://{rest}")),
        (UrlError::Scheme, Some(("https", rest))) => Some(format!("wss://{rest}")),
        _ => None,
    };
    finding.todo(match suggestion {
        // What may be a password is not repeated.
        Some(suggestion) if !has_userinfo(text) => format!("Did you mean {suggestion}?"),
        Some(_) => "Write ws:// (or wss:// for TLS) before it.".to_owned(),
        None => "Correct the URL and run this again.".to_owned(),
    })
}

/// The URL as a report may have it, which is passed on: without what may be a secret.
pub(super) fn shown(url: &Url) -> String {
    let whole = url.to_string();
    match whole.split_once('?') {
        Some((path, _)) => format!("{path}?…"),
        None => whole,
    }
}

/// A query may hold a token.
fn without_query(resource_name: &str) -> String {
    match resource_name.split_once('?') {
        Some((path, _)) => format!("{path}?…"),
        None => resource_name.to_owned(),
    }
}

/// Whether there is something before an `@` in the authority.
fn has_userinfo(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest[..end].contains('@')
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host == "::1" || host.starts_with("127.")
}
