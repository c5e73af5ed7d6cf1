//! The monotonic clock as a number, which means the same in all processes.

use nix::time::{ClockId, clock_gettime};

/// Returns the nanoseconds since boot. The vDSO answers without a system call on all supported
/// machines.
#[inline]
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on Linux");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}
