//! Settings from the environment, all read here. They win over the suite's own.
//!
//! | variable | meaning |
//! |---|---|
//! | `FORKCHECK_CASES` | programs to draw for each test, a whole number from 1; engines that explore stop once they have run as many executions as four may take, or, of `stepped` and `kills`, sixteen |
//! | `FORKCHECK_JOBS` | programs of one test that engines which explore search at the same time, a whole number from 1; as many as there are processors, unless set, once a test takes long; verdicts do not depend on it |
//! | `FORKCHECK_EXECUTIONS` | executions of each program, a whole number from 1; `kills` takes a fifth where forked processes have to search |
//! | `FORKCHECK_SECONDS` | time limit of a test, a number above 0; what is not done by then makes the verdict `Unknown` |
//! | `FORKCHECK_WATCHDOG` | seconds without progress after which processes hang, of processor time or asleep, a number above 0; 2 unless set; a suite's own stands if it is longer |
//! | `FORKCHECK_SEED` | the seed of what is drawn, a whole number |
//! | `FORKCHECK_REPLAY` | a token from a report: run exactly that case |
//! | `FORKCHECK_REFRESH` | `1`: of saved cases whose steps the code no longer takes, the program alone is kept |
//! | `FORKCHECK_HTML` | a directory, made if it is not there: a failing test writes its report there as a page, `crate-module-suite-engine.html`, which opens in any browser and needs no network; from the directory that the test runs in, which is that of its package |
//! | `FORKCHECK_TRACE` | a directory, as `FORKCHECK_HTML`: a failing test writes its execution there as a trace, `crate-module-suite-engine.trace.json`, which ui.perfetto.dev opens |
//! | `FORKCHECK_GDB_ROW` | with `FORKCHECK_REPLAY`: a row of the report's table; the forked process of that row stops there, and gdb is attached to it |
//! | `FORKCHECK_REQUIRE_REACHED` | `1`: a test fails where no execution reached some label of `reached!` or `sometimes!` |
//! | `FORKCHECK_VERBOSE` | `1`: a report leaves out no row of its table, and cuts no operation, result or state in it, in the headline and in the order below it |
//! | `FORKCHECK_LOCK` | a file or directory whose lock (flock) is the turn of `processes` on this machine; the temporary directory where it is not set |
//! | `FORKCHECK_ALLOW_MISSING` | engines, separated by commas, whose `Unknown` and `Unavailable` do not fail a test |
//!
//! In a job of GitHub Actions (`GITHUB_ACTIONS` is `true`) a failing test also prints its finding as annotations of the source
//! lines that matter. `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM` say whether a terminal gets colours. `COLUMNS`, where a shell exports it, is
//! the width of a report; otherwise that of the terminal is, or 100 where there is none.
//!
//! Any other variable whose name begins with `FORKCHECK_` is refused, so that a mistyped one is not ignored; those of the
//! crate's own tests and of its zygotes are let through.

use crate::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::time::Duration;

/// The engines by name, including those that this build leaves out: any other name is mistyped.
pub(crate) const ENGINES: [&str; 4] = ["processes", "stepped", "kills", "loom"];

/// The variables of the table above.
const VARIABLES: [&str; 15] = [
    "FORKCHECK_CASES",
    "FORKCHECK_EXECUTIONS",
    "FORKCHECK_GDB_ROW",
    "FORKCHECK_HTML",
    "FORKCHECK_JOBS",
    "FORKCHECK_LOCK",
    "FORKCHECK_SECONDS",
    "FORKCHECK_SEED",
    "FORKCHECK_REPLAY",
    "FORKCHECK_REFRESH",
    "FORKCHECK_REQUIRE_REACHED",
    "FORKCHECK_ALLOW_MISSING",
    "FORKCHECK_TRACE",
    "FORKCHECK_VERBOSE",
    "FORKCHECK_WATCHDOG",
];

/// Variables that the tests and benches of this crate read.
const OF_OUR_TESTS: [&str; 7] = [
    "FORKCHECK_HISTORIES",
    "FORKCHECK_INPUTS",
    "FORKCHECK_ISOLATED_PROOF",
    "FORKCHECK_RACES",
    "FORKCHECK_REPETITIONS",
    "FORKCHECK_ROUNDS",
    "FORKCHECK_SOAK",
];
/// The prefixes of names that this crate gives to its own processes: zygotes, and the children of
/// its tests and benches.
const OF_OUR_PROCESSES: [&str; 3] = ["FORKCHECK_ZYGOTE", "FORKCHECK_TESTS_", "FORKCHECK_BENCH_"];

/// The amount of work. The module lists the variables that override it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cases: u32,
    pub(crate) executions: u64,
    /// Programs that are searched at the same time; by default as many as there are processors.
    pub(crate) jobs: Option<usize>,
    /// The time limit of a test; by default that of its engine.
    pub(crate) time: Option<Duration>,
    /// The time without progress that is a hang; by default two seconds.
    pub(crate) watchdog: Option<Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) replay: Option<String>,
    pub(crate) allow_missing: Vec<String>,
    pub(crate) refresh: bool,
    /// Whether a test fails for labels that no execution reached.
    pub(crate) require_reached: bool,
    /// Whether reports leave out and cut nothing.
    pub(crate) verbose: bool,
    pub(crate) lock: Option<PathBuf>,
    /// Whether a test waits for its turn of the machine; not where overlap of its calls does not matter.
    pub(crate) takes_turn: bool,
    /// Directory of the pages of failing tests.
    pub(crate) html: Option<PathBuf>,
    /// Directory of the traces of failing tests.
    pub(crate) trace: Option<PathBuf>,
    /// The row at which gdb is attached to its process, where a token is replayed.
    pub(crate) gdb_row: Option<usize>,
    /// The directory of the checkout, in a job of GitHub Actions.
    pub(crate) checkout: Option<PathBuf>,
    /// Columns of the terminal.
    pub(crate) columns: Option<usize>,
    /// Whether the environment was read already: later settings win over it.
    pub(crate) asked: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cases: 64,
            executions: 10_000,
            jobs: None,
            time: None,
            watchdog: None,
            seed: None,
            replay: None,
            allow_missing: Vec::new(),
            refresh: false,
            require_reached: false,
            verbose: false,
            lock: None,
            takes_turn: true,
            html: None,
            trace: None,
            gdb_row: None,
            checkout: None,
            columns: None,
            asked: false,
        }
    }
}

impl Settings {
    /// Returns these settings, overridden by those of `variable`.
    pub(crate) fn overruled_by(
        mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        if let Some(cases) = number::<u32>(
            &variable,
            "FORKCHECK_CASES",
            "a whole number from 1, such as 500",
        )? {
            if cases == 0 {
                return Err(wrong(
                    "FORKCHECK_CASES",
                    "0",
                    "a whole number from 1, such as 500",
                ));
            }
            self.cases = cases;
        }
        if let Some(executions) = number::<u64>(
            &variable,
            "FORKCHECK_EXECUTIONS",
            "a whole number from 1, such as 2000",
        )? {
            if executions == 0 {
                return Err(wrong(
                    "FORKCHECK_EXECUTIONS",
                    "0",
                    "a whole number from 1, such as 2000",
                ));
            }
            self.executions = executions;
        }
        if let Some(jobs) = number::<usize>(
            &variable,
            "FORKCHECK_JOBS",
            "a whole number from 1, such as 4",
        )? {
            if jobs == 0 {
                return Err(wrong(
                    "FORKCHECK_JOBS",
                    "0",
                    "a whole number from 1, such as 4",
                ));
            }
            self.jobs = Some(jobs);
        }
        self.time = seconds(&variable, "FORKCHECK_SECONDS")?.or(self.time);
        // A suite that asks for more time has operations that take it.
        self.watchdog = self.watchdog.max(seconds(&variable, "FORKCHECK_WATCHDOG")?);
        if let Some(seed) = number::<u64>(&variable, "FORKCHECK_SEED", "a whole number, such as 7")?
        {
            self.seed = Some(seed);
        }
        self.replay = variable("FORKCHECK_REPLAY")
            .filter(|token| !token.is_empty())
            .or(self.replay);
        self.refresh |= is_asked_for(&variable, "FORKCHECK_REFRESH")?;
        self.require_reached |= is_asked_for(&variable, "FORKCHECK_REQUIRE_REACHED")?;
        self.verbose |= is_asked_for(&variable, "FORKCHECK_VERBOSE")?;
        if let Some(path) = variable("FORKCHECK_LOCK").filter(|path| !path.is_empty()) {
            // To open a FIFO would wait.
            let is_lockable = |about: std::fs::Metadata| about.is_file() || about.is_dir();
            if !std::fs::metadata(&path).is_ok_and(is_lockable)
                || std::fs::File::open(&path).is_err()
            {
                let wanted = "a file or directory that is there and can be read";
                return Err(wrong("FORKCHECK_LOCK", &path, wanted));
            }
            self.lock = Some(path.into());
        }
        let html = variable("FORKCHECK_HTML").filter(|path| !path.is_empty());
        self.html = html.map(PathBuf::from).or(self.html);
        let trace = variable("FORKCHECK_TRACE").filter(|path| !path.is_empty());
        self.trace = trace.map(PathBuf::from).or(self.trace);
        const ROW: &str = "a row of the report's table, such as 7";
        if let Some(row) = number::<usize>(&variable, "FORKCHECK_GDB_ROW", ROW)? {
            if row == 0 {
                return Err(wrong("FORKCHECK_GDB_ROW", "0", ROW));
            }
            if self.replay.is_none() {
                return Err(Error::invalid(
                    "the environment variable FORKCHECK_GDB_ROW is set without FORKCHECK_REPLAY",
                    "set FORKCHECK_REPLAY to the token of the report too: the row is one of its table",
                ));
            }
            self.gdb_row = Some(row);
        }
        self.columns = columns(&variable);
        if variable("GITHUB_ACTIONS").as_deref() == Some("true") {
            self.checkout = Some(variable("GITHUB_WORKSPACE").unwrap_or_default().into());
        }
        if let Some(engines) = variable("FORKCHECK_ALLOW_MISSING") {
            self.allow_missing = engines
                .split(',')
                .map(|engine| engine.trim().to_owned())
                .filter(|engine| !engine.is_empty())
                .collect();
            if let Some(unknown) = self
                .allow_missing
                .iter()
                .find(|engine| !ENGINES.contains(&&***engine))
            {
                let wanted = format!("engines, separated by commas, of {}", ENGINES.join(", "));
                return Err(wrong("FORKCHECK_ALLOW_MISSING", unknown, &wanted));
            }
        }
        Ok(self)
    }

    /// Returns these settings, overridden by those of the environment.
    pub(crate) fn overruled_by_environment(self) -> Result<Self, Error> {
        if self.asked {
            return Ok(self);
        }
        no_unknown(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()))?;
        let mut settings = self.overruled_by(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })?;
        settings.asked = true;
        Ok(settings)
    }

    /// Returns the seed: the one that was set, or a new one.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
            .unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish())
    }
}

/// Returns the width of output that the environment asks for.
pub(crate) fn columns(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    // The variable is not one of this crate: an invalid value is not the user's mistake.
    let columns = variable("COLUMNS").and_then(|columns| columns.trim().parse().ok());
    columns.filter(|&columns| columns > 0)
}

/// Refuses a variable with this crate's prefix that nothing reads.
fn no_unknown(names: impl Iterator<Item = String>) -> Result<(), Error> {
    let unknown = names.filter(|name| {
        name.starts_with("FORKCHECK_")
            && !VARIABLES.contains(&&**name)
            && !OF_OUR_TESTS.contains(&&**name)
            && !OF_OUR_PROCESSES.iter().any(|ours| name.starts_with(ours))
    });
    // The environment has no order, so the first by name is taken.
    let Some(unknown) = unknown.min() else {
        return Ok(());
    };
    let nearest = VARIABLES
        .iter()
        .min_by_key(|known| distance(known, &unknown))
        .expect("there are some");
    Err(Error::invalid(
        format!("there is no environment variable {unknown}"),
        format!("set {nearest}, if that is what it should be, or unset it"),
    ))
}

/// Returns the fewest letters to insert, remove or replace that turn one word into the other
/// (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let replaced = before + usize::from(from != to);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn number<T: std::str::FromStr>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    wanted: &str,
) -> Result<Option<T>, Error> {
    match variable(name) {
        None => Ok(None),
        Some(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| wrong(name, &text, wanted)),
    }
}

/// Returns whether a variable is 1.
fn is_asked_for(variable: impl Fn(&str) -> Option<String>, name: &str) -> Result<bool, Error> {
    match variable(name).as_deref() {
        Some("1") => Ok(true),
        None | Some("" | "0") => Ok(false),
        Some(other) => Err(wrong(name, other, "1")),
    }
}

/// Returns a time in seconds, where the variable is set.
fn seconds(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<Duration>, Error> {
    const WANTED: &str = "a number above 0, such as 2.5";
    let Some(seconds) = number::<f64>(variable, name, WANTED)? else {
        return Ok(None);
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(Some(time)),
        _ => Err(wrong(name, &seconds.to_string(), WANTED)),
    }
}

fn wrong(name: &str, text: &str, wanted: &str) -> Error {
    Error::invalid(
        format!("the environment variable {name} is {text:?}"),
        format!("set it to {wanted}, or unset it"),
    )
}

#[cfg(test)]
mod tests;
