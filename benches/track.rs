//! Every figure for criterion, which keeps them from run to run: `cargo bench -p benches --bench track`.

mod measured;

use criterion::{Criterion, criterion_group};

fn track(criterion: &mut Criterion) {
    for figure in measured::all() {
        let measured::Measured {
            group,
            name,
            unit,
            turns,
            mut run,
            ..
        } = figure;
        let name = format!("{name}, {turns} x {unit}");
        // An iteration of criterion's is `turns` of ours: some are too short to be measured one by
        // one.
        criterion
            .benchmark_group(group)
            .sample_size(10)
            .throughput(criterion::Throughput::Elements(turns))
            .bench_function(name, |bencher| {
                bencher.iter_custom(|iterations| run(iterations * turns));
            });
    }
}

criterion_group!(figures, track);

fn main() {
    measured::is_a_child();
    figures();
    Criterion::default().configure_from_args().final_summary();
}
