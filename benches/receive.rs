//! Receiving masked messages that arrive in 16 KiB reads, beside the floor.

mod floor;

use criterion::{BenchmarkId, Criterion, Throughput};
use openline::proto::Role;

use floor::stream::{Content, SIZES, Stream, display};
use floor::{Receiver, ours};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    receive(&mut criterion);
    criterion.final_summary();
}

fn receive(criterion: &mut Criterion) {
    for content in Content::ALL {
        let mut group = criterion.benchmark_group(format!("receive/{content}"));
        for size in SIZES {
            let stream = Stream::new(Role::Client, content, size);
            group.throughput(Throughput::Elements(stream.messages as u64));
            let mut floor = Receiver::new(&stream);
            group.bench_function(BenchmarkId::new("floor", display(size)), |bencher| {
                bencher.iter(|| floor.pass(&stream));
            });
            let mut ours = ours::Receiver::new(Role::Server);
            group.bench_function(BenchmarkId::new("ours", display(size)), |bencher| {
                bencher.iter(|| ours.pass(&stream));
            });
        }
        group.finish();
    }
}
