//! The arguments of the `forkcheck` command, and the action for each.

mod builtins;
mod check;
mod explain;
mod history;
mod json;
mod list;
mod options;
mod print;
mod replay;
mod standing;
mod summary;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use options::Options;
pub(crate) use standing::Standing;
use std::path::PathBuf;

/// Checks the memory that processes share: the built-in publications and their planted broken twins, on every engine.
///
/// Exit code: 0, all is as expected; 1, a finding, or a planted bug that was not found; 2, wrong use, output that
/// cannot be written, or a place where it cannot run. FORKCHECK_CASES, FORKCHECK_EXECUTIONS, FORKCHECK_SECONDS and
/// FORKCHECK_SEED say how much to run, where the options do not. Without a command it is `check`.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Checks structures: all of them, unless some are named. A planted bug has to be found.
    Check {
        /// The structures to check.
        #[arg(value_name = "STRUCTURE", value_parser = structures())]
        structures: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Lists the structures, the engines that they run on, and what is expected of them.
    List {
        /// One JSON object a line, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Runs a case again that failed: 1 if it fails again, 0 if not.
    Replay {
        /// A token from a report (fk1:...), or a file of saved cases (proptest-regressions/*.ron).
        #[arg(value_name = "FILE-or-token")]
        target: String,
        /// Writes the report to this file too, as a page for a browser; of several cases the later ones to FILE-2 and so on.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Writes the execution to this file too, as a trace that ui.perfetto.dev opens; of several cases the later ones to FILE-2
        /// and so on.
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
        /// Attaches gdb to the forked process of a row of the report, which stops there at its source line: of the case of a token
        /// of stepped or kills.
        #[arg(long)]
        gdb: bool,
        /// The row of the report to stop before; by default that of the access that shows the failure.
        #[arg(long, value_name = "N", requires = "gdb", value_parser = clap::value_parser!(u32).range(1..))]
        to_row: Option<u32>,
        /// Print one JSON object a line, and nothing else.
        #[arg(long)]
        json: bool,
    },
    /// Prints what the suites of a package covered when they ran last, and what was not checked: 1 if one has a finding, 2 if one is
    /// unknown or unavailable.
    Summary {
        /// The file; target/forkcheck/summary.json of this directory or of one above, unless it is given.
        file: Option<PathBuf>,
        /// Writes them to this file too, as JUnit XML with a property for each figure.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
        /// The lines of the file, one JSON object for each test.
        #[arg(long)]
        json: bool,
    },
    /// Says what a verdict or a limitation of a report means, and what to do. Without a name it lists those that there are.
    Explain {
        /// As a report writes it: DEADLOCK, UNKNOWN, weak memory.
        #[arg(value_name = "VERDICT-or-limitation")]
        name: Vec<String>,
    },
    /// Judges a recorded history by a ready spec: 1 if no order of its calls explains their results.
    ///
    /// One call a line, as a JSON object: {"process": 0, "call": 12, "return": 15, "op": "write", "value": 7}. `process` is
    /// a number or a name. `call` and `return` are integers of one clock that all processes share; a call that never
    /// returned has neither `return` nor `result`. The lines may be in any order. Operations, with what they need:
    ///
    ///   register  write value; read -> result
    ///   cas       the same; cas expected value -> result (true if it swapped)
    ///   queue     push value; pop -> result (null: empty)
    ///   stack     the same
    ///   relaxed-queue  the same as queue; pop may return null beside a push that has not returned
    ///   set       add value, remove value, contains value -> result (true or false)
    ///   map       put key value; remove key; get key -> result (null: none)
    ///   counter   add value; read -> result
    ///   lock      lock; try_lock -> result (true: acquired); unlock -> result (false: refused; true if it is left out)
    ///   semaphore acquire; try_acquire -> result; release
    ///   barrier   arrive; leave (of all processes of the file)
    ///   event     set; reset; wait; is_set -> result
    ///
    /// Values and keys are any JSON; a register begins with null, a counter with 0, a semaphore with no permit, all others empty or
    /// free.
    #[command(verbatim_doc_comment)]
    History {
        /// The file.
        file: PathBuf,
        /// Specification to judge by.
        #[arg(long, value_enum)]
        spec: history::Ready,
        /// States that the check may remember.
        #[arg(long, value_name = "N", default_value_t = forkcheck::check::Limits::default().states)]
        states: usize,
        /// Steps of the spec that the check may take.
        #[arg(long, value_name = "N", default_value_t = forkcheck::check::Limits::default().steps)]
        steps: u64,
        /// One JSON object, for programs, and nothing else.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Does the command.
    pub(crate) fn run(self) -> Standing {
        match self.what {
            None => check::check(&[], &self.options),
            Some(What::Check {
                structures,
                options,
            }) => check::check(&structures, &options),
            Some(What::List { json }) => list::list(json),
            Some(What::Replay {
                target,
                html,
                trace,
                gdb,
                to_row,
                json,
            }) => {
                let gdb_row = gdb.then_some(to_row.unwrap_or(0) as usize);
                let files = replay::Files { html, trace };
                replay::replay(&target, &files, gdb_row, json)
            }
            Some(What::Summary { file, junit, json }) => {
                summary::summary(file.as_deref(), junit.as_deref(), json)
            }
            Some(What::Explain { name }) => explain::explain(&name),
            Some(What::History {
                file,
                spec,
                states,
                steps,
                json,
            }) => {
                let limits = forkcheck::check::Limits { states, steps };
                history::history(&file, spec, limits, json)
            }
        }
    }
}

fn structures() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(builtins::all().iter().map(|builtin| builtin.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_arguments_are_understood_or_refused() {
        use proptest::collection::vec;
        use proptest::prelude::{any, prop_oneof};
        use proptest::sample::select;
        use proptest::strategy::Strategy;
        use proptest::test_runner::{Config, TestRunner};
        use std::ffi::OsString;
        use std::os::unix::ffi::OsStringExt;
        let count = std::env::var("FORKCHECK_INPUTS");
        let config = Config {
            cases: count.map_or(2_000, |count| count.parse().unwrap()),
            failure_persistence: None,
            ..Config::default()
        };
        let known = "check list replay history summary explain help one_shot early_flag --engine --cases --seconds --seed --json --html --trace --gdb --to-row --junit --spec \
             --states --steps --help --version -h -V -- - = --cases=3 --seconds=1e400 --seconds=-1 --seed=-0 stepped \
             loom queue 0 1 -1 18446744073709551615 18446744073709551616 4294967296 NaN inf 1e308 0x10 1e-400 fk1: fk";
        let known: Vec<&str> = known.split_whitespace().collect();
        let word = prop_oneof![
            4 => select(known.clone()).prop_map(OsString::from),
            1 => (select(known), "[=\\PC]{0,3}").prop_map(|(word, more)| format!("{word}{more}").into()),
            1 => vec(any::<u8>(), 0..9).prop_map(OsString::from_vec),
        ];
        let understood = std::cell::Cell::new(0);
        let done = TestRunner::new(config).run(&vec(word, 0..7), |words| {
            let name = std::iter::once(OsString::from("forkcheck"));
            match Command::try_parse_from(name.chain(words)) {
                Ok(_) => understood.set(understood.get() + 1),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            Ok(())
        });
        done.unwrap();
        assert!(understood.get() > 0);
    }

    #[test]
    fn without_a_command_the_options_of_check_are_understood() {
        let parsed = Command::try_parse_from(["forkcheck", "--cases", "3", "--json"]).unwrap();
        assert!(parsed.what.is_none() && parsed.options.cases == Some(3) && parsed.options.json);
    }
}
