//! The built-in structures, each with its check on each engine.

use forkcheck::builtin::*;
#[cfg(feature = "loom")]
use forkcheck::engine::loom::{Loom, LoomMemory};
use forkcheck::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::memory::Hardware;

/// A built-in structure with its suite, without its type.
pub(super) struct Builtin {
    /// The structure's name: that of its module.
    pub(super) name: &'static str,
    /// A description in one line.
    pub(super) about: &'static str,
    /// The engines that have to find the bug planted in it.
    pub(super) planted: &'static [&'static str],
    /// The engines that can run it, by name.
    pub(super) engines: Vec<(&'static str, Check)>,
    /// The name of the suite.
    pub(super) suite: String,
}

impl Builtin {
    /// Returns whether this engine has to find a bug.
    pub(super) fn is_planted(&self, engine: &str) -> bool {
        self.planted.contains(&engine)
    }
}

const SOUND: &[&str] = &[];
const BROKEN: &[&str] = &["processes", "stepped", "kills", "loom"];
const MORTAL: &[&str] = &["kills"];

/// The check of a structure on each engine. Those of `dead_writer` are in the library.
macro_rules! checks {
    ($name:ident: in_library) => {
        checks_of_dead_writer()
    };
    ($name:ident: $structure:ident) => {
        Vec::from([
            (
                Processes::NAME,
                (|limits| check::<Processes, $structure<Hardware>>($name::suite(), limits))
                    as Check,
            ),
            (Stepped::NAME, |limits| {
                check::<Stepped, $structure<SteppedMemory>>($name::suite(), limits)
            }),
            (Kills::NAME, |limits| {
                check::<Kills, $structure<SteppedMemory>>($name::suite(), limits)
            }),
            #[cfg(feature = "loom")]
            (Loom::NAME, |limits| {
                check::<Loom, $structure<LoomMemory>>($name::suite(), limits)
            }),
        ])
    };
}

macro_rules! builtins {
    ($($name:ident: $structure:ident, $planted:ident, $about:literal;)*) => {
        /// Returns all built-in structures. Each broken one follows the sound one whose twin it is.
        pub(super) fn all() -> Vec<Builtin> {
            vec![$(Builtin {
                name: stringify!($name),
                about: $about,
                planted: $planted,
                engines: checks!($name: $structure),
                suite: $name::suite().id().to_owned(),
            }),*]
        }
    };
}
builtins! {
    one_shot: CheckedOneShot, SOUND, "a value that is set once";
    early_flag: EarlyFlag, BROKEN, "twin of one_shot: the flag is set before the data is written";
    seq_lock: CheckedSeqLock, SOUND, "a value that one process writes and many read";
    early_publish: EarlyPublish, BROKEN, "twin of seq_lock: the new sequence number is stored before the data";
    dead_writer: in_library, MORTAL, "twin of seq_lock: a writer that is killed at work leaves readers spinning";
    latest: CheckedLatest, SOUND, "the newest value, without a wait";
    double_buffer: DoubleBuffer, BROKEN, "twin of latest: two slots where three are needed";
    ring: CheckedRing, SOUND, "a bounded queue from one process to one";
    early_index: EarlyIndex, BROKEN, "twin of ring: the index is stored before the item";
    event_count: CheckedEventCount, SOUND, "sleep until a condition holds";
    lost_wake: LostWake, BROKEN, "twin of event_count: reads the notification counter too late";
}
