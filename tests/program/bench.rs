//! `openline bench`: loads, what is reported, and servers that fail.

use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Server, accept, by_hand, frames, openline, run, signal, text};

/// A short run, for what is tested is not the speed.
fn bench(url: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    bench_for("300ms", url, arguments)
}

fn bench_for(duration: &str, url: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let short = ["bench", url, "--json", "--warm-up", "0", "-d", duration];
    let output = run(&[&short[..], arguments].concat(), b"");
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("no report, but {}", text(&output.stderr)));
    (output.status.code(), report)
}

fn number(report: &Value, key: &str) -> u64 {
    let number = report[key].as_u64();
    number.unwrap_or_else(|| panic!("{key} is no number: {report}"))
}

#[test]
fn echoes_are_counted_and_timed() {
    let server = Server::start(&["-q"]);
    for load in [
        &["-c", "4"][..],
        &["-c", "3", "--in-flight", "16", "--size", "1-4k", "--text"],
        &["-c", "2", "--size", "20:9,300k:1", "--threads", "2"],
        &["-c", "2", "--spin"],
    ] {
        let (code, report) = bench(&server.url, load);
        assert_eq!(code, Some(0), "{report}");
        assert_eq!(report["verdict"], "ok");
        assert!(number(&report, "messages") > 0, "{report}");
        assert!(number(&report, "bytes") >= number(&report, "messages"));
        assert_eq!(number(&report, "unanswered"), 0);
        let latency = |key: &str| report["latency_us"][key].as_f64().unwrap();
        assert!(latency("min") > 0.0);
        assert!(latency("p50") <= latency("p99") && latency("p99") <= latency("max"));
    }
}

#[test]
fn a_rate_is_kept() {
    let server = Server::start(&["-q"]);
    let (code, report) = bench(&server.url, &["-c", "5", "--rate", "200"]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["rate"], 200.0);
    // 60 are due; without a rate there would be thousands. A busy machine may be late for some,
    // and those that were due before the window may come back within it.
    assert!((1..=600).contains(&number(&report, "messages")), "{report}");
}

#[test]
fn people_get_lines() {
    let server = Server::start(&["-q"]);
    let arguments = ["--warm-up", "0", "--duration", "200ms", "-c", "2"];
    let output = run(&[&["bench", &server.url], &arguments[..]].concat(), b"");
    assert_eq!(output.status.code(), Some(0));
    let report = text(&output.stdout);
    for word in [
        "2 connections",
        "messages ",
        "/s",
        "p99.9",
        "125 bytes of binary",
    ] {
        assert!(report.contains(word), "{report}");
    }
    // There is no terminal, and so no progress.
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn compression_is_agreed_to_and_messages_come_back_whole() {
    let server = Server::start(&["-q", "--compress"]);
    let load = ["-c", "2", "--compress", "--text", "--size", "1-8k"];
    let (code, report) = bench(&server.url, &load);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(number(&report, "compressed"), 2);
}

#[test]
fn over_tls() {
    let server = Server::start(&["-q", "--tls-self-signed"]);
    let ca = server.self_signed();
    let (code, report) = bench(&server.url, &["-c", "2", "--ca", &ca]);
    assert_eq!(code, Some(0), "{report}");
    assert!(number(&report, "messages") > 0);
    let (code, report) = bench(&server.url, &["-c", "2"]);
    assert_eq!(code, Some(8), "{report}");
    assert_eq!(report["failures"][0]["verdict"], "tls-certificate");
}

#[test]
fn everyone_gets_what_one_publishes() {
    let server = Server::start(&["-q", "--broadcast"]);
    for load in [
        &["-c", "20"][..],
        &["-c", "20", "--in-flight", "8"],
        &["-c", "20", "--rate", "50"],
    ] {
        let (code, report) = bench(&server.url, &[&["--broadcast"], load].concat());
        assert_eq!(code, Some(0), "{report}");
        let publications = number(&report, "publications");
        assert!(publications > 0, "{report}");
        // Those at the edges of the window may be counted in part.
        assert!(number(&report, "messages") >= 20 * publications.saturating_sub(8));
    }
}

#[test]
fn who_does_not_publish_is_found_out() {
    let server = Server::start(&["-q"]);
    let load = [
        "-c",
        "3",
        "--broadcast",
        "--timeout",
        "300ms",
        "--duration",
        "20s",
    ];
    let output = run(&[&["bench", &server.url], &load[..]].concat(), b"");
    assert_eq!(output.status.code(), Some(6));
    let report = text(&output.stdout);
    assert!(report.contains("stalled"), "{report}");
    assert!(report.contains("send to everyone"), "{report}");
}

#[test]
fn connections_are_opened_and_closed() {
    let server = Server::start(&["-q"]);
    let (code, report) = bench(&server.url, &["-c", "4", "--handshakes"]);
    assert_eq!(code, Some(0), "{report}");
    assert!(number(&report, "messages") > 4, "{report}");
    assert!(number(&report, "opened") >= number(&report, "messages"));
}

#[test]
#[cfg(target_os = "linux")]
fn idle_connections_are_held_and_weighed() {
    let server = Server::start(&["-q"]);
    let pid = server.pid().to_string();
    let load = ["-c", "300", "--idle", "--ramp", "100ms", "--pid", &pid];
    let (code, report) = bench(&server.url, &load);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(number(&report, "opened"), 300);
    assert!(report["server"]["resident_bytes"].as_u64().unwrap() > 100_000);
    assert!(
        report["server"]["bytes_per_connection"].is_number(),
        "{report}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_server_s_time_is_told() {
    let server = Server::start(&["-q"]);
    let pid = server.pid().to_string();
    let (code, report) = bench(&server.url, &["-c", "4", "--pid", &pid]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report["server"]["cpu_us_per_message"].as_f64().unwrap() > 0.0);
    for cores in [&report["server"]["cores"], &report["generator_cores"]] {
        assert!(cores.as_f64().unwrap() > 0.0, "{report}");
    }
    // And to people, with what they may do.
    let load = ["-c", "1", "--pid", &pid, "-d", "300ms"];
    let output = run(&[&["bench", &server.url], &load[..]].concat(), b"");
    let report = text(&output.stdout);
    let busy = |name: &str| {
        let line = report.lines().find(|line| line.starts_with(name));
        line.is_some_and(|line| line.contains(" core"))
    };
    assert!(busy("server ") && busy("generator "), "{report}");
    let output = run(&["bench", &server.url, "--pid", "4294967295"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--pid 4294967295"));
}

#[test]
fn nobody_there() {
    let (code, report) = bench("ws://127.0.0.1:1/", &["-c", "3"]);
    assert_eq!(code, Some(3), "{report}");
    assert_eq!(report["verdict"], "no-connection");
    assert_eq!(number(&report, "failed_to_open"), 3);
}

#[test]
fn a_refusal_is_told() {
    let server = Server::start(&["-q", "--origin", "https://example.com"]);
    let (code, report) = bench(&server.url, &["-c", "3"]);
    assert_eq!(code, Some(4), "{report}");
    assert_eq!(report["failures"][0]["verdict"], "handshake-refused");
    let header = ["--header", "Origin: https://example.com"];
    let (code, report) = bench(&server.url, &[&["-c", "3"], &header[..]].concat());
    assert_eq!(code, Some(0), "{report}");

    // Those who are let in go on; that others were not is said.
    let server = Server::start(&["-q", "--max-per-address", "2"]);
    let (code, report) = bench(&server.url, &["-c", "5"]);
    assert_eq!(code, Some(6), "{report}");
    assert_eq!(number(&report, "failed_to_open"), 3);
    assert!(number(&report, "messages") > 0);
}

#[test]
fn a_wrong_echo_ends_the_run() {
    // A text of one byte, whatever came.
    let url = frames(b"\x81\x01x");
    let (code, report) = bench(&url, &["-c", "1", "--text"]);
    assert_eq!(code, Some(5), "{report}");
    assert_eq!(report["verdict"], "wrong-answer");
    let fault = report["fault"].as_str().unwrap();
    assert!(fault.starts_with("connection 1, echo 1: "), "{fault}");
}

#[test]
fn a_server_that_breaks_the_protocol_is_told_of() {
    let url = frames(b"\xc1\x01x");
    let (code, report) = bench(&url, &["-c", "1"]);
    assert_eq!(code, Some(6), "{report}");
    assert_eq!(report["failures"][0]["by"], "us");
    assert_eq!(report["failures"][0]["stage"], "open");
}

#[test]
fn a_server_that_falls_silent_does_not_hold_us() {
    let url = by_hand(|stream, head| {
        accept(stream, head, "");
        // It reads, and answers nothing.
        let mut bytes = [0; 1024];
        while stream.read(&mut bytes).is_ok_and(|n| n > 0) {}
    });
    let (code, report) = bench_for("20s", &url, &["-c", "1", "--timeout", "200ms"]);
    assert_eq!(code, Some(6), "{report}");
    assert_eq!(report["verdict"], "stalled");
    assert_eq!(number(&report, "stalled"), 1);
}

#[test]
fn a_server_that_leaves_is_told_of() {
    let url = by_hand(|stream, head| {
        accept(stream, head, "");
        let mut bytes = [0; 64];
        let _ = stream.read(&mut bytes);
        // 1012, "restart".
        stream.write_all(b"\x88\x09\x03\xf4restart").unwrap();
        let _ = stream.read(&mut bytes);
    });
    let (code, report) = bench_for("20s", &url, &["-c", "1"]);
    assert_eq!(code, Some(6), "{report}");
    assert_eq!(report["verdict"], "connections-lost");
    let failure = &report["failures"][0];
    assert_eq!(
        (&failure["by"], &failure["verdict"]),
        (&"peer".into(), &"closed".into())
    );
    assert!(
        failure["said"].as_str().unwrap().contains("1012"),
        "{report}"
    );
    assert_eq!(number(&report, "unanswered"), 1);
}

#[test]
fn ctrl_c_ends_it_with_what_there_is() {
    let server = Server::start(&["-q"]);
    let child = openline(&[
        "bench",
        &server.url,
        "--json",
        "--warm-up",
        "0",
        "--duration",
        "60s",
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let id = child.id();
    thread::sleep(Duration::from_millis(500));
    signal(id, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "ok");
    assert!(report["seconds"].as_f64().unwrap() < 50.0, "{report}");
}
