//! The page of the guide, and the list of what `stepped` says.

use crate::row::{Counts, Row};
use forkcheck::Error;
use std::fmt::Write;
use std::process::ExitCode;

const HEAD: &str = "\
# Crash tolerance of published structures

`cargo forkcheck run --release -p crash-tolerance` prints this page. It runs the current releases of published crates, the
locks of std and glibc, a ring in C and a stack in C++, all unmodified. Each structure lies in memory that forked
processes share. One program of each (two to four operations of two or three processes) runs without preemptions, once
for each process that begins. Before each step, a real SIGKILL ends the process that is about to take it. Its next
incarnation takes over its handle and does the rest of its operations, and the other processes do theirs.

Nearly all of these crates are made for threads of one process and promise nothing about kills: a row with failures is no
defect of theirs. It says what to expect of the structure in shared memory when one of its users is killed.

| column | counts |
|---|---|
| kill points | steps before which a process was killed |
| stuck | kills after which a process waits indefinitely |
| wrong | kills after which an operation returns what the specification does not allow: an item is lost or doubled, a queue is full or empty that is not |
| other | kills after which a process panics, ends by a signal, races or touches freed memory |

An operation that was interrupted may or may not have taken effect; both are right. A process that is killed while it holds a
lock leaves it locked: if the lock cannot detect that, all others wait. Each process has statics of its own; arc-swap,
crossbeam-deque, event-listener, kanal and parking_lot keep a part of their state there, and may behave otherwise among threads.
";

/// Returns the page.
pub(crate) fn of(rows: &[Row]) -> String {
    let mut table = String::from(
        "\n| structure | its documentation promises | kill points | stuck | wrong | other |\n|---|---|---|---|---|---|\n",
    );
    let mut cases = String::new();
    for row in rows {
        let counts = match (row.kill)() {
            Ok(counts) => counts,
            Err(error) => {
                let _ = writeln!(
                    table,
                    "| {} | {} | not counted: {} | | | |",
                    row.name,
                    row.promise,
                    words(&error)
                );
                continue;
            }
        };
        let Counts {
            points,
            stuck,
            wrong,
            other,
            ..
        } = counts;
        let not_judged = counts
            .unknown
            .map(|why| format!(" (some not judged: {why})"));
        let _ = writeln!(
            table,
            "| {} | {} | {points}{} | {stuck} | {wrong} | {other} |",
            row.name,
            row.promise,
            not_judged.unwrap_or_default()
        );
        for (kind, (line, token)) in &counts.cases {
            let _ = writeln!(
                cases,
                "# {}: {kind}, {line}\nFORKCHECK_REPLAY={token} \\\n    cargo forkcheck run --release -p crash-tolerance replay '{}'",
                row.name, row.name
            );
        }
    }
    format!(
        "{HEAD}{table}\n## A case of each\n\nEach command replays one kill and prints its report, with all steps.\n\n```sh\n{cases}```\n"
    )
}

fn words(error: &Error) -> String {
    error.to_string().replace('\n', " ").replace('|', "\\|")
}

/// Prints the verdict of `stepped` on each row; fails where one is not `ok`.
pub(crate) fn stepped(rows: &[Row]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    println!(
        "| structure | stepped | searched by | programs | executions | seconds |\n|---|---|---|---|---|---|"
    );
    for row in rows {
        match (row.step)() {
            Ok(searched) => {
                let took = searched.took.as_secs_f64();
                let (verdict, programs) = (searched.verdict, searched.programs);
                let by = if searched.by_processes {
                    "forked processes"
                } else {
                    "coroutines"
                };
                println!(
                    "| {} | {verdict} | {by} | {programs} | {} | {took:.1} |",
                    row.name, searched.executions
                );
                if let Some(token) = searched.token {
                    println!("  {token}");
                }
                if !searched.is_ok {
                    code = ExitCode::FAILURE;
                }
            }
            Err(error) => {
                println!("| {} | {} | | | |", row.name, words(&error));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
