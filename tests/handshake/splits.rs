//! Laws over all inputs: how the bytes are split says nothing, and nobody panics.

use std::sync::Arc;

use openline::proto::{Acceptance, Answer, ClientRequest, Config, SendBuffer};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::peers::{REQUEST, agree, answer, ask, serve, serve_under};

/// Bytes that are nearly `text`: some places of it overwritten.
fn nearly(text: String) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(b'\r'),
        Just(b'\n'),
        Just(b' '),
        Just(b',')
    ];
    let place = any::<proptest::sample::Index>();
    proptest::collection::vec((place, byte), 0..4).prop_map(move |changes| {
        let mut bytes = text.clone().into_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    })
}

fn request() -> ClientRequest {
    ClientRequest::new("ws://a".parse().unwrap())
}

proptest! {
    #[test]
    fn any_bytes_are_served_alike_however_they_come(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        size_max in 0..120_usize,
    ) {
        let config = Config { handshake_size_max: size_max, ..Config::default() };
        let _ = serve_under(&Arc::new(config), &bytes);
        let _ = answer(&request(), &bytes);
    }

    #[test]
    fn a_request_that_is_nearly_one_is_served_alike(
        bytes in nearly(REQUEST.to_owned()),
        headers_max in 3..7_usize,
    ) {
        let config = Config { headers_max, ..Config::default() };
        if let Ok(Some((upgrade, mut recv))) = serve_under(&Arc::new(config), &bytes) {
            let request = upgrade.request(&recv);
            prop_assert!(request.target().contains(request.path()) || request.path() == "/");
            prop_assert!(!request.host().is_empty());
            prop_assert!(request.headers().count() <= headers_max);
            let now = std::time::Instant::now();
            let mut send = SendBuffer::new();
            let accepted = upgrade.accept(now, &mut recv, &Acceptance::default(), &mut send);
            prop_assert!(accepted.is_ok());
        }
    }

    #[test]
    fn an_answer_that_is_nearly_one_is_taken_alike(bytes in nearly(agree(&request()))) {
        if let Ok((Answer::Refused(refused), recv)) = answer(&request(), &bytes) {
            prop_assert!(refused.response(&recv).status() != 101);
        }
    }

    #[test]
    fn a_refusal_that_is_nearly_one_is_taken_alike(
        bytes in nearly(
            "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n0\r\n\r\n".to_owned(),
        ),
    ) {
        if let Ok((Answer::Refused(refused), recv)) = answer(&request(), &bytes) {
            prop_assert!(refused.response(&recv).body().len() < bytes.len());
        }
    }

    #[test]
    fn what_a_client_asks_a_server_understands(
        path in "(/[a-z0-9%2F~!$&'()*+,;=:@]{0,8}){0,3}",
        query in "(\\?[a-z/?]{0,8})?",
        host in "[a-z][a-z0-9.-]{0,8}|\\[(::1|2001:db8::7)\\]",
        port in 1..=u16::MAX,
        names in proptest::collection::btree_set("[a-zA-Z0-9.!_-]{1,6}", 0..4),
        value in "[ -~\u{e9}]{0,20}",
    ) {
        let Ok(url) = format!("ws://{host}:{port}{path}{query}").parse() else {
            // A percent sign that encodes nothing.
            return Ok(());
        };
        let mut request = ClientRequest::new(url).header("X-Value", &value).unwrap();
        for name in &names {
            request = request.subprotocol(name).unwrap();
        }
        let (_, sent, _) = ask(&request);
        let (upgrade, recv) = serve(&sent).unwrap();
        let seen = upgrade.request(&recv);
        prop_assert_eq!(seen.target(), request.url().resource_name());
        prop_assert_eq!(seen.host(), request.url().authority());
        prop_assert!(seen.subprotocols().eq(request.subprotocols()));
        prop_assert_eq!(seen.header_str("x-value"), Some(value.trim_matches(' ')));
        prop_assert!(answer(&request, agree(&request)).is_ok());
    }
}
