//! Faults, and which cases find each: those meant for it, and no others.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use openline::proto::Role;

use crate::run::{Verdicts, verdicts_on};

/// What a peer does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    AcceptsWrongMaskBit,
    AcceptsRsv,
    AcceptsReservedOpcodes,
    AcceptsLongForms,
    AcceptsFragmentedControl,
    AcceptsLongControl,
    AcceptsStrayContinuation,
    AcceptsInterleaved,
    AcceptsOneByteClose,
    AcceptsBadCodes,
    AcceptsBadReasons,
    BelievesLengths,
    SkipsUtf8,
    LateUtf8,
    NeverPongs,
    PongsEmpty,
    PongsLate,
    PongsTwice,
    TextAsBinary,
    LosesFragments,
    EchoesFragments,
    CutsLongMessages,
    SetsRsv1,
    WritesLongForms,
    WrongMaskBit,
    FailsWith1000,
    DropsInsteadOfFailing,
    DropsInsteadOfClosing,
    NeverAnswersClose,
    ClosesWith1001,
    ClosesWith1005,
    TalksOn,
    LeavesTcpOpen,
    Hangs,
    Trickles,
    // A server's.
    WrongAccept,
    IgnoresVersion,
    AcceptsMissingKey,
    AgreesUnasked,
    // A client's.
    IgnoresAccept,
    TakesUnaskedExtensions,
    AsksForVersion8,
}

use Fault::*;

const BOTH: &[Role] = &[Role::Server, Role::Client];
const SERVER: &[Role] = &[Role::Server];
const CLIENT: &[Role] = &[Role::Client];

/// A fault, and what finds it.
struct Row {
    fault: Fault,
    /// Whose it can be.
    roles: &'static [Role],
    /// The cases meant for it: each pattern finds it.
    meant: &'static [&'static str],
    /// Cases about something else that cannot but meet it.
    met: &'static [&'static str],
}

const fn row(
    fault: Fault,
    roles: &'static [Role],
    meant: &'static [&'static str],
    met: &'static [&'static str],
) -> Row {
    Row {
        fault,
        roles,
        meant,
        met,
    }
}

/// A fault that is there on each connection is met by every case.
const ANY: &[&str] = &["*"];
/// Wherever a ping is sent.
const PINGS: &[&str] = &[
    "5.*",
    "close/order/*",
    "close/without/*",
    "fragments/illegal/*",
    "handshake/client/stream/ping-behind",
    "utf8/*",
];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(AcceptsWrongMaskBit, SERVER, &["mask/server/*"], &[]),
    row(AcceptsWrongMaskBit, CLIENT, &["mask/client/*"], &[]),
    row(AcceptsRsv, BOTH, &["3.*", "reserved/bits/*"], &[]),
    row(AcceptsReservedOpcodes, BOTH, &["4.*", "reserved/opcodes/*"], &[]),
    row(AcceptsLongForms, BOTH, &["length/minimal/*"], &[]),
    row(AcceptsFragmentedControl, BOTH, &["5.1", "control/fragmented/*"], &[]),
    row(AcceptsLongControl, BOTH, &["2.5", "control/ping/*", "control/pong/*"], &["7.3.6", "close/payload/*"]),
    row(AcceptsStrayContinuation, BOTH, &["5.9", "5.10", "5.11", "5.17", "fragments/illegal/*"], &[]),
    row(AcceptsInterleaved, BOTH, &["5.18", "fragments/illegal/*"], &[]),
    row(AcceptsOneByteClose, BOTH, &["7.3.2", "close/payload/one-byte-*"], &[]),
    row(AcceptsBadCodes, BOTH, &["7.9.*", "close/bad-codes/*"], &["7.13.*"]),
    row(AcceptsBadReasons, BOTH, &["7.5.1", "close/payload/reason-*"], &[]),
    row(BelievesLengths, BOTH, &["length/overflow/*"], &[]),
    row(SkipsUtf8, BOTH, &["6.3.*", "6.4.*", "6.6.*", "6.8.*", "utf8/broken/*", "utf8/unfinished/*"], &["6.*", "utf8/fail-fast/*"]),
    row(LateUtf8, BOTH, &["6.4.*", "utf8/fail-fast/*"], &[]),
    row(NeverPongs, BOTH, &["2.*", "control/ping/*"], PINGS),
    row(PongsEmpty, BOTH, &["2.*", "control/ping/*"], PINGS),
    row(PongsTwice, BOTH, &["2.*", "control/ping/*"], PINGS),
    row(PongsLate, BOTH, &["5.6", "5.7", "5.8", "5.19", "5.20", "control/ping/between-all-fragments"], &["control/ping/during-a-pause", "utf8/cut/ping-within-a-character"]),
    row(TextAsBinary, BOTH, &["1.1.*", "6.1.*", "utf8/unchanged/*"], ANY),
    row(LosesFragments, BOTH, &["5.3", "5.4", "5.5", "fragments/legal/*"], &["5.*", "6.2.*", "control/*", "fragments/*", "length/echo/*", "mask/key/*", "utf8/*"]),
    row(EchoesFragments, BOTH, &["5.3", "5.4", "fragments/legal/*"], ANY),
    row(CutsLongMessages, BOTH, &["1.1.*", "1.2.*", "length/echo/*"], &["fragments/legal/*"]),
    row(SetsRsv1, BOTH, &["1.1.*", "1.2.*"], ANY),
    row(WritesLongForms, BOTH, &["1.1.*", "2.*"], ANY),
    row(WrongMaskBit, BOTH, &["1.1.*", "2.*"], ANY),
    row(FailsWith1000, BOTH, &["3.*", "4.*", "6.3.*", "reserved/*", "utf8/broken/*"], ANY),
    row(DropsInsteadOfFailing, BOTH, &["reserved/*", "utf8/broken/*", "close/bad-codes/*"], ANY),
    row(DropsInsteadOfClosing, BOTH, &["7.1.*", "7.7.*", "close/codes/*"], ANY),
    row(NeverAnswersClose, BOTH, &["7.1.*", "7.7.*", "close/codes/*"], ANY),
    row(ClosesWith1001, BOTH, &["7.1.*", "close/order/*"], ANY),
    row(ClosesWith1005, BOTH, &["7.1.*", "close/order/*"], ANY),
    row(TalksOn, SERVER, &["7.1.*", "close/order/*"], ANY),
    row(LeavesTcpOpen, SERVER, &["7.1.*", "close/order/*"], ANY),
    row(Hangs, BOTH, &["1.1.*", "2.*", "close/codes/*"], ANY),
    // Slow, and legal.
    row(Trickles, BOTH, &[], &[]),
    row(WrongAccept, SERVER, &["1.1.1"], ANY),
    row(IgnoresVersion, SERVER, &["handshake/server/version/*"], &["handshake/server/*"]),
    row(AcceptsMissingKey, SERVER, &["handshake/server/key/missing"], &["handshake/server/body/another-request-behind"]),
    row(AgreesUnasked, SERVER, &["1.1.1"], ANY),
    row(IgnoresAccept, CLIENT, &["handshake/client/accept/*"], &[]),
    row(TakesUnaskedExtensions, CLIENT, &["handshake/client/unasked/*"], &[]),
    row(AsksForVersion8, CLIENT, &["handshake/client/request/version"], ANY),
];

#[test]
fn a_peer_without_fault_passes() {
    for role in BOTH {
        let verdicts = verdicts_on(*role, None);
        let wrong = wrong(&verdicts);
        assert!(
            wrong.is_empty(),
            "{role:?}: {:#?}",
            details(&verdicts, &wrong)
        );
    }
}

#[test]
fn each_fault_is_found_by_the_cases_meant_for_it_and_by_no_others() {
    let runs: Vec<_> = TABLE
        .iter()
        .flat_map(|row| row.roles.iter().map(move |role| (*role, row)))
        .collect();
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((role, row)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdicts = verdicts_on(*role, Some(row.fault));
                    let complaint = complaint(*role, row, &verdicts);
                    complaints.lock().unwrap().extend(complaint);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What does not fit the table; `None` if all does.
fn complaint(role: Role, row: &Row, verdicts: &Verdicts) -> Option<String> {
    let fault = row.fault;
    let found = wrong(verdicts);
    let fits = |id: &str| {
        row.meant
            .iter()
            .chain(row.met)
            .any(|pattern| is_like(pattern, id))
    };
    let unrelated: BTreeSet<_> = found.iter().copied().filter(|id| !fits(id)).collect();
    let blind: Vec<_> = row
        .meant
        .iter()
        .filter(|pattern| !found.iter().any(|id| is_like(pattern, id)))
        .collect();
    let mut text = String::new();
    if !unrelated.is_empty() {
        let details = details(verdicts, &unrelated);
        text.push_str(&format!(
            "{role:?} {fault:?} is found by\n  {}\n",
            details.join("\n  ")
        ));
    }
    if !blind.is_empty() {
        text.push_str(&format!("{role:?} {fault:?} is not found by {blind:?}\n"));
    }
    (!text.is_empty()).then_some(text)
}

/// The cases that found something.
fn wrong(verdicts: &Verdicts) -> BTreeSet<&str> {
    let passes = |word: &str| matches!(word, "OK" | "INFORMATIONAL");
    verdicts
        .iter()
        .filter(|(_, (behavior, close))| !passes(behavior) || !passes(close))
        .map(|(id, _)| id.as_str())
        .collect()
}

fn details(verdicts: &Verdicts, ids: &BTreeSet<&str>) -> Vec<String> {
    ids.iter()
        .map(|id| {
            let (behavior, close) = &verdicts[*id];
            format!("{id}: {behavior}, {close}")
        })
        .collect()
}

/// A pattern is an id, the beginning of one before a `*`, or `*` alone.
fn is_like(pattern: &str, id: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => id.starts_with(beginning),
        None => id == pattern,
    }
}
