//! Completions and manual pages.

use std::fs;

use crate::support::{run, text};

#[test]
fn every_shell_is_served_and_every_subcommand_named() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell], b"");
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = text(&output.stdout);
        for word in [
            "serve",
            "connect",
            "inspect",
            "tap",
            "replay",
            "max-payload",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn manual_pages() {
    let output = run(&["man", "tap"], b"");
    assert_eq!(output.status.code(), Some(0));
    let page = text(&output.stdout);
    assert!(
        page.contains(".TH openline-tap 1") && page.contains("Exit codes:"),
        "{page}"
    );
    assert_eq!(run(&["man", "nonsense"], b"").status.code(), Some(1));

    let dir = std::env::temp_dir().join(format!("openline-man-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let output = run(&["man", "--dir", dir.to_str().unwrap()], b"");
    assert_eq!(output.status.code(), Some(0));
    for page in [
        "openline",
        "openline-serve",
        "openline-inspect",
        "openline-replay",
    ] {
        let page = dir.join(format!("{page}.1"));
        assert!(
            fs::read_to_string(&page).unwrap().contains(".SH NAME"),
            "{page:?}"
        );
    }
    fs::remove_dir_all(&dir).unwrap();
}
