//! The place of the failing seeds of properties in `tests/`: next to the saved cases, in the
//! top-level `proptest-regressions/`. proptest's default would be a file next to each source file.

use proptest::test_runner::{Config, FileFailurePersistence};

/// Returns a configuration with this many cases, after those that failed before; `file` is a path
/// of the repository.
macro_rules! kept_in {
    ($file:literal, $cases:expr) => {
        crate::seeds::kept(
            $cases,
            concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/", $file),
        )
    };
}
pub(crate) use kept_in;

pub(crate) fn kept(cases: u32, seeds: &'static str) -> Config {
    Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..Config::default()
    }
}
