//! The ratios as a table. Each group is measured in interleaved rounds, so a disturbance affects
//! all its figures, and a figure is the median of its rounds. `ci/bench.sh` runs it; `quick` takes
//! few rounds, to see that it runs, and a number that many. Another word selects the groups with it in their names, or else
//! the figures, each with the first of its group.

mod measured;
#[path = "measured/processor.rs"]
mod processor;

use measured::Measured;
use std::time::Instant;

/// The rounds of which a figure is the median.
const ROUNDS: usize = 15;
const QUICK: usize = 1;

fn main() {
    measured::is_a_child();
    let (mut rounds, mut quick, mut named) = (ROUNDS, false, None);
    for argument in std::env::args().skip(1) {
        match &*argument {
            "quick" => (rounds, quick) = (QUICK, true),
            // An option of cargo's own.
            option if option.starts_with("--") => {}
            other => match other.parse() {
                Ok(number) => rounds = number,
                Err(_) => named = Some(argument),
            },
        }
    }
    println!("{}\n", machine());
    println!("| what | of each | time | ratio to the first | processor time | |");
    println!("|---|---|---|---|---|---|");
    let mut all = measured::all();
    while !all.is_empty() {
        let group = all[0].group.clone();
        let rest = all.iter().position(|figure| figure.group != group);
        let rest = all.split_off(rest.unwrap_or(all.len()));
        let mut figures = std::mem::replace(&mut all, rest);
        if let Some(named) = &named
            && !group.contains(named)
        {
            let mut first = true;
            figures.retain(|figure| std::mem::take(&mut first) || figure.name.contains(named));
        }
        let whole = named.as_ref().is_none_or(|named| group.contains(named));
        if whole || figures.len() > 1 {
            table(&group, figures, rounds, quick);
        }
    }
    println!("\n{}", load());
}

fn table(group: &str, mut figures: Vec<Measured>, rounds: usize, quick: bool) {
    let mut times = vec![(Vec::new(), Vec::new()); figures.len()];
    for round in 0..=rounds {
        for (figure, (times, used)) in figures.iter_mut().zip(&mut times) {
            let turns = if quick {
                figure.turns.div_ceil(10)
            } else {
                figure.turns
            };
            let (before, start) = (processor::used(), Instant::now());
            let time = (figure.run)(turns).as_secs_f64();
            let spent = processor::used().saturating_sub(before).as_secs_f64();
            // A figure may have done more or fewer turns, and scaled its time.
            let spent = spent * time / start.elapsed().as_secs_f64();
            // The first round warms up.
            if round > 0 {
                times.push(time / turns as f64);
                used.push(spent / turns as f64);
            }
        }
    }
    println!("| **{group}** | | | | | |");
    let medians = times
        .into_iter()
        .map(|(times, used)| (median(times), median(used)));
    let medians: Vec<(f64, f64)> = medians.collect();
    for (figure, &(time, used)) in figures.iter().zip(&medians) {
        let first = medians[0].0;
        let ratio = if time <= first {
            format!("{:.2} x as fast", first / time)
        } else {
            format!("{:.2} x as long", time / first)
        };
        println!(
            "| {} | {} | {} | {ratio} | {} | {} |",
            figure.name,
            figure.unit,
            written(time),
            written(used),
            (figure.note)()
        );
    }
}

/// Returns seconds in a suitable unit.
fn written(seconds: f64) -> String {
    match seconds {
        ns if ns < 1e-6 => format!("{:.1} ns", ns * 1e9),
        us if us < 1e-3 => format!("{:.2} us", us * 1e6),
        ms => format!("{:.2} ms", ms * 1e3),
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn machine() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = model.map_or("unknown", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    format!("{processors} processors ({model}), {}", load())
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "load {}",
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    )
}
