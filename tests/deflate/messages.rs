//! Any message under any agreed parameters, through two peers, cut anywhere, arrives whole.

use std::sync::Arc;
use std::time::Instant;

use openline::proto::{
    Chunk, Compress, Config, Connection, Data, Deflate, DeflateParams, Delivery, Event, Kind,
    Level, MemoryLevel, RecvBuffer, Role, SendBuffer, WindowBits,
};
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

/// How a message is sent.
#[derive(Clone, Debug)]
struct Sent {
    data: Vec<u8>,
    compress: Compress,
    /// Where it is cut in fragments.
    cuts: Vec<usize>,
    /// Whether a ping goes before each fragment.
    pings: bool,
}

fn params() -> impl Strategy<Value = DeflateParams> {
    (any::<bool>(), any::<bool>(), 8..=15_u8, 8..=15_u8).prop_map(|(server, client, down, up)| {
        DeflateParams {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            server_max_window_bits: WindowBits::new(down).unwrap(),
            client_max_window_bits: WindowBits::new(up).unwrap(),
        }
    })
}

fn settings() -> impl Strategy<Value = Deflate> {
    (0..=9_u8, 1..=9_u8, 0..200_usize).prop_map(|(level, memory_level, threshold)| Deflate {
        level: Level::new(level).unwrap(),
        memory_level: MemoryLevel::new(memory_level).unwrap(),
        threshold,
        ..Deflate::default()
    })
}

/// Noise, or something that repeats, of any length.
fn data() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..300),
        (vec(any::<u8>(), 1..20), 0..4000_usize).prop_map(|(piece, size)| piece
            .into_iter()
            .cycle()
            .take(size)
            .collect()),
        (vec(b'a'..b'f', 0..3000), 1..20_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ]
    .boxed()
}

fn sent() -> impl Strategy<Value = Sent> {
    let compress = prop_oneof![
        Just(Compress::Threshold),
        Just(Compress::Always),
        Just(Compress::Never)
    ];
    (data(), compress, vec(any::<u16>(), 0..4), any::<bool>()).prop_map(
        |(data, compress, cuts, pings)| {
            let mut cuts: Vec<_> = cuts
                .into_iter()
                .map(|cut| usize::from(cut) % (data.len() + 1))
                .collect();
            cuts.sort_unstable();
            Sent {
                data,
                compress,
                cuts,
                pings,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_message_arrives_whole(
        params in params(),
        settings in settings(),
        from_client in any::<bool>(),
        chunks in any::<bool>(),
        sent in vec(sent(), 0..6),
        reads in vec(1..3000_usize, 1..8),
        hold in any::<bool>(),
    ) {
        let now = Instant::now();
        let sender = if from_client { Role::Client } else { Role::Server };
        let config = |delivery| Arc::new(Config {
            compression: Some(settings.clone()),
            delivery,
            send_queue_max: usize::MAX,
            ..Config::default()
        });
        let (mut out, mut bytes) = (SendBuffer::new(), Vec::new());
        let mut connection =
            Connection::established(sender, config(Delivery::Whole), now, [7; 32])
                .with_compression(params);
        for sent in &sent {
            send(&mut connection, sent, &mut out);
            bytes.extend_from_slice(out.pending());
            out.advance(out.len());
        }

        let delivery = if chunks { Delivery::Chunks } else { Delivery::Whole };
        let mut peer = Connection::established(sender.peer(), config(delivery), now, [7; 32])
            .with_compression(params);
        let (mut recv, mut replies) = (RecvBuffer::new(), SendBuffer::new());
        let (mut received, mut open) = (Vec::new(), Vec::new());
        let (mut rest, mut sizes) = (&bytes[..], reads.iter().cycle());
        while !rest.is_empty() {
            let piece;
            (piece, rest) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            recv.extend(piece);
            while let Some(event) = peer.poll(now, &mut recv, &mut replies).unwrap() {
                match event {
                    Event::Binary(data) => received.push(data.to_vec()),
                    Event::Chunk(Chunk { data, last, .. }) => {
                        open.extend_from_slice(data);
                        if last {
                            received.push(std::mem::take(&mut open));
                        }
                    }
                    _ => {}
                }
            }
            // A loop keeps what is left over in a buffer of just that size.
            if hold {
                let held = recv.take_held();
                recv = RecvBuffer::new();
                recv.put_held(&held);
            }
        }
        let expected: Vec<_> = sent.into_iter().map(|sent| sent.data).collect();
        prop_assert_eq!(received, expected);
    }
}

fn send(connection: &mut Connection, sent: &Sent, out: &mut SendBuffer) {
    if sent.cuts.is_empty() {
        connection
            .send_data(Data::Binary(&sent.data), sent.compress, out)
            .unwrap();
        return;
    }
    let mut start = 0;
    for cut in &sent.cuts {
        if sent.pings {
            connection.send_ping(b"?", out).unwrap();
        }
        let piece = &sent.data[start..*cut];
        match start == 0 && connection.resume_binary(out).is_none() {
            true => {
                let fragments = connection.binary_fragments(out).unwrap();
                fragments.compress(sent.compress).send(piece).unwrap();
            }
            false => {
                let chunk = Chunk {
                    kind: Kind::Binary,
                    data: piece,
                    last: false,
                };
                connection.send_chunk(chunk, out).unwrap();
            }
        }
        start = *cut;
    }
    let fragments = connection.resume_binary(out).unwrap();
    fragments.finish(&sent.data[start..]).unwrap();
}
