//! Masking in place and while copying, by size and phase.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use openline::proto::MaskingKey;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    by_size(&mut criterion);
    by_phase(&mut criterion);
    criterion.final_summary();
}

const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);

fn by_size(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for size in [4, 16, 125, 128, 1 << 10, 16 << 10, 1 << 20] {
        group.throughput(Throughput::Bytes(size as u64));
        let source = vec![0x5a; size];
        let mut payload = source.clone();
        group.bench_function(BenchmarkId::new("apply", size), |bencher| {
            bencher.iter(|| black_box(KEY).apply(black_box(&mut payload)));
        });
        group.bench_function(BenchmarkId::new("copy", size), |bencher| {
            bencher.iter(|| black_box(KEY).copy(black_box(&source), black_box(&mut payload)));
        });
    }
    group.finish();
}

/// A piece that begins anywhere in the key, at any alignment.
fn by_phase(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask/phase");
    let mut payload = vec![0x5a; 1033];
    group.throughput(Throughput::Bytes(1024));
    for phase in 0..4_u8 {
        group.bench_function(BenchmarkId::from_parameter(phase), |bencher| {
            bencher.iter(|| {
                let start = usize::from(phase);
                let key = black_box(KEY).at(black_box(phase.into()));
                key.apply(black_box(&mut payload[start..start + 1024]));
            });
        });
    }
    group.finish();
}
