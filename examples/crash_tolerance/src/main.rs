//! The table of docs/src/crash_tolerance.md: published structures as they are, with a kill before each step.
//!
//! ```sh
//! cargo forkcheck run --release -p crash-tolerance              # the table, and a token for each row with a failure
//! cargo forkcheck run --release -p crash-tolerance stepped      # all orders of their steps, without kills
//! cargo forkcheck run --release -p crash-tolerance measure      # how long a step, an execution and a kill take
//! FORKCHECK_REPLAY=fk1:... cargo forkcheck run --release -p crash-tolerance replay 'crossbeam ArrayQueue'
//! ```

mod adapters;
mod locks;
mod measures;
mod page;
mod queues;
mod row;
mod values;

use row::Row;
use std::process::ExitCode;

fn rows() -> Vec<Row> {
    let parts = [queues::rows(), values::rows(), locks::rows()];
    parts.into_iter().flatten().collect()
}

fn main() -> ExitCode {
    forkcheck::probe!();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, names) = match arguments.split_first() {
        Some((command, names)) => (command.as_str(), names),
        None => ("kills", &[][..]),
    };
    let mut rows = rows();
    if !names.is_empty() {
        rows.retain(|row| names.iter().any(|name| name == row.name));
        if rows.len() != names.len() {
            let known: Vec<&str> = self::rows().iter().map(|row| row.name).collect();
            eprintln!("name rows of the table: {}", known.join(", "));
            return ExitCode::from(2);
        }
    }
    match command {
        "kills" => print!("{}", page::of(&rows)),
        "stepped" => return page::stepped(&rows),
        "measure" => measures::print(),
        "replay" => rows.iter().for_each(|row| (row.replay)()),
        other => {
            eprintln!("{other} is no command: name kills, stepped, measure or replay");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
