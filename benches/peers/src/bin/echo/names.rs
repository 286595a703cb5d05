//! Which peers can do what. `benches/echo`, which starts them, looks here before it builds them.

/// Those that have this mode; `None` if nobody knows it.
pub fn of(mode: &str) -> Option<&'static [&'static str]> {
    match mode {
        "echo" | "tls" => Some(&[
            "tokio-tungstenite",
            "tokio-websockets",
            "fastwebsockets",
            "sockudo-ws",
            "yawc",
            "wtx",
            "web-socket",
            "soketto",
        ]),
        "handshakes" => Some(&[
            "tokio-tungstenite",
            "tokio-websockets",
            "fastwebsockets",
            "sockudo-ws",
            "yawc",
            "wtx",
            "soketto",
        ]),
        "broadcast" => Some(&[
            "tokio-tungstenite",
            "tokio-websockets",
            "fastwebsockets",
            "sockudo-ws",
            "yawc",
            "soketto",
        ]),
        "compressed" => Some(&["yawc"]),
        _ => None,
    }
}
