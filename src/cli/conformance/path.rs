//! The paths of the server that clients connect to: Autobahn's own, and friendlier ones.

use openline::conformance::Case;

/// What a client asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// To be put to a case, as this agent.
    Play(&'static Case, Option<String>),
    /// The number of cases.
    Count,
    /// The ids of all cases, as a list of JSON.
    List,
    /// What a case is.
    Info(&'static Case),
    /// What came of a case for this agent.
    Status(&'static Case, Option<String>),
    /// That the reports be written.
    Reports,
    /// That we end.
    Stop,
    /// Something that there is not; in a sentence.
    Unknown(String),
}

/// What every path is, for those who ask for another.
pub(super) const PATHS: &str = "\
/getCaseCount                   a text: how many cases there are
/runCase?case=N&agent=NAME      the Nth case, counted from 1
/getCaseInfo?case=N             a text of JSON: its id and description
/getCaseStatus?case=N&agent=NAME  a text of JSON: its verdict
/updateReports?agent=NAME       writes the reports
/stopServer                     ends the server
/cases                          a text of JSON: the ids of all cases
/case/ID?agent=NAME             a case by its id, such as /case/6.4.1 or /case/mask/server/text
";

/// Reads the target of a request.
pub(super) fn read(target: &str, cases: &[&'static Case]) -> Asked {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let value = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decode(value))
    };
    let agent = || {
        value("agent")
            .filter(|agent| !agent.is_empty())
            .map(|agent| clip(&agent))
    };
    let case = || {
        let given = value("case").unwrap_or_default();
        let by_number = given.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        // A tuple is how Autobahn's own tools call a case: its id.
        let found = by_number
            .and_then(|n| cases.get(n))
            .or_else(|| by_id(&given, cases));
        found
            .copied()
            .ok_or_else(|| format!("case={given} is none of the cases 1 to {}", cases.len()))
    };
    let or = |asked: Result<Asked, String>| asked.unwrap_or_else(Asked::Unknown);
    match path {
        "/getCaseCount" => Asked::Count,
        "/cases" => Asked::List,
        "/updateReports" => Asked::Reports,
        "/stopServer" => Asked::Stop,
        "/runCase" => or(case().map(|case| Asked::Play(case, agent()))),
        "/getCaseInfo" => or(case().map(Asked::Info)),
        "/getCaseStatus" => or(case().map(|case| Asked::Status(case, agent()))),
        path => match path.strip_prefix("/case/") {
            Some(id) => {
                // In a path, as it is not in a query, a + is a +.
                let id = decode(&id.replace('+', "%2B"));
                match by_id(&id, cases) {
                    Some(case) => Asked::Play(case, agent()),
                    None => Asked::Unknown(format!("there is no case {id} here")),
                }
            }
            None => Asked::Unknown(format!("there is nothing at {path}")),
        },
    }
}

fn by_id<'a>(id: &str, cases: &'a [&'static Case]) -> Option<&'a &'static Case> {
    cases.iter().find(|case| case.id == id)
}

/// Percent-encoding undone (RFC 3986 §2.1), and the `+` of forms; what is none stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |n: usize| {
            let byte = after.get(n).copied().map(char::from);
            byte.and_then(|c| c.to_digit(16))
                .and_then(|d| u8::try_from(d).ok())
        };
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            (b'+', ..) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A name that is no longer than anybody reads.
pub(super) fn clip(name: &str) -> String {
    name.chars().take(AGENT_MAX).collect()
}

/// The characters of an agent's name.
const AGENT_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use openline::conformance::Vectors;

    use super::{Asked, read};

    #[test]
    fn autobahns_paths_and_ours() {
        let cases: Vec<_> = Vectors::embedded().cases().iter().collect();
        let played = |target: &str| match read(target, &cases) {
            Asked::Play(case, agent) => (case.id.clone(), agent),
            other => panic!("{target}: {other:?}"),
        };
        let agent = Some("a b/1".to_owned());
        assert_eq!(
            played("/runCase?case=1&agent=a%20b/1"),
            ("1.1.1".to_owned(), agent)
        );
        assert_eq!(played("/case/6.4.1"), ("6.4.1".to_owned(), None));
        assert_eq!(
            played("/runCase?agent=&case=6.4.1"),
            ("6.4.1".to_owned(), None)
        );
        assert!(matches!(read("/getCaseCount", &cases), Asked::Count));
        assert!(
            matches!(read("/getCaseInfo?case=2", &cases), Asked::Info(case) if case.id == "1.1.2")
        );
        for nothing in [
            "/",
            "/runCase",
            "/runCase?case=0",
            "/runCase?case=99999",
            "/case/",
        ] {
            assert!(
                matches!(read(nothing, &cases), Asked::Unknown(_)),
                "{nothing}"
            );
        }
    }
}
