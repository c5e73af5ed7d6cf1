//! The crate's own publications as structures, and for each a planted broken twin that the engines must find: a harness
//! that was never seen to fail proves nothing.
//!
//! Each is a file with a `suite()` and the tests that its reports name. [`all`] lists them without their types, for the
//! `forkcheck` command.

pub mod dead_writer;
pub mod double_buffer;
pub mod early_flag;
pub mod early_index;
pub mod early_publish;
pub mod event_count;
pub mod latest;
pub mod lost_wake;
pub mod one_shot;
mod replay;
pub mod ring;
pub mod seq_lock;

pub use dead_writer::DeadWriter;
pub use double_buffer::DoubleBuffer;
pub use early_flag::EarlyFlag;
pub use early_index::EarlyIndex;
pub use early_publish::EarlyPublish;
pub use event_count::CheckedEventCount;
pub use latest::CheckedLatest;
pub use lost_wake::LostWake;
pub use one_shot::CheckedOneShot;
pub use replay::{Known, known};
pub use ring::CheckedRing;
pub use seq_lock::CheckedSeqLock;

#[cfg(test)]
use crate::check::Verdict;
#[cfg(test)]
use crate::engine::Covered;
#[cfg(feature = "loom")]
use crate::engine::loom::{Loom, LoomMemory};
use crate::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use crate::error::Error;
use crate::memory::Hardware;
use crate::report::Report;
use crate::structure::WithHandles;
use crate::suite::Suite;
use std::path::PathBuf;
use std::time::Duration;

/// A message of two words that belong together: a value and its check sum. A torn copy shows.
pub type Pair = [u64; 2];

/// The message of a value. It takes some tens of nanoseconds, as encoding a message does.
fn message(value: u64) -> Pair {
    let round = |sum: u64, _| {
        (sum ^ value)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
    };
    [value, (0..64).fold(value, round) % 1000]
}

/// A built-in structure with its suite, and how to check it on each engine.
pub struct Builtin {
    /// Its name: that of its module.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// The engines to which a bug was planted in it, so that a finding is what is expected of them.
    pub planted: &'static [&'static str],
    /// The engines that it runs on, by name.
    pub engines: Vec<(&'static str, Check)>,
    suite: String,
}

/// Checks one structure on one engine.
pub type Check = fn(&Limits) -> Result<Report, Error>;

/// How much to run; what is `None` is left to the environment, and then to the suite.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Programs to draw.
    pub cases: Option<u32>,
    /// Time after which no new program is drawn.
    pub time: Option<Duration>,
    /// The seed of what is drawn.
    pub seed: Option<u64>,
    /// The one case to run instead.
    pub replay: Option<Known>,
    /// How the command is called that replays a token.
    pub command: String,
    /// The file or directory of the report as a page; `FORKCHECK_HTML` names a directory where this names nothing.
    pub html: Html,
}

/// Place of a page.
#[derive(Clone, Debug, Default)]
pub enum Html {
    /// None is asked for.
    #[default]
    Nowhere,
    /// In this directory, under the name of the suite and the engine, unless the verdict is `ok`.
    Directory(PathBuf),
    /// In this file, whatever the verdict.
    File(PathBuf),
}

impl Builtin {
    /// Whether this engine has to find something.
    pub fn is_planted(&self, engine: &str) -> bool {
        self.planted.contains(&engine)
    }
}

const SOUND: &[&str] = &[];
const BROKEN: &[&str] = &["processes", "stepped", "kills", "loom"];
const MORTAL: &[&str] = &["kills"];

macro_rules! builtins {
    ($($name:ident: $structure:ident, $planted:ident, $about:literal;)*) => {
        /// Every built-in structure, each broken one after the sound one that it is a twin of.
        pub fn all() -> Vec<Builtin> {
            vec![$(Builtin {
                name: stringify!($name),
                about: $about,
                planted: $planted,
                engines: Vec::from([
                    (Processes::NAME, (|limits| tell::<Processes, $structure<Hardware>>($name::suite(), limits)) as Check),
                    (Stepped::NAME, |limits| tell::<Stepped, $structure<SteppedMemory>>($name::suite(), limits)),
                    (Kills::NAME, |limits| tell::<Kills, $structure<SteppedMemory>>($name::suite(), limits)),
                    #[cfg(feature = "loom")]
                    (Loom::NAME, |limits| tell::<Loom, $structure<LoomMemory>>($name::suite(), limits)),
                ]),
                suite: $name::suite().id().to_owned(),
            }),*]
        }
    };
}
builtins! {
    one_shot: CheckedOneShot, SOUND, "a value that is set once";
    early_flag: EarlyFlag, BROKEN, "its twin: the flag is set before the data is there";
    seq_lock: CheckedSeqLock, SOUND, "a value that one writes and many read";
    early_publish: EarlyPublish, BROKEN, "its twin: published before the copy";
    dead_writer: DeadWriter, MORTAL, "its other twin: who is killed at work leaves readers spinning";
    latest: CheckedLatest, SOUND, "the newest value, nobody waits";
    double_buffer: DoubleBuffer, BROKEN, "its twin: two slots where it takes three";
    ring: CheckedRing, SOUND, "a bounded queue from one to one";
    early_index: EarlyIndex, BROKEN, "its twin: the index moves before the copy";
    event_count: CheckedEventCount, SOUND, "sleep until something is there";
    lost_wake: LostWake, BROKEN, "its twin: looks too late at what wakes it";
}

fn tell<E: Engine, S: WithHandles<Memory = E::Memory>>(
    suite: Suite<S::Spec>,
    limits: &Limits,
) -> Result<Report, Error> {
    let mut suite = suite.with_environment()?;
    if let Some(cases) = limits.cases {
        suite = suite.cases(cases);
    }
    if let Some(time) = limits.time {
        suite = suite.time(time);
    }
    if let Some(seed) = limits.seed {
        suite = suite.seed(seed);
    }
    if let Some(known) = &limits.replay {
        suite = suite.replay(&known.token::<S::Spec>()?);
    }
    let outcome = suite.check::<E, S>()?;
    let report = suite.report_with(&outcome, |token| {
        format!("{} replay {token}", limits.command)
    });
    let page = match (&limits.html, suite.html()) {
        (Html::File(file), _) => Some(file.clone()),
        _ if report.verdict == "ok" => None,
        (Html::Directory(directory), _) => Some(report.page_in(directory)),
        (Html::Nowhere, directory) => directory.map(|directory| report.page_in(directory)),
    };
    Ok(match page {
        Some(page) => report.with_page(&page),
        None => report,
    })
}

/// Runs a test of a built-in suite: a small part of what the command does with it, the same part each time. A planted bug has to
/// be found, so it gets all executions, and more time. `halts_miss_it`: its window is a few instructions among thousands, so on
/// one processor, or a busy one, it may be missed where the report says so of all programs.
#[cfg(test)]
pub(crate) fn test<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: Suite<T::Spec>,
    planted: &str,
    halts_miss_it: bool,
) {
    if planted.is_empty() {
        return suite.seed(1).cases(8).executions(1_000).test::<E, T>();
    }
    let suite = suite.cases(8).time(Duration::from_secs(120));
    let outcome = suite.check::<E, T>().expect("the suite is right");
    let report = suite.report(&outcome);
    let Covered {
        by_halts, programs, ..
    } = outcome.covered;
    let halts_alone =
        programs > 0 && by_halts == programs && report.contains("calls on several processors");
    assert!(
        report.starts_with(planted)
            || halts_miss_it && outcome.verdict == Verdict::Ok && halts_alone,
        "{report}"
    );
}

/// Tests that the reports of a suite name, in the module of that suite. For a planted bug: how the reports begin, and for
/// `processes`, where it applies, `or halts_miss_it`.
macro_rules! tests {
    ($structure:ident) => {
        crate::builtin::tests!($structure, "", "", "", "");
    };
    ($structure:ident, $processes:literal $(or $halts_miss_it:ident)?, $stepped:literal, $kills:literal, $loom:literal $(,)?) => {
        #[cfg(test)]
        #[test]
        fn processes() {
            crate::builtin::test::<crate::engine::Processes, $structure<crate::Hardware>>(
                suite(),
                $processes,
                !str::is_empty(concat!("" $(, stringify!($halts_miss_it))?)),
            );
        }

        #[cfg(test)]
        #[test]
        fn stepped() {
            use crate::engine::{Stepped, SteppedMemory};
            crate::builtin::test::<Stepped, $structure<SteppedMemory>>(suite(), $stepped, false);
        }

        #[cfg(test)]
        #[test]
        fn kills() {
            use crate::engine::{Kills, SteppedMemory};
            crate::builtin::test::<Kills, $structure<SteppedMemory>>(suite(), $kills, false);
        }

        #[cfg(all(test, feature = "loom"))]
        #[test]
        fn loom() {
            use crate::engine::loom::{Loom, LoomMemory};
            crate::builtin::test::<Loom, $structure<LoomMemory>>(suite(), $loom, false);
        }
    };
}
use tests;
