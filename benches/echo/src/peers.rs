//! The peers' echo servers, which the package beside this one has.

use std::error::Error;
use std::path::Path;
use std::process;

use crate::process::Command;

/// The commands of those that were asked for and can do this, built now. `mode` is one of those of
/// `peers/src/bin/echo`.
pub fn commands(names: &[String], mode: &str) -> Result<Vec<Command>, Box<dyn Error>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers");
    let built = process::Command::new("cargo")
        .args(["build", "--release", "--bin", "echo"])
        .current_dir(&package)
        .status()?;
    if !built.success() {
        return Err("the peers' servers cannot be built".into());
    }
    let program = package.join("target/release/echo");
    let known = process::Command::new(&program).arg(mode).output()?;
    let known = String::from_utf8(known.stdout)?;
    let wanted: Vec<&str> = match names {
        [all] if all == "all" => known.lines().collect(),
        names => names.iter().map(String::as_str).collect(),
    };
    let program = program.to_string_lossy();
    let more: &[&str] = match mode {
        "tls" => &["{cert}", "{key}"],
        "compressed" => &["{level}"],
        _ => &[],
    };
    let command = |name: &str| match known.lines().any(|known| known == name) {
        true => Ok(Command {
            name: name.to_owned(),
            words: ([&program, mode, name, "{port}"].iter().chain(more))
                .map(ToString::to_string)
                .collect(),
            websocket: true,
        }),
        false => {
            let known: Vec<&str> = known.lines().collect();
            let known = known.join(", ");
            Err(format!("{name} is none of the peers that can do this: {known}").into())
        }
    };
    wanted.into_iter().map(command).collect()
}
