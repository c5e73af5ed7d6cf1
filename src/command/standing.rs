//! The outcome of a command in comparison with the expected one, and its exit code.

use std::process::ExitCode;

/// The outcome in comparison with the expected one; the worst comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    AsExpected,
    CannotSay,
    NotAsExpected,
}

/// The exit code of a command without a result.
pub(super) const CANNOT_SAY: u8 = 2;

impl From<Standing> for ExitCode {
    fn from(standing: Standing) -> Self {
        ExitCode::from(match standing {
            Standing::AsExpected => 0,
            Standing::NotAsExpected => 1,
            Standing::CannotSay => CANNOT_SAY,
        })
    }
}

/// Returns the expected outcome of a structure.
pub(super) fn expected(planted: bool) -> &'static str {
    if planted { "finding" } else { "ok" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_all_decides() {
        use Standing::{AsExpected, CannotSay, NotAsExpected};
        assert!(AsExpected < CannotSay && CannotSay < NotAsExpected);
        let code = |standing| format!("{:?}", ExitCode::from(standing));
        let by_number = |number: u8| format!("{:?}", ExitCode::from(number));
        assert_eq!(code(AsExpected), by_number(0));
        assert_eq!(code(NotAsExpected), by_number(1));
        assert_eq!(code(CannotSay), by_number(2));
    }
}
