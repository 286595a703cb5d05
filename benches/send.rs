//! Sending binary messages into a buffer that is drained now and then, beside the floor.

mod floor;

use criterion::{BenchmarkId, Criterion, Throughput};
use openline::proto::{Data, Role};

use floor::stream::{Content, SIZES, display};
use floor::{Sender, ours};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    send(&mut criterion, "send/server", Role::Server);
    send(&mut criterion, "send/client", Role::Client);
    criterion.final_summary();
}

fn send(criterion: &mut Criterion, name: &str, role: Role) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    for size in SIZES {
        let payload = Content::Binary.payload(size);
        let mut floor = Sender::new(role, Content::Binary, size);
        group.bench_function(BenchmarkId::new("floor", display(size)), |bencher| {
            bencher.iter(|| floor.send(&payload, |_| ()));
        });
        let mut ours = ours::Sender::new(role);
        group.bench_function(BenchmarkId::new("ours", display(size)), |bencher| {
            bencher.iter(|| ours.send(Data::Binary(&payload), |_| ()));
        });
    }
    group.finish();
}
