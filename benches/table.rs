//! The ratios as a table. Each group is measured in interleaved rounds, so a disturbance affects
//! all its figures, and a figure is the median of its rounds. `ci/bench.sh` runs it; `quick` takes
//! few rounds, to see that it runs. Another word selects the groups with it in their names, or else
//! the figures, each with the first of its group.

mod measured;

use measured::Measured;

/// The rounds of which a figure is the median.
const ROUNDS: usize = 15;
const QUICK: usize = 1;

fn main() {
    measured::is_a_child();
    let (mut quick, mut named) = (false, None);
    for argument in std::env::args().skip(1) {
        match &*argument {
            "quick" => quick = true,
            // An option of cargo's own.
            option if option.starts_with("--") => {}
            _ => named = Some(argument),
        }
    }
    let rounds = if quick { QUICK } else { ROUNDS };
    println!("{}\n", machine());
    println!("| what | of each | time | ratio to the first | |");
    println!("|---|---|---|---|---|");
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
    let mut times = vec![Vec::new(); figures.len()];
    for round in 0..=rounds {
        for (figure, times) in figures.iter_mut().zip(&mut times) {
            let turns = if quick {
                figure.turns.div_ceil(10)
            } else {
                figure.turns
            };
            let per_turn = (figure.run)(turns).as_secs_f64() / turns as f64;
            // The first round warms up.
            if round > 0 {
                times.push(per_turn);
            }
        }
    }
    println!("| **{group}** | | | | |");
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    for (figure, &time) in figures.iter().zip(&medians) {
        let ratio = if time <= medians[0] {
            format!("{:.2} x as fast", medians[0] / time)
        } else {
            format!("{:.2} x as long", time / medians[0])
        };
        println!(
            "| {} | {} | {} | {ratio} | {} |",
            figure.name,
            figure.unit,
            written(time),
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
