//! What stands in `vectors/`: all of Autobahn's cases, enough of our own; and errors that help.

use std::collections::BTreeMap;

use openline::conformance::Vectors;

#[test]
fn all_of_autobahn_is_there_in_its_order() {
    let numbered: Vec<_> = Vectors::embedded()
        .cases()
        .iter()
        .map(|case| case.id.as_str())
        .filter(|id| id.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(numbered.len(), 517);
    let mut sections = BTreeMap::new();
    for id in &numbered {
        let section: u32 = id.split('.').next().unwrap().parse().unwrap();
        *sections.entry(section).or_insert(0) += 1;
    }
    let counts = [
        (1, 16),
        (2, 11),
        (3, 7),
        (4, 10),
        (5, 20),
        (6, 145),
        (7, 37),
        (9, 54),
        (10, 1),
        (12, 90),
        (13, 126),
    ];
    assert_eq!(sections, BTreeMap::from(counts));
    assert_eq!(numbered[0], "1.1.1");
    assert_eq!(numbered[516], "13.7.18");
    let at = |id| numbered.iter().position(|other| *other == id);
    assert!(at("6.6.10") > at("6.6.9"), "by number, not by letters");
}

#[test]
fn there_are_more_of_our_own_than_three_hundred() {
    let cases = Vectors::embedded().cases();
    let own = cases.iter().filter(|case| case.id.contains('/')).count();
    assert!(own >= 300, "{own}");
}

#[test]
fn each_case_is_told_apart_by_its_title() {
    for case in Vectors::embedded().cases() {
        assert!(case.rfc.contains('§'), "{}: {}", case.id, case.rfc);
        let is_filled = !case.title.contains(['{', '}']);
        assert!(is_filled, "{}: {}", case.id, case.title);
        let groups = Vectors::embedded().groups();
        assert!(groups.iter().any(|group| group.id == case.group));
    }
}

#[test]
fn errors_say_where_and_what_to_do() {
    let within = |case: &str| format!("family \"x\" \"x\" {{\n  rfc \"§1\"\n{case}\n}}\n");
    for (text, place, said) in [
        ("family \"x\" {".to_owned(), None, "not KDL"),
        ("chapter \"x\"".to_owned(), Some((1, 1)), "family"),
        (within("  case \"a\""), Some((3, 3)), "without a title"),
        (
            within("  case \"a b\" { title \"t\" }"),
            Some((3, 3)),
            "quoted",
        ),
        (
            within("  case \"a\" { title \"t\"; sned { text } }"),
            Some((3, 25)),
            "send",
        ),
        (
            within("  case \"a\" { title \"t\"; send { text \"x\" fni=#false } }"),
            Some((3, 41)),
            "fin",
        ),
        (
            within("  case \"a\" { title \"t\"; send { text (hex)\"f\" } }"),
            Some((3, 37)),
            "two hexadecimal digits",
        ),
        (
            within("  case \"{b}\" { for a 1; title \"t\" }"),
            Some((3, 8)),
            "stands for nothing",
        ),
        (
            within("  case \"a\" { title \"t\"; end 99999 by=\"us\" }"),
            Some((3, 29)),
            "out of range",
        ),
    ] {
        let error = Vectors::parse([("file.kdl", text.as_str())]).unwrap_err();
        if place.is_some() {
            assert_eq!(error.place, place, "{error}");
        }
        let told = error.to_string();
        assert!(told.starts_with("file.kdl:"), "{told}");
        assert!(told.contains(said), "{said}: {told}");
    }
}
