//! Reports: files in Autobahn's form, and one page for people.
//!
//! A folder holds any number of agents: a run replaces those of its own agent that it played
//! again, and nothing else. Every file is replaced whole, never half written.

mod detail;
mod frame;
mod page;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use openline::conformance::Vectors;
use openline::proto::Role;
use serde_json::{Map, Value, json};

use crate::cli::conformance::record::Record;
use crate::cli::conformance::tally::millis;

/// Adds what came of these cases for an agent to the reports in a folder.
pub(super) fn write(
    folder: &Path,
    peer: Role,
    agent: &str,
    records: &[&Record],
    vectors: &Vectors,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut index = read_index(&folder.join(INDEX))?;
    let stem = stem(agent, &index);
    let numbers: BTreeSet<_> = records.iter().map(|record| &record.case.id).collect();
    let results = index.entry(agent).or_insert_with(|| json!({}));
    let Some(results) = results.as_object_mut() else {
        return Err(io::Error::other(
            "index.json is not an index of Autobahn's form",
        ));
    };
    debug_assert_eq!(numbers.len(), records.len());
    for record in records {
        let id = &record.case.id;
        let file = format!("{stem}_case_{}.json", id.replace(['.', '/'], "_"));
        let number = vectors.cases().iter().position(|case| case.id == *id);
        let detail = detail::detail(record, peer, agent, number.map_or(0, |n| n + 1));
        replace(&folder.join(&file), &detail::to_text(&detail))?;
        let summary = json!({
            "behavior": record.outcome.behavior.word(),
            "behaviorClose": record.outcome.behavior_close.word(),
            "duration": millis(record.outcome.duration),
            "remoteCloseCode": record.outcome.remote_close_code,
            "reportfile": file,
        });
        results.insert(id.clone(), summary);
    }
    replace(
        &folder.join(INDEX),
        &detail::to_text(&Value::Object(index.clone())),
    )?;
    let page = page::page(folder, peer, &index, vectors);
    replace(&folder.join("index.html"), &page)
}

fn read_index(path: &Path) -> io::Result<Map<String, Value>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(error),
    };
    match serde_json::from_slice(&text) {
        Ok(Value::Object(index)) => Ok(index),
        _ => Err(io::Error::other(
            "index.json is not an index of Autobahn's form",
        )),
    }
}

/// What the names of an agent's files begin with: its name in harmless characters, and a number
/// if another agent has the same.
fn stem(agent: &str, index: &Map<String, Value>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let plain: String = agent
        .chars()
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    let is_taken = |stem: &str| {
        let mut others = index.iter().filter(|(name, _)| *name != agent);
        others.any(|(_, cases)| {
            let mut cases = cases.as_object().into_iter().flatten();
            cases.any(|(_, case)| {
                let file = case["reportfile"].as_str().unwrap_or_default();
                file.split_once("_case_")
                    .is_some_and(|(other, _)| other == stem)
            })
        })
    };
    let numbered = (2..).map(|n| format!("{plain}_{n}"));
    let mut stems = std::iter::once(plain.clone()).chain(numbered);
    stems.find(|stem| !is_taken(stem)).unwrap_or(plain)
}

/// Writes a file beside the old one, and puts it in its place.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

const INDEX: &str = "index.json";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::stem;

    #[test]
    fn agents_with_names_alike_have_files_of_their_own() {
        let index = json!({
            "a.b": { "1.1.1": { "reportfile": "a_b_case_1_1_1.json" } },
        });
        let index = index.as_object().unwrap();
        assert_eq!(stem("a.b", index), "a_b");
        assert_eq!(stem("a/b", index), "a_b_2");
        assert_eq!(stem("../../etc", index), "______etc");
    }
}
