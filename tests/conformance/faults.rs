//! Faults, and which cases find each: those meant for it, and no others.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use openline::conformance::{Case, Vectors};
use openline::proto::Role;

use crate::met;
use crate::run::{Verdicts, cases, verdicts_of};

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
    HangsAtPings,
    MergesMessages,
    Trickles,
    // Of compression.
    WindowTooLarge,
    KeepsContext,
    ForgetsContext,
    StopsAtFinalBlock,
    AcceptsBrokenStreams,
    AcceptsRsv1Anywhere,
    ChecksCompressedUtf8,
    // A server's.
    /// Where extensions are offered.
    WrongAcceptOfOffers,
    IgnoresVersion,
    AcceptsMissingKey,
    /// Where no extension is offered.
    AgreesUnasked,
    RefusesUnknownExtensions,
    RefusesIllegalOffers,
    // A client's.
    IgnoresAccept,
    TakesUnaskedExtensions,
    /// On every third connection.
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
    /// Cases about something else that cannot but meet it: they are left out.
    met: Met,
}

enum Met {
    /// Those of these names.
    Named(&'static [&'static str]),
    /// Those that do this.
    Doing(fn(&Case) -> bool),
    /// Those of which this is true, and each of them finds it: it is wrong with the opening
    /// handshake, without which there is nothing.
    Each(fn(&Case) -> bool),
}

use Met::{Doing, Each, Named};

const fn row(
    fault: Fault,
    roles: &'static [Role],
    meant: &'static [&'static str],
    met: Met,
) -> Row {
    Row {
        fault,
        roles,
        meant,
        met,
    }
}

const NO_OTHER: Met = Named(&[]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(AcceptsWrongMaskBit, SERVER, &["mask/server/*"], NO_OTHER),
    row(AcceptsWrongMaskBit, CLIENT, &["mask/client/*"], NO_OTHER),
    row(AcceptsRsv, BOTH, &["3.*", "reserved/bits/*"], Named(&["deflate/*"])),
    row(AcceptsReservedOpcodes, BOTH, &["4.*", "reserved/opcodes/*"], NO_OTHER),
    row(AcceptsLongForms, BOTH, &["length/minimal/*"], NO_OTHER),
    row(AcceptsFragmentedControl, BOTH, &["5.1", "control/fragmented/*"], NO_OTHER),
    row(AcceptsLongControl, BOTH, &["2.5", "control/ping/*", "control/pong/*"], Named(&["7.3.6", "close/payload/*"])),
    row(AcceptsStrayContinuation, BOTH, &["5.9", "5.10", "5.11", "5.17", "fragments/illegal/*"], NO_OTHER),
    row(AcceptsInterleaved, BOTH, &["5.18", "fragments/illegal/*"], NO_OTHER),
    row(AcceptsOneByteClose, BOTH, &["7.3.2", "close/payload/one-byte-*"], NO_OTHER),
    row(AcceptsBadCodes, BOTH, &["7.9.*", "close/bad-codes/*"], Named(&["7.13.*"])),
    row(AcceptsBadReasons, BOTH, &["7.5.1", "close/payload/reason-*"], NO_OTHER),
    row(BelievesLengths, BOTH, &["length/overflow/*"], NO_OTHER),
    row(SkipsUtf8, BOTH, &["6.3.*", "6.4.*", "6.6.*", "6.8.*", "utf8/broken/*", "utf8/unfinished/*", "deflate/messages/text/*"], Named(&["6.*", "utf8/fail-fast/*"])),
    row(LateUtf8, BOTH, &["6.4.*", "utf8/fail-fast/*"], NO_OTHER),
    row(NeverPongs, BOTH, &["2.*", "control/ping/*"], Doing(met::pings)),
    row(PongsEmpty, BOTH, &["2.*", "control/ping/*"], Doing(met::pings)),
    row(PongsTwice, BOTH, &["2.*", "control/ping/*"], Doing(met::pings)),
    row(PongsLate, BOTH, &["5.6", "5.7", "5.8", "5.19", "5.20", "control/ping/between-all-fragments"], Named(&["control/ping/during-a-pause", "utf8/cut/ping-within-a-character", "deflate/messages/legal/ping-between-fragments"])),
    row(HangsAtPings, BOTH, &["2.*", "control/ping/*"], Doing(met::pings)),
    row(TextAsBinary, BOTH, &["1.1.*", "6.1.*", "utf8/unchanged/*"], Doing(met::has_texts_answered)),
    row(LosesFragments, BOTH, &["5.3", "5.4", "5.5", "fragments/legal/*"], Doing(met::fragments)),
    row(EchoesFragments, BOTH, &["5.3", "5.4", "fragments/legal/*", "length/cut/half-a-message*"], Doing(met::fragments)),
    row(CutsLongMessages, BOTH, &["1.1.*", "1.2.*", "length/echo/*"], Named(&["fragments/legal/*", "deflate/*"])),
    row(MergesMessages, BOTH, &["fragments/boundaries/*"], Doing(met::has_several_messages)),
    row(SetsRsv1, BOTH, &["1.1.*", "1.2.*"], Doing(met::has_messages_answered)),
    row(WritesLongForms, BOTH, &["1.1.*", "2.*"], Doing(met::is_answered)),
    row(WrongMaskBit, BOTH, &["1.1.*", "2.*"], Doing(met::is_answered)),
    row(FailsWith1000, BOTH, &["3.*", "4.*", "6.3.*", "7.3.*", "7.5.1", "7.9.*", "reserved/*", "utf8/broken/*", "close/bad-codes/*", "close/payload/*"], Doing(met::is_to_fail)),
    row(DropsInsteadOfFailing, BOTH, &["reserved/*", "utf8/broken/*", "close/bad-codes/*", "close/payload/*"], Doing(met::is_to_fail)),
    row(DropsInsteadOfClosing, BOTH, &["7.1.*", "7.7.*", "close/codes/*"], Doing(met::closes)),
    row(NeverAnswersClose, BOTH, &["7.1.*", "7.7.*", "close/codes/*"], Doing(met::closes)),
    row(ClosesWith1001, BOTH, &["7.1.*", "close/order/*"], Doing(met::closes)),
    row(ClosesWith1005, BOTH, &["7.1.*", "close/order/*"], Doing(met::closes)),
    row(TalksOn, SERVER, &["7.1.*", "close/order/*"], Doing(met::closes)),
    row(LeavesTcpOpen, SERVER, &["7.1.*", "close/order/*"], Doing(met::closes)),
    // Slow, and legal.
    row(Trickles, BOTH, &[], NO_OTHER),
    row(WindowTooLarge, SERVER, &["deflate/negotiation/offers/server-window-*"], Named(&["deflate/negotiation/*"])),
    row(WindowTooLarge, CLIENT, &["deflate/negotiation/agreements/client-window-*"], NO_OTHER),
    row(KeepsContext, SERVER, &["deflate/messages/takeover/*", "deflate/negotiation/offers/server-no-context-takeover"], Doing(met::compresses_several)),
    row(KeepsContext, CLIENT, &["deflate/messages/takeover/*", "deflate/negotiation/agreements/client-no-context-takeover"], Doing(met::compresses_several)),
    row(ForgetsContext, BOTH, &["deflate/messages/examples/shared-window", "deflate/messages/takeover/both"], Doing(met::compresses_several)),
    row(StopsAtFinalBlock, BOTH, &["deflate/messages/examples/final-block"], NO_OTHER),
    row(AcceptsBrokenStreams, BOTH, &["deflate/messages/broken/*"], NO_OTHER),
    row(AcceptsRsv1Anywhere, BOTH, &["deflate/messages/rsv1/*"], NO_OTHER),
    row(ChecksCompressedUtf8, BOTH, &["deflate/messages/text/wire-bytes-are-not-text"], Doing(met::compresses)),
    row(WrongAcceptOfOffers, SERVER, &["deflate/*", "handshake/server/extensions/unknown"], Each(met::opens_with_offers)),
    row(IgnoresVersion, SERVER, &["handshake/server/version/*"], Named(&["handshake/server/*"])),
    row(AcceptsMissingKey, SERVER, &["handshake/server/key/missing"], Named(&["handshake/server/body/another-request-behind"])),
    row(AgreesUnasked, SERVER, &["1.1.1", "deflate/negotiation/offers/not-at-all"], Each(met::opens_without_offers)),
    row(RefusesUnknownExtensions, SERVER, UNKNOWN_EXTENSIONS, NO_OTHER),
    row(RefusesIllegalOffers, SERVER, ILLEGAL_OFFERS, NO_OTHER),
    row(IgnoresAccept, CLIENT, &["handshake/client/accept/*"], NO_OTHER),
    row(TakesUnaskedExtensions, CLIENT, &["handshake/client/unasked/*", "deflate/negotiation/answers/*"], NO_OTHER),
    row(AsksForVersion8, CLIENT, &["handshake/client/request/version"], Each(met::is_struck)),
];

/// Offers of what nobody knows.
const UNKNOWN_EXTENSIONS: &[&str] = &[
    "deflate/negotiation/illegal-offers/a-longer-name",
    "deflate/negotiation/illegal-offers/another-of-its-kind",
    "deflate/negotiation/illegal-offers/the-old-name",
    "deflate/negotiation/offers/behind-an-unknown-extension",
    "deflate/negotiation/offers/in-a-field-of-its-own",
    "handshake/server/extensions/several-fields",
    "handshake/server/extensions/unknown",
];

/// Offers of permessage-deflate that are against its rules.
const ILLEGAL_OFFERS: &[&str] = &[
    "deflate/negotiation/illegal-offers/client-*",
    "deflate/negotiation/illegal-offers/legal-and-unknown",
    "deflate/negotiation/illegal-offers/parameter-in-capitals",
    "deflate/negotiation/illegal-offers/server-*",
    "deflate/negotiation/illegal-offers/unknown-parameter",
];

#[test]
fn a_peer_without_fault_passes() {
    for role in BOTH {
        let verdicts = verdicts_of(*role, None, &cases(*role), JOBS);
        let wrong = confirm(*role, None, &wrong(&verdicts));
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
    let played = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..RUNS_AT_A_TIME {
            scope.spawn(|| {
                while let Some((role, row)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut ids = cases(*role);
                    ids.retain(|id| row.plays(id));
                    let verdicts = verdicts_of(*role, Some(row.fault), &ids, JOBS);
                    played.lock().unwrap().push((*role, *row, verdicts));
                }
            });
        }
    });
    let played = played.into_inner().unwrap();
    let complaints: Vec<_> = played
        .iter()
        .filter_map(|(role, row, verdicts)| complaint(*role, row, verdicts))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn to_refuse_fails_where_an_offer_is_unknown_and_is_not_strict_where_it_is_illegal() {
    for (fault, patterns, expected) in [
        (RefusesUnknownExtensions, UNKNOWN_EXTENSIONS, "FAILED"),
        (RefusesIllegalOffers, ILLEGAL_OFFERS, "NON-STRICT"),
    ] {
        let ids: Vec<_> = cases(Role::Server)
            .into_iter()
            .filter(|id| patterns.iter().any(|pattern| is_like(pattern, id)))
            .collect();
        assert!(ids.len() >= patterns.len());
        for (id, (behavior, _)) in verdicts_of(Role::Server, Some(fault), &ids, 8) {
            assert_eq!(behavior, expected, "{fault:?} {id}");
        }
    }
}

/// Which of these are wrong again when they are played one by one: it may have been the machine
/// that was late. The first that are say enough.
fn confirm<'a>(role: Role, fault: Option<Fault>, found: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let ids: Vec<_> = found.iter().map(|id| (*id).to_owned()).collect();
    let confirmed = ids.chunks(CONFIRMED_AT_A_TIME).map(|ids| {
        let again = verdicts_of(role, fault, ids, 1);
        let again = wrong(&again);
        let is_again = |id: &&&str| again.contains(**id);
        found.iter().filter(is_again).copied().collect()
    });
    confirmed
        .into_iter()
        .find(|confirmed: &BTreeSet<_>| !confirmed.is_empty())
        .unwrap_or_default()
}

/// What does not fit the table; `None` if all does.
fn complaint(role: Role, row: &Row, verdicts: &Verdicts) -> Option<String> {
    let fault = row.fault;
    let found = wrong(verdicts);
    let unrelated = found.iter().copied().filter(|id| !row.is_for(id)).collect();
    let unrelated = confirm(role, Some(fault), &unrelated);
    let blind: Vec<_> = row
        .meant
        .iter()
        .filter(|pattern| !found.iter().any(|id| is_like(pattern, id)))
        .collect();
    let missed: Vec<_> = verdicts
        .keys()
        .filter(|id| matches!(row.met, Each(_)) && row.meets(id) && !found.contains(id.as_str()))
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
    if !missed.is_empty() {
        text.push_str(&format!("{role:?} {fault:?} is missed by {missed:?}\n"));
    }
    (!text.is_empty()).then_some(text)
}

impl Row {
    /// Whether this case has something to say of the fault. One that only meets it has not; and
    /// it would wait, to the end of its time, for what never comes.
    fn plays(&self, id: &str) -> bool {
        self.means(id) || !self.meets(id) || matches!(self.met, Each(_))
    }

    /// Whether it is for this case to find the fault.
    fn is_for(&self, id: &str) -> bool {
        self.means(id) || self.meets(id)
    }

    fn means(&self, id: &str) -> bool {
        self.meant.iter().any(|pattern| is_like(pattern, id))
    }

    fn meets(&self, id: &str) -> bool {
        match self.met {
            Named(patterns) => patterns.iter().any(|pattern| is_like(pattern, id)),
            Doing(does) | Each(does) => Vectors::embedded().case(id).is_some_and(does),
        }
    }
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

/// As many as wait for each other without keeping the machine from being in time.
const RUNS_AT_A_TIME: usize = 8;
/// The cases of a run at a time.
const JOBS: usize = 64;
/// The cases of which one that is wrong again is enough.
const CONFIRMED_AT_A_TIME: usize = 20;
