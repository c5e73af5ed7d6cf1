//! Where the failing seeds of properties in `tests/` are kept: beside the saved cases, in the top-level
//! `proptest-regressions/`. proptest's own choice would be a file beside each source file.

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases, after those that failed before; `file` is a path of the repository.
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
