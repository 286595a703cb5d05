//! Which peers can do what. `benches/echo`, which starts them, looks here before it builds them.

const ALL: [&str; 9] = [
    "tungstenite",
    "tokio-tungstenite",
    "tokio-websockets",
    "fastwebsockets",
    "sockudo-ws",
    "yawc",
    "wtx",
    "web-socket",
    "soketto",
];

/// Those that have this mode; `None` if nobody knows it.
pub fn of(mode: &str) -> Option<Vec<&'static str>> {
    let can: fn(&str) -> bool = match mode {
        "echo" => |_| true,
        "tls" => |name| name != "tungstenite",
        "handshakes" => |name| !matches!(name, "tungstenite" | "web-socket"),
        "broadcast" => |name| !matches!(name, "tungstenite" | "wtx" | "web-socket"),
        "compressed" => |name| name == "yawc",
        _ => return None,
    };
    Some(ALL.into_iter().filter(|name| can(name)).collect())
}
