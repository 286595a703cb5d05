//! What of a client's request must be said otherwise for the target to understand it: the host
//! that it names, and the origin if that names the tap.
//!
//! Every other byte of the head stays as it was.

use openline::proto::Url;

/// The request with its lines changed, and what was changed, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) bytes: Vec<u8>,
    pub(super) changes: Vec<String>,
}

/// Rewrites the head of a request, which is whole, for the target.
pub(super) fn rewrite(head: &[u8], target: &Url) -> Rewritten {
    let mut bytes = Vec::with_capacity(head.len() + 64);
    let mut changes = Vec::new();
    // The host that the client means when it speaks to us.
    let ours = head
        .split_inclusive(|byte| *byte == b'\n')
        .find_map(|line| Some(field(line, "Host")?.1.to_owned()));
    for (number, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let changed = match number {
            0 => resource(line, target),
            _ => host(line, target).or_else(|| origin(line, ours.as_deref()?, target)),
        };
        match changed {
            Some((line, change)) => {
                bytes.extend_from_slice(&line);
                changes.push(change);
            }
            None => bytes.extend_from_slice(line),
        }
    }
    Rewritten { bytes, changes }
}

/// A target with a path of its own is what a client means that asks for `/`.
fn resource(line: &[u8], target: &Url) -> Option<(Vec<u8>, String)> {
    let theirs = target.resource_name();
    let rest = line.strip_prefix(b"GET / ")?;
    if theirs == "/" {
        return None;
    }
    let line = [b"GET ", theirs.as_bytes(), b" ", rest].concat();
    Some((line, format!("the path / is {theirs} to the target")))
}

fn host(line: &[u8], target: &Url) -> Option<(Vec<u8>, String)> {
    let (name, value, end) = field(line, "Host")?;
    let authority = target.authority();
    if value == authority.as_bytes() {
        return None;
    }
    let change = format!("Host: {} is {authority} to the target", lossy(value));
    Some(([name, b": ", authority.as_bytes(), end].concat(), change))
}

/// The origin of a page that the tap itself seems to have served.
fn origin(line: &[u8], ours: &[u8], target: &Url) -> Option<(Vec<u8>, String)> {
    let (name, value, end) = field(line, "Origin")?;
    let rest = value
        .strip_prefix(b"http://")
        .or_else(|| value.strip_prefix(b"https://"))?;
    let scheme = if target.is_secure() { "https" } else { "http" };
    let theirs = format!("{scheme}://{}", target.authority());
    if rest != ours || value == theirs.as_bytes() {
        return None;
    }
    let change = format!("Origin: {} is {theirs} to the target", lossy(value));
    Some(([name, b": ", theirs.as_bytes(), end].concat(), change))
}

/// The name, the value and the end of the line of a field of this name.
fn field<'a>(line: &'a [u8], wanted: &str) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, rest) = (&line[..colon], &line[colon + 1..]);
    if !name.eq_ignore_ascii_case(wanted.as_bytes()) {
        return None;
    }
    let text = rest.strip_suffix(b"\n").unwrap_or(rest);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Some((name, text.trim_ascii(), &rest[text.len()..]))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    fn rewritten(head: &str, target: &str) -> (String, Vec<String>) {
        let rewritten = rewrite(head.as_bytes(), &target.parse().unwrap());
        (
            String::from_utf8(rewritten.bytes).unwrap(),
            rewritten.changes,
        )
    }

    #[test]
    fn host_and_our_own_origin() {
        let head = "GET /a HTTP/1.1\r\nhost:  localhost:9100 \r\nX: Host: a\r\n\
            Origin: http://localhost:9100\r\n\r\n";
        let (head, changes) = rewritten(head, "wss://example.com/");
        assert_eq!(
            head,
            "GET /a HTTP/1.1\r\nhost: example.com\r\nX: Host: a\r\n\
             Origin: https://example.com\r\n\r\n"
        );
        assert_eq!(
            changes,
            [
                "Host: localhost:9100 is example.com to the target",
                "Origin: http://localhost:9100 is https://example.com to the target"
            ]
        );
    }

    #[test]
    fn another_pages_origin_and_all_else_stays() {
        let head = "GET / HTTP/1.1\nHost: h:1\r\nOrigin: https://page.example\r\nBad line\r\n\r\n";
        assert_eq!(rewritten(head, "ws://h:1/"), (head.to_owned(), vec![]));
    }

    #[test]
    fn the_targets_path_is_what_a_client_means_that_names_none() {
        let head = "GET / HTTP/1.1\r\n\r\n";
        let (head, changes) = rewritten(head, "ws://h/chat?x");
        assert_eq!(head, "GET /chat?x HTTP/1.1\r\n\r\n");
        assert_eq!(changes, ["the path / is /chat?x to the target"]);
        let head = "GET /other HTTP/1.1\r\n\r\n";
        assert_eq!(rewritten(head, "ws://h/chat").0, head);
    }
}
