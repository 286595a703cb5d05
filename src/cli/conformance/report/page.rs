//! The page: one file that needs nothing else, with everything in it.
//!
//! What peers sent stands in it as data only, and the page's script makes text of it, never
//! markup.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use openline::conformance::Vectors;
use openline::proto::Role;
use serde_json::{Map, Value, json};

/// The page of all agents in an index.
pub(super) fn page(
    folder: &Path,
    peer: Role,
    index: &Map<String, Value>,
    vectors: &Vectors,
) -> String {
    let mut cases = BTreeMap::<&String, Value>::new();
    let mut agents = Vec::new();
    for (name, results) in index {
        let mut played = Map::new();
        for (id, summary) in results.as_object().into_iter().flatten() {
            // A file that is gone, or another tool's, leaves the verdicts.
            let detail = read(folder, summary).unwrap_or_default();
            played.insert(id.clone(), result(summary, &detail));
            cases.entry(id).or_insert_with(|| describe(&detail));
        }
        agents.push(json!({ "name": name, "results": played }));
    }
    let place = |id: &str| vectors.cases().iter().position(|case| case.id == id);
    let mut ordered: Vec<_> = cases.into_iter().collect();
    ordered.sort_by_cached_key(|(id, _)| place(id).unwrap_or(usize::MAX));
    let cases: Vec<_> = ordered
        .into_iter()
        .map(|(id, mut case)| {
            case["id"] = json!(id);
            case["family"] = json!(family(id, vectors));
            case
        })
        .collect();
    let groups = vectors.groups().iter();
    let groups: Map<_, _> = groups
        .map(|group| (group.id.clone(), json!(group.title)))
        .collect();
    let data = json!({
        "peer": format!("{peer:?}").to_lowercase(),
        "version": env!("CARGO_PKG_VERSION"),
        "groups": groups,
        "cases": cases,
        "agents": agents,
    });
    // §4.12.1.3 of HTML: nothing in a script may look like its end.
    let data = data.to_string().replace('<', "\\u003c");
    PAGE.replace("/*style*/", STYLE)
        .replace("/*script*/", SCRIPT)
        .replace("/*data*/", &data)
}

fn read(folder: &Path, summary: &Value) -> Option<Value> {
    let file = summary["reportfile"].as_str()?;
    // A name, and no path to elsewhere.
    let is_name = !file.contains(['/', '\\']) && file.ends_with(".json");
    let text = is_name.then(|| fs::read(folder.join(file)).ok())??;
    serde_json::from_slice(&text).ok()
}

fn result(summary: &Value, detail: &Value) -> Value {
    json!({
        "behavior": summary["behavior"],
        "close": summary["behaviorClose"],
        "milliseconds": summary["duration"],
        "code": summary["remoteCloseCode"],
        "result": detail["result"],
        "resultClose": detail["resultClose"],
        "log": detail["openline"]["log"],
        "omitted": detail["openline"]["omitted"],
    })
}

fn describe(detail: &Value) -> Value {
    let ours = &detail["openline"];
    let title = match &ours["title"] {
        Value::Null => &detail["description"],
        title => title,
    };
    json!({
        "title": title,
        "rfc": ours["rfc"],
        "link": ours["link"],
        "why": ours["why"],
        "group": ours["group"],
        "steps": ours["steps"],
        "expectation": ours["expectation"],
    })
}

/// The family of a case, or what its id looks like.
fn family(id: &str, vectors: &Vectors) -> String {
    let guess = || id.split(['.', '/']).next().unwrap_or_default().to_owned();
    let Some(case) = vectors.case(id) else {
        return guess();
    };
    let mut group = &case.group;
    loop {
        let found = vectors.groups().iter().find(|g| g.id == *group);
        match found.and_then(|found| found.parent.as_ref()) {
            Some(parent) => group = parent,
            None => return group.clone(),
        }
    }
}

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
