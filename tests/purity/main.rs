//! `proto` stays pure, and its arrows run one way.
//!
//! The test reads the sources of `src/proto` as a compiler's first pass would: comments and
//! strings fall away, nested `use` groups open up, renames are followed, unit tests are left
//! out (they may look at a clock). What remains may not name a socket, a file, a thread, the
//! environment, a clock, a source of entropy, or state that nobody passed in; and a module may
//! name only those that stand before it in [`LAYERS`].

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::{Name, Source};

/// What `proto` may not name: a path that begins so, and why.
const ROOTS: &[(&str, &str)] = &[
    ("std::io", "I/O is the caller's"),
    // But `core::net` has address literals only, and nothing that could be opened.
    ("std::net", "sockets belong to net"),
    ("std::os", "the operating system belongs to net"),
    ("std::fs", "files are the caller's"),
    ("std::env", "the environment is not an argument"),
    ("std::process", "processes are the caller's"),
    ("std::thread", "threads are the caller's"),
    ("crate::net", "proto knows no layer above it"),
    ("crate::cli", "proto knows no layer above it"),
    ("openline", "proto names itself by crate::proto"),
    ("mio", "sockets belong to net"),
    ("socket2", "sockets belong to net"),
    ("rustls", "TLS is a transport"),
    ("tracing", "what happens is told by events and errors"),
    ("getrandom", "entropy is an argument"),
    ("rand::rng", "entropy is an argument"),
    ("rand::random", "entropy is an argument"),
    ("rand::make_rng", "entropy is an argument"),
];

/// What it may not name wherever it stands in a path, and why.
const ANYWHERE: &[(&str, &str)] = &[
    ("Instant::now", "time is an argument"),
    ("Instant::elapsed", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("thread_rng", "entropy is an argument"),
    ("ThreadRng", "entropy is an argument"),
    ("SysRng", "entropy is an argument"),
    ("OsRng", "entropy is an argument"),
    ("from_os_rng", "entropy is an argument"),
    ("RandomState", "entropy is an argument"),
    ("HashMap", "its hasher draws entropy"),
    ("HashSet", "its hasher draws entropy"),
    ("static mut", "state is an argument"),
    ("thread_local", "state is an argument"),
    ("print", "output is the caller's"),
    ("println", "output is the caller's"),
    ("eprint", "output is the caller's"),
    ("eprintln", "output is the caller's"),
    ("dbg", "output is the caller's"),
    ("*", "a glob hides what it brings"),
];

/// The modules of `proto`, each group resting on the groups before it.
///
/// Within a group the modules may name each other: a close code, an error that knows its close
/// code and a header whose decoding gives that error are one vocabulary in three files.
const LAYERS: &[&[&str]] = &[
    &["mask"],
    &["utf8"],
    &["close", "error", "frame"],
    &["http"],
    &["accept"],
    &["extension"],
    &["url"],
    &["deflate"],
    &["config"],
    &["event"],
    &["message"],
    &["copy"],
    &["buffer"],
    &["timer"],
    &["connection"],
    &["handshake"],
];

#[test]
fn proto_is_pure() {
    let found: Vec<_> = sources().iter().flat_map(impurities).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_arrows_run_one_way() {
    let sources = sources();
    let exports = exports(&sources);
    let found: Vec<_> = sources
        .iter()
        .flat_map(|source| wrong_arrows(source, &exports))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn what_is_planted_is_caught() {
    for planted in [
        "use std::io;",
        "use std::{fmt, io::{self, Read}};",
        "use std::{fmt, time::{Duration, SystemTime}};",
        "use ::std::net::SocketAddr;",
        "use std as s; fn f(e: s::io::Error) {}",
        "use std::{self as s}; fn f() { s::thread::yield_now() }",
        "use std::*;",
        "fn f() { std::thread::sleep(x) }",
        "fn f() -> Option<std::env::Args> { None }",
        "fn f() { let _ = std::fs::read(x); }",
        "fn f() { std::process::exit(1) }",
        "use crate::net::EventLoop;",
        "use crate::{cli, proto::Config};",
        "use super::super::net::serve;",
        "fn f() { crate::net::serve(a, b) }",
        "use std::time::Instant; fn f() -> Instant { Instant::now() }",
        "use std::time::Instant as I; fn f() -> I { I::now() }",
        "fn f() { let now = std::time::Instant::now; }",
        "use mio::Poll;",
        "fn f(t: &rustls::ServerConnection) {}",
        "use socket2::Socket;",
        "use rand::{rngs::{StdRng, SysRng}, SeedableRng};",
        "fn f() -> u32 { rand::rng().next_u32() }",
        "fn f() -> u32 { rand::thread_rng().next_u32() }",
        "use rand::random;",
        "fn f() { getrandom::fill(&mut b) }",
        "static mut COUNT: u32 = 0;",
        "thread_local! { static A: u8 = 0 }",
        "static A: std::sync::OnceLock<u8> = OnceLock::new();",
        "static A: LazyLock<u8> = LazyLock::new(f);",
        "pub(crate) static A: [AtomicU8; 2] = [const { AtomicU8::new(0) }; 2];",
        "fn f() { println!(\"{}\", 1) }",
        "const S: &str = \"// \"; use std::io;",
        "const C: char = '\"'; use std::io;",
        "const R: &str = r#\"\"/*\"#; use std::io;",
        "/* /* */ */ use std::io;",
    ] {
        let text = format!("//! A file.\n\nfn before<'a>(_: &'a str) {{}}\n{planted}\n");
        let found = impurities(&Source::new("planted.rs", &["proto", "planted"], &text));
        assert!(
            !found.is_empty() && found.iter().all(|at| at.starts_with("planted.rs:4: ")),
            "{planted}: {found:?}"
        );
    }
}

#[test]
fn what_is_innocent_is_left_alone() {
    for innocent in [
        "// std::io would be wrong here",
        "/// As [`std::io::Read`] does, and [`Instant::now`].",
        "/* use std::io; */",
        "const S: &str = \"std::io::Read\";",
        "const R: &[u8] = br#\"use std::io; \"quoted\" \"#;",
        "use std::{fmt, time::{Duration, Instant}};",
        "use rand::rngs::{ChaCha12Rng, StdRng};",
        "fn f<'io>(now: &'io str) -> impl Fn() + use<'io> { move || () }",
        "static TABLE: [u8; 2] = [b'\\'', b'\"'];",
        "struct Shared { once: std::sync::OnceLock<u8>, name: &'static str }",
        "fn f(m: &M) { m.net.print(m.io, m.thread) }",
        "#[cfg(test)]\nmod tests {\n use super::*;\n fn f() { Instant::now(); }\n}",
        "#[cfg(test)]\nuse std::time::SystemTime;",
    ] {
        let found = impurities(&Source::new(
            "innocent.rs",
            &["proto", "innocent"],
            innocent,
        ));
        assert!(found.is_empty(), "{innocent}: {found:?}");
    }
}

#[test]
fn a_wrong_arrow_is_caught() {
    let exports = BTreeMap::from([
        ("Connection".to_owned(), "connection".to_owned()),
        ("MaskingKey".to_owned(), "mask".to_owned()),
    ]);
    let arrows = |module: &str, text: &str| {
        let path = ["proto", module, "inner"];
        wrong_arrows(&Source::new("planted.rs", &path, text), &exports).len()
    };
    assert_eq!(
        arrows("frame", "use crate::proto::connection::Connection;"),
        1
    );
    assert_eq!(arrows("frame", "use crate::proto::Connection;"), 1);
    assert_eq!(arrows("frame", "use super::super::Connection;"), 1);
    assert_eq!(
        arrows("connection", "fn f(h: crate::proto::handshake::Upgrade) {}"),
        1
    );
    assert_eq!(
        arrows("handshake", "use crate::proto::{connection, MaskingKey};"),
        0
    );
    assert_eq!(arrows("close", "use crate::proto::error::SendError;"), 0);
    assert_eq!(arrows("novelty", "use crate::proto::MaskingKey;"), 1);
}

/// Every place where `source` names what `proto` must not, as `file:line: …`.
fn impurities(source: &Source) -> Vec<String> {
    let mut found = BTreeSet::new();
    for Name { line, path } in &source.names {
        let root = ROOTS.iter().find(|(root, _)| {
            let rest = path.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        let anywhere = ANYWHERE
            .iter()
            .find(|(name, _)| format!("::{path}::").contains(&format!("::{name}::")));
        for (_, why) in root.into_iter().chain(anywhere) {
            found.insert((*line, format!("{path}: {why}")));
        }
    }
    let at = |(line, what)| format!("{}:{line}: {what}", source.file);
    found.into_iter().map(at).collect()
}

/// Every arrow from `source` to a module that stands above it.
fn wrong_arrows(source: &Source, exports: &BTreeMap<String, String>) -> Vec<String> {
    let layer = |module: &str| LAYERS.iter().position(|group| group.contains(&module));
    // mod.rs of proto itself only declares and re-exports.
    let Some(module) = source.module.get(1) else {
        return Vec::new();
    };
    let Some(from) = layer(module) else {
        return vec![format!("{}: {module} has no place in LAYERS", source.file)];
    };
    let mut found = Vec::new();
    for Name { line, path } in &source.names {
        let Some(first) = path.strip_prefix("crate::proto::") else {
            continue;
        };
        let first = first.split("::").next().unwrap_or_default();
        let target = exports.get(first).map_or(first, String::as_str);
        match layer(target) {
            Some(to) if to <= from => {}
            Some(_) => found.push(format!(
                "{}:{line}: {path}: {module} stands below {target}",
                source.file
            )),
            None => found.push(format!(
                "{}:{line}: {path}: {target} has no place in LAYERS",
                source.file
            )),
        }
    }
    found
}

/// Which module each name comes from that `proto` re-exports.
fn exports(sources: &[Source]) -> BTreeMap<String, String> {
    let root = sources.iter().find(|source| source.module.len() == 1);
    let mut exports = BTreeMap::new();
    for Name { path, .. } in &root.expect("src/proto/mod.rs is there").names {
        if let Some((module, name)) = path.rsplit_once("::") {
            let module = module.strip_prefix("crate::proto::").unwrap_or(module);
            let module = module.split("::").next().unwrap_or_default();
            exports.insert(name.to_owned(), module.to_owned());
        }
    }
    exports
}

/// Every source file of `proto`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.join("proto")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources can be listed") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file is text");
            let inside = path.strip_prefix(&root).expect("proto is under src");
            let module = inside.with_extension("");
            let module: Vec<_> = module
                .iter()
                .filter_map(|part| part.to_str())
                .filter(|&part| part != "mod")
                .collect();
            let file = format!("src/{}", inside.display());
            sources.push(Source::new(&file, &module, &text));
        }
    }
    assert!(sources.len() > 8, "only {} files found", sources.len());
    sources
}
