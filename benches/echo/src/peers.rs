//! The peers' echo servers, which the package beside this one has.

#[path = "../../peers/src/bin/echo/names.rs"]
mod names;

use std::error::Error;
use std::path::Path;
use std::process;

use crate::process::Command;

/// The commands of those that were asked for and can do this, built now. `mode` is one of those of
/// `peers/src/bin/echo`.
pub fn commands(asked: &[String], mode: &str) -> Result<Vec<Command>, Box<dyn Error>> {
    let names = wanted(asked, mode)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers");
    let built = process::Command::new("cargo")
        .args(["build", "--release", "--bin", "echo"])
        .args(["--target-dir", "target"])
        .current_dir(&package)
        .status()?;
    if !built.success() {
        return Err("the peers' servers cannot be built".into());
    }
    let program = package.join("target/release/echo");
    let program = program.to_string_lossy();
    let more: &[&str] = match mode {
        "tls" => &["{cert}", "{key}"],
        "compressed" => &["{level}"],
        _ => &[],
    };
    let command = |name: &str| Command {
        name: name.to_owned(),
        words: ([&program, mode, name, "{port}"].iter().chain(more))
            .map(ToString::to_string)
            .collect(),
        websocket: true,
    };
    Ok(names.into_iter().map(command).collect())
}

/// Those that were asked for: all that can do this, or by their names.
fn wanted<'a>(asked: &'a [String], mode: &str) -> Result<Vec<&'a str>, String> {
    let known = names::of(mode).unwrap_or_default();
    if let [all] = asked
        && all == "all"
    {
        return Ok(known);
    }
    let name = |name: &'a String| match known.contains(&name.as_str()) {
        true => Ok(name.as_str()),
        false => Err(format!(
            "{name} is none of the peers that can do this: {}",
            known.join(", ")
        )),
    };
    asked.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn a_name_is_known_before_anything_is_built() {
        let asked = |names: &[&str]| -> Vec<String> { names.iter().map(|&n| n.into()).collect() };
        assert_eq!(wanted(&[], "echo"), Ok(vec![]));
        assert_eq!(
            wanted(&asked(&["wtx", "yawc"]), "echo"),
            Ok(vec!["wtx", "yawc"])
        );
        assert_eq!(wanted(&asked(&["all"]), "compressed"), Ok(vec!["yawc"]));
        let error = wanted(&asked(&["wtx"]), "broadcast").unwrap_err();
        assert!(error.starts_with("wtx is none of the peers"), "{error}");
    }
}
