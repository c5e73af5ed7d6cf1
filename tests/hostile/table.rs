//! The table of the matrix: cells, failures and seconds for each engine and place.

use crate::misdeeds::{ENGINES, MISDEEDS, PLACES, Place};
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts of an engine at a place.
#[derive(Clone, Copy)]
struct Count {
    tried: u32,
    failed: u32,
    left_out: u32,
    took: Duration,
}

const NONE: Count = Count {
    tried: 0,
    failed: 0,
    left_out: 0,
    took: Duration::ZERO,
};

struct Table {
    counts: [[Count; PLACES.len()]; ENGINES.len()],
    /// Misdeeds that have ended, each on one engine.
    columns: usize,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    counts: [[NONE; PLACES.len()]; ENGINES.len()],
    columns: 0,
});

impl Table {
    fn count(&mut self, engine: &str, place: Place) -> &mut Count {
        let row = ENGINES.iter().position(|&name| name == engine);
        let column = PLACES.iter().position(|&other| other == place);
        &mut self.counts[row.expect("it has a row")][column.expect("it has a column")]
    }
}

fn with<T>(body: impl FnOnce(&mut Table) -> T) -> T {
    // A test that fails has nothing half written here.
    body(&mut TABLE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Counts a cell that is not tried.
pub(crate) fn leave_out(engine: &str, place: Place) {
    with(|table| table.count(engine, place).left_out += 1);
}

/// A cell that runs. It counts as failed unless it succeeds, so one that panics does too.
pub(crate) struct Timed {
    engine: &'static str,
    place: Place,
    since: Instant,
    failed: bool,
}

impl Timed {
    pub(crate) fn start(engine: &'static str, place: Place) -> Self {
        Self {
            engine,
            place,
            since: Instant::now(),
            failed: true,
        }
    }
    pub(crate) fn succeed(mut self) {
        self.failed = false;
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        with(|table| {
            let count = table.count(self.engine, self.place);
            count.tried += 1;
            count.failed += u32::from(self.failed);
            count.took += self.since.elapsed();
        });
    }
}

/// One misdeed on one engine; the last one of all prints the table.
pub(crate) struct Column;

impl Drop for Column {
    fn drop(&mut self) {
        let engines = ENGINES.len() - usize::from(cfg!(not(feature = "loom")));
        let table = with(|table| {
            table.columns += 1;
            (table.columns == engines * MISDEEDS.len()).then(|| text(&table.counts[..engines]))
        });
        if let Some(table) = table {
            println!("{table}");
        }
    }
}

fn text(counts: &[[Count; PLACES.len()]]) -> String {
    let mut text = format!(
        "{} misdeeds; cells tried, failed, not tried, and seconds (tests run side by side):\n{:10}",
        MISDEEDS.len(),
        ""
    );
    let names = PLACES.map(|place| format!("{place:?}"));
    for name in names.iter().map(String::as_str).chain(["all"]) {
        let _ = write!(text, " | {name:>20}");
    }
    let sum = |these: &mut dyn Iterator<Item = &Count>| {
        these.fold(NONE, |sum, count| Count {
            tried: sum.tried + count.tried,
            failed: sum.failed + count.failed,
            left_out: sum.left_out + count.left_out,
            took: sum.took + count.took,
        })
    };
    let columns: Vec<_> = (0..PLACES.len())
        .map(|place| sum(&mut counts.iter().map(|row| &row[place])))
        .collect();
    let rows = ENGINES.iter().zip(counts.iter().map(|row| &row[..]));
    for (name, row) in rows.chain([(&"all", &columns[..])]) {
        let _ = write!(text, "\n{name:10}");
        for count in row.iter().chain([&sum(&mut row.iter())]) {
            let seconds = count.took.as_secs_f64();
            let Count {
                tried,
                failed,
                left_out,
                ..
            } = count;
            let _ = write!(
                text,
                " | {tried:>4} {failed:>3} {left_out:>3} {seconds:>5.0} s"
            );
        }
    }
    text
}

#[test]
fn a_cell_that_does_not_succeed_counts_as_failed_and_the_table_has_all_sums() {
    let mut counts = [[NONE; PLACES.len()]; ENGINES.len()];
    for (engine, row) in counts.iter_mut().enumerate() {
        for (place, count) in row.iter_mut().enumerate() {
            count.tried = 1 << engine;
            count.failed = u32::from((engine, place) == (1, 2));
            count.left_out = 2;
            count.took = Duration::from_secs(3);
        }
    }
    let text = text(&counts);
    let cells = |line: &str| {
        let row = text.lines().find(|row| row.starts_with(line)).unwrap();
        let cells = row.split(" | ").map(|cell| {
            let words: Vec<_> = cell.split_whitespace().collect();
            words.join(" ")
        });
        cells.collect::<Vec<_>>()
    };
    assert_eq!(cells("stepped")[3..5], ["2 1 2 3 s", "2 0 2 3 s"]);
    assert_eq!(cells("stepped")[7], "12 1 12 18 s");
    assert_eq!(cells("all")[3], "15 1 8 12 s");
    assert_eq!(cells("all")[7], "90 1 48 72 s");
    // One that panics is dropped without having succeeded, as this one is.
    let failed = Timed::start("loom", Place::TheSpec);
    assert!(failed.failed);
    std::mem::forget(failed);
}
