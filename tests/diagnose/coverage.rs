//! Each cause that the program knows is brought about by a test here.

#[test]
fn every_cause_has_a_test() {
    let tests = [
        include_str!("handshake.rs"),
        include_str!("http.rs"),
        include_str!("idle.rs"),
        include_str!("network.rs"),
        include_str!("nginx.rs"),
        include_str!("open.rs"),
        include_str!("proxy.rs"),
        include_str!("tls.rs"),
        include_str!("urls.rs"),
    ]
    .concat();
    // As they stand in the table: `Refused "refused" Endpoint,`.
    let table = include_str!("../../src/cli/diagnose/cause.rs");
    let (_, table) = table.split_once("\ncauses! {").unwrap();
    let causes: Vec<_> = table
        .lines()
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(causes.len() > 70, "{causes:?}");
    for cause in causes {
        assert!(
            tests.contains(&format!("\"{cause}\"")),
            "{cause} has no test"
        );
    }
}
