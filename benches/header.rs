//! The frame header, decoded and encoded, in its three lengths.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use openline::proto::{FrameHeader, MaskingKey, Opcode, Role};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    header(&mut criterion);
    criterion.final_summary();
}

fn header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    for payload_len in [16, 1 << 10, 1 << 20] {
        for (sender, mask) in [
            (Role::Client, Some(MaskingKey::new([1, 2, 3, 4]))),
            (Role::Server, None),
        ] {
            let header = FrameHeader {
                fin: true,
                rsv1: false,
                opcode: Opcode::Binary,
                mask,
                payload_len,
            };
            let encoded = header.encode();
            let name = match sender {
                Role::Client => "masked",
                Role::Server => "plain",
            };
            let decode = BenchmarkId::new(format!("decode/{name}"), payload_len);
            group.bench_function(decode, |bencher| {
                bencher.iter(|| FrameHeader::decode(black_box(encoded.as_bytes()), sender));
            });
            let encode = BenchmarkId::new(format!("encode/{name}"), payload_len);
            group.bench_function(encode, |bencher| {
                bencher.iter(|| black_box(&header).encode())
            });
        }
    }
    group.finish();
}
