//! Messages that are compressed (RFC 7692 §6.1, §7.2.1), read by a decoder that enforces the
//! window that was agreed.

use std::thread;
use std::time::Instant;

use openline::proto::{
    Compress, Compressors, Config, Data, Deflate, DeflateParams, FrameHeader, Level, MemoryLevel,
    Opcode, Prepared, Role, SendBuffer, SendError, WindowBits,
};

use crate::naive::Naive;
use crate::pair::{End, Seen};
use crate::receiving::{ALONE, TAKEOVER, config};

/// The frames in `bytes`, unmasked.
pub fn frames(mut bytes: &[u8], sender: Role) -> Vec<(FrameHeader, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, size) = FrameHeader::decode(bytes, sender).unwrap().unwrap();
        let (frame, rest) = bytes.split_at(size + header.payload_len as usize);
        let mut payload = frame[size..].to_vec();
        if let Some(key) = header.mask {
            key.apply(&mut payload);
        }
        frames.push((header, payload));
        bytes = rest;
    }
    frames
}

/// The payload of a message, however many frames it has.
pub fn payload_of(bytes: &[u8], sender: Role) -> Vec<u8> {
    let frames = frames(bytes, sender);
    frames
        .into_iter()
        .flat_map(|(_, payload)| payload)
        .collect()
}

fn server(params: DeflateParams) -> End {
    End::alone_compressed(Role::Server, config(), Instant::now(), params)
}

fn send(end: &mut End, data: &[u8], compress: Compress) -> Vec<(FrameHeader, Vec<u8>)> {
    let role = end.connection.role();
    end.connection
        .send_data(Data::Binary(data), compress, &mut end.send)
        .unwrap();
    frames(&end.sent(), role)
}

/// Text-like bytes that repeat at many distances, most of all at those around `distance`.
fn repetitive(distance: usize, size: usize) -> Vec<u8> {
    let mut state = distance as u64 | 1;
    let mut data: Vec<u8> = Vec::with_capacity(size);
    while data.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let noise = (state >> 33) as usize;
        let back = distance + noise % 9;
        match noise % 3 {
            0 | 1 if data.len() > back + 8 => {
                let from = data.len() + 4 - back.max(5);
                let len = (8 + noise % 40).min(back - 4).min(data.len() - from);
                data.extend_from_within(from..from + len);
            }
            _ => data.extend((state >> 24).to_be_bytes()),
        }
    }
    data.truncate(size);
    data
}

#[test]
fn a_stream_never_reaches_back_further_than_was_agreed() {
    for bits in 8..=15 {
        for level in 0..=9 {
            stays_within(bits, level, 8, true);
        }
        for memory_level in [1, 9] {
            stays_within(bits, 1, memory_level, true);
            stays_within(bits, 6, memory_level, false);
        }
    }
}

fn stays_within(bits: u8, level: u8, memory_level: u8, takeover: bool) {
    let window_bits = WindowBits::new(bits).unwrap();
    let params = DeflateParams {
        client_max_window_bits: window_bits,
        client_no_context_takeover: !takeover,
        ..TAKEOVER
    };
    let config = Config {
        compression: Some(Deflate {
            level: Level::new(level).unwrap(),
            memory_level: MemoryLevel::new(memory_level).unwrap(),
            ..Deflate::default()
        }),
        ..Config::default()
    };
    let mut client = End::alone_compressed(Role::Client, config, Instant::now(), params);
    let mut naive = Naive::new(bits);
    let window = 1 << bits;
    for size in [10, 3 * window / 2, 300] {
        let data = repetitive(window, size);
        let frames = send(&mut client, &data, Compress::Always);
        let [(header, payload)] = &frames[..] else {
            panic!("{} frames", frames.len());
        };
        assert!(header.rsv1);
        if !takeover {
            naive.forget();
        }
        let message = naive.message(payload);
        assert_eq!(message, Ok(data), "{bits} bits, level {level}");
    }
}

#[test]
fn the_decoder_that_enforces_the_window_does_so() {
    // A window of 9 bits is made use of, and more than one of 8 allows: else the test above
    // would show nothing.
    let params = DeflateParams {
        client_max_window_bits: WindowBits::new(10).unwrap(),
        ..ALONE
    };
    let mut client = End::alone_compressed(Role::Client, config(), Instant::now(), params);
    let data = repetitive(700, 4000);
    let frames = send(&mut client, &data, Compress::Always);
    assert_eq!(Naive::new(10).message(&frames[0].1), Ok(data));
    let refused = Naive::new(9).message(&frames[0].1);
    assert_eq!(refused, Err("refers back further than the window"));
}

#[test]
fn short_messages_are_sent_as_they_are_unless_it_is_wished_otherwise() {
    let threshold = Deflate::default().threshold;
    let is_compressed = |len: usize, compress| {
        let frames = send(&mut server(ALONE), &vec![b'a'; len], compress);
        frames[0].0.rsv1
    };
    assert!(!is_compressed(threshold - 1, Compress::Threshold));
    assert!(is_compressed(threshold, Compress::Threshold));
    assert!(is_compressed(0, Compress::Always));
    assert!(!is_compressed(10_000, Compress::Never));
    // A wish is none where nothing was agreed.
    let mut plain = End::alone(Role::Server, config(), Instant::now());
    let frames = send(&mut plain, &[b'a'; 10_000], Compress::Always);
    assert!(!frames[0].0.rsv1);
    assert_eq!(frames[0].1, [b'a'; 10_000]);
}

#[test]
fn an_empty_message_is_one_byte() {
    for params in [ALONE, TAKEOVER] {
        let mut server = server(params);
        let mut naive = Naive::new(15);
        for data in [&b""[..], b"", b"Hello", b"", b"Hello"] {
            let frames = send(&mut server, data, Compress::Always);
            if data.is_empty() {
                assert_eq!(frames[0].1, [0x00]);
            }
            if params == ALONE {
                naive.forget();
            }
            assert_eq!(naive.message(&frames[0].1), Ok(data.to_vec()));
        }
    }
}

#[test]
fn a_message_in_fragments_has_rsv1_on_the_first_only() {
    let text = "It is a truth universally acknowledged, ".repeat(5);
    for params in [ALONE, TAKEOVER] {
        let mut server = server(params);
        let mut naive = Naive::new(15);
        for last in ["", "that"] {
            let fragments = server.connection.text_fragments(&mut server.send);
            fragments.unwrap().send(&text).unwrap();
            // A control frame passes between, and another message does not.
            server.connection.send_ping(b"", &mut server.send).unwrap();
            let refused = server.connection.send_text("no", &mut server.send);
            assert_eq!(refused, Err(SendError::MessageUnfinished));
            let mut fragments = server.connection.resume_text(&mut server.send).unwrap();
            fragments.send("").unwrap();
            fragments.send(&text).unwrap();
            fragments.finish(last).unwrap();
            let frames = frames(&server.sent(), Role::Server);
            let headers: Vec<_> = frames
                .iter()
                .map(|(header, _)| (header.opcode, header.rsv1, header.fin))
                .collect();
            assert_eq!(
                headers,
                [
                    (Opcode::Text, true, false),
                    (Opcode::Ping, false, true),
                    (Opcode::Continuation, false, false),
                    (Opcode::Continuation, false, false),
                    (Opcode::Continuation, false, true),
                ]
            );
            let payload: Vec<u8> = frames
                .into_iter()
                .filter(|(header, _)| !header.opcode.is_control())
                .flat_map(|(_, payload)| payload)
                .collect();
            if params == ALONE {
                naive.forget();
            }
            let expected = format!("{text}{text}{last}").into_bytes();
            assert_eq!(naive.message(&payload), Ok(expected));
        }
    }
}

#[test]
fn fragments_are_compressed_as_it_is_wished() {
    let mut server = server(ALONE);
    let fragments = server
        .connection
        .binary_fragments(&mut server.send)
        .unwrap();
    let mut fragments = fragments.compress(Compress::Never);
    fragments.send(b"ab").unwrap();
    fragments.finish(b"cd").unwrap();
    // All of a short message in one fragment is below the threshold.
    let fragments = server
        .connection
        .binary_fragments(&mut server.send)
        .unwrap();
    fragments.finish(b"ef").unwrap();
    assert_eq!(server.sent(), b"\x02\x02ab\x80\x02cd\x82\x02ef");
}

#[test]
fn each_fragment_can_be_read_when_it_comes() {
    let mut server = server(TAKEOVER);
    let config = Config {
        delivery: openline::proto::Delivery::Chunks,
        ..config()
    };
    let mut client = End::compressed(Role::Client, config, TAKEOVER);
    let kind = openline::proto::Kind::Text;
    for (piece, last) in [("one", false), ("two", false), ("three", true)] {
        let chunk = openline::proto::Chunk {
            kind,
            data: piece.as_bytes(),
            last,
        };
        server
            .connection
            .send_chunk(chunk, &mut server.send)
            .unwrap();
        let seen = client.receive(server.sent());
        assert_eq!(seen, [Seen::Chunk(kind, piece.into(), last)]);
    }
}

#[test]
fn a_large_message_without_a_copy_is_compressed_too() {
    let data = vec![b'a'; 100_000];
    let mut server = server(ALONE);
    let vectored = server
        .connection
        .send_unbuffered(Data::Binary(&data), &mut server.send)
        .unwrap();
    assert_eq!(vectored.slices()[1], b"");
    drop(vectored);
    let frames = frames(&server.sent(), Role::Server);
    assert!(frames[0].0.rsv1);
    assert_eq!(Naive::new(15).message(&frames[0].1), Ok(data));
}

#[test]
fn a_prepared_message_is_compressed_once_for_all_that_can_share_it() {
    let text = "news ".repeat(1000);
    let mut compressors = Compressors::new();
    let news = Prepared::text(&text).compressed(&Deflate::default(), &mut compressors);
    let small = |bits| DeflateParams {
        server_max_window_bits: WindowBits::new(bits).unwrap(),
        ..ALONE
    };
    let sent_to = |mut end: End| {
        end.connection.send_prepared(&news, &mut end.send).unwrap();
        let role = end.connection.role();
        let mut frames = frames(&end.sent(), role);
        let (header, payload) = frames.pop().unwrap();
        (header.rsv1, payload)
    };
    let (_, shared) = sent_to(server(ALONE));
    let plain = End::alone(Role::Server, config(), Instant::now());
    assert_eq!(sent_to(plain), (false, text.clone().into_bytes()));
    // 5,000 bytes never refer back further than a window of 13 bits has.
    for (params, bits, shares) in [
        (small(13), 13, true),
        (small(12), 12, false),
        (small(8), 8, false),
        (TAKEOVER, 15, false),
    ] {
        let (rsv1, payload) = sent_to(server(params));
        assert!(rsv1);
        assert_eq!(Naive::new(bits).message(&payload), Ok(text.clone().into()));
        // Whether or not the bytes happen to be the same, they were made anew.
        assert!(!shares || payload == shared);
    }
    assert_eq!(compressors.messages(), 1);
    // With takeover, what is sent later may build on it.
    let mut end = server(TAKEOVER);
    let mut naive = Naive::new(15);
    for _ in 0..3 {
        end.connection.send_prepared(&news, &mut end.send).unwrap();
        let payload = payload_of(&end.sent(), Role::Server);
        assert_eq!(naive.message(&payload), Ok(text.clone().into()));
    }
    // A client masks.
    let client = End::alone_compressed(Role::Client, config(), Instant::now(), ALONE);
    let (rsv1, payload) = sent_to(client);
    assert!(rsv1);
    assert_eq!(Naive::new(15).message(&payload), Ok(text.into()));
}

#[test]
fn the_first_peer_that_can_share_a_message_has_it_compressed_for_the_others() {
    let within = |bits| DeflateParams {
        server_max_window_bits: WindowBits::new(bits).unwrap(),
        ..ALONE
    };
    let text = repetitive(3000, 40_000);
    let news = Prepared::binary(&text);
    let mut send = SendBuffer::new();
    let mut compressed = Vec::new();
    for bits in [15, 15, 12, 15, 12, 13, 12, 9, 13, 9] {
        let mut end = server(within(bits));
        // Clones are the same message.
        let news = news.clone();
        end.connection.send_prepared(&news, &mut send).unwrap();
        let payload = payload_of(send.pending(), Role::Server);
        send.advance(send.len());
        assert_eq!(Naive::new(bits).message(&payload).as_ref(), Ok(&text));
        compressed.push(send.compressors().messages());
    }
    // Who has a window of 13 bits gets what was made for one of 12.
    assert_eq!(compressed, [1, 1, 2, 2, 2, 2, 2, 3, 3, 3]);
    // Each by itself, for it builds on what was sent before; or not at all.
    for _ in 0..2 {
        let before = send.compressors().messages();
        let mut end = server(TAKEOVER);
        end.connection.send_prepared(&news, &mut send).unwrap();
        assert_eq!(send.compressors().messages() - before, 1);
    }
    let mut plain = End::alone(Role::Server, config(), Instant::now());
    send.advance(send.len());
    plain.connection.send_prepared(&news, &mut send).unwrap();
    assert_eq!(send.pending(), news.frame());
    // What is no longer than a window fits every one.
    let short = Prepared::binary(&text[..500]);
    let before = send.compressors().messages();
    for bits in [15, 9, 12] {
        let mut end = server(within(bits));
        end.connection.send_prepared(&short, &mut send).unwrap();
    }
    assert_eq!(send.compressors().messages() - before, 1);
}

#[test]
fn threads_that_share_a_message_compress_it_once() {
    let news = Prepared::binary(&repetitive(3000, 400_000));
    let compressed: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut end = server(ALONE);
                    end.connection.send_prepared(&news, &mut end.send).unwrap();
                    end.send.compressors().messages()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(compressed, 1);
}
