//! A request in any pieces is judged the same; what lies behind it is left for the connection;
//! an error is final and its refusal is a response that our own client can read. A server with
//! pages judges all but those the same.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use openline::proto::{
    Acceptance, Answer, ClientHandshake, ClientRequest, HandshakeError, Incoming, RecvBuffer,
    SendBuffer, ServerHandshake, Url,
};
use openline_fuzz::handshake::Input;

#[derive(Debug, PartialEq)]
enum Judged {
    Unfinished,
    /// The answer, and what lies behind the request.
    Accepted(Vec<u8>, usize),
    Refused(HandshakeError),
}

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else {
        return;
    };
    let [whole, rest @ ..] = input.splits().map(|pieces| judge(&input, &pieces));
    for split in rest {
        assert_eq!(split, whole);
    }
    if let Judged::Refused(error) = whole {
        can_be_read(error);
    }
});

fn judge(input: &Input<'_>, pieces: &[&[u8]]) -> Judged {
    let now = Instant::now();
    let mut handshake = ServerHandshake::new(input.config.clone(), now);
    let mut with_pages = ServerHandshake::new(input.config.clone(), now);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let mut pieces = pieces.iter();
    let upgrade = loop {
        let Some(piece) = pieces.next() else {
            return Judged::Unfinished;
        };
        recv.extend(piece);
        assert!(recv.capacity() <= 64 + 5 * input.bytes.len().max(64));
        let polled = handshake.poll(&recv);
        let incoming = with_pages.poll_incoming(&recv);
        match (&polled, &incoming) {
            (Ok(None), Ok(None)) | (Ok(Some(_)), Ok(Some(Incoming::Upgrade(_)))) => {}
            (Err(error), Ok(Some(Incoming::Page(page)))) => {
                assert_eq!(page.lack(), *error);
                assert!(page.request(&recv).headers().count() <= input.config.headers_max);
            }
            (Err(error), Err(other)) => assert_eq!(error, other),
            _ => panic!("{polled:?}, and with pages {incoming:?}"),
        }
        match polled {
            Ok(None) => {}
            Ok(Some(upgrade)) => break upgrade,
            Err(error) => {
                assert_eq!(
                    handshake.poll(&recv).err(),
                    Some(error),
                    "an error is final"
                );
                return Judged::Refused(error);
            }
        }
    };
    let request = upgrade.request(&recv);
    assert!(request.path() == "/" || request.target().contains(request.path()));
    let subprotocol = request.subprotocols().last().map(str::to_owned);
    for extension in request.extensions() {
        assert!(extension.params().all(|param| !param.name.is_empty()));
    }
    assert!(request.headers().count() <= input.config.headers_max);
    let acceptance = Acceptance {
        subprotocol,
        ..Acceptance::default()
    };
    upgrade
        .accept(now, &mut recv, &acceptance, &mut send)
        .expect("a subprotocol that was offered may be chosen");
    for piece in pieces {
        recv.extend(piece);
    }
    Judged::Accepted(send.pending().to_vec(), recv.len())
}

fn can_be_read(error: HandshakeError) {
    let url: Url = "ws://localhost/".parse().expect("a legal URL");
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let now = Instant::now();
    let request = ClientRequest::new(url);
    let mut client = ClientHandshake::start(&request, Default::default(), now, [3; 32], &mut send);
    let mut response = SendBuffer::new();
    error.refusal().write(&mut response);
    recv.extend(response.pending());
    let answer = client.poll(&mut recv);
    assert!(
        matches!(answer, Ok(Some(Answer::Refused(_)))),
        "{error:?}: {answer:?}"
    );
}
