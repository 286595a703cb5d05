//! A response in any pieces is judged the same; what lies behind it is left for the connection;
//! an error is final, and no refusal's body grows without end.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use openline::proto::{
    Answer, ClientHandshake, ClientRequest, HandshakeError, RecvBuffer, SendBuffer,
};
use openline_fuzz::handshake::Input;

#[derive(Debug, PartialEq)]
enum Judged {
    /// The subprotocol, and what lies behind the response.
    Accepted(Option<String>, usize),
    /// The status, the reason and the start of the body.
    Refused(u16, String, Vec<u8>),
    Failed(HandshakeError),
}

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else {
        return;
    };
    let [whole, rest @ ..] = input.splits().map(|pieces| judge(&input, &pieces));
    for split in rest {
        assert_eq!(split, whole);
    }
});

fn judge(input: &Input<'_>, pieces: &[&[u8]]) -> Judged {
    let now = Instant::now();
    let url = "ws://localhost/chat".parse().expect("a legal URL");
    let request = ClientRequest::new(url)
        .subprotocol("chat")
        .and_then(|request| request.subprotocol("superchat"))
        .expect("legal subprotocols");
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    // With this seed, the accept value that stands in the corpus is right.
    let config = input.config.clone();
    let mut handshake = ClientHandshake::start(&request, config, now, [0; 32], &mut send);
    let mut pieces = pieces.iter();
    let answer = loop {
        let polled = match pieces.next() {
            Some(piece) => {
                recv.extend(piece);
                handshake.poll(&mut recv)
            }
            None => handshake.handle_eof(&mut recv),
        };
        match polled {
            Ok(None) => {}
            Ok(Some(answer)) => break answer,
            Err(error) => {
                let again = handshake.poll(&mut recv);
                assert_eq!(again.err(), Some(error), "an error is final");
                return Judged::Failed(error);
            }
        }
    };
    match answer {
        Answer::Accepted(accepted) => {
            let subprotocol = accepted.subprotocol().map(str::to_owned);
            assert_eq!(accepted.response(&recv).status(), 101);
            let _ = accepted.open(now, &mut recv);
            for piece in pieces {
                recv.extend(piece);
            }
            Judged::Accepted(subprotocol, recv.len())
        }
        Answer::Refused(refused) => {
            let response = refused.response(&recv);
            assert!(response.body().len() <= 4096);
            Judged::Refused(
                response.status(),
                response.reason().to_owned(),
                response.body().to_owned(),
            )
        }
    }
}
