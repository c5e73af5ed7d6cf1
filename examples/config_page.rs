//! The configuration page of a pre-fork server: the master publishes a configuration, its workers read it.
//!
//! It is a seqlock written by hand, as such pages are, with their usual bug: a reader that checks
//! the sequence number before the copy and not after it accepts a half-new configuration. `cargo
//! test --example config_page` finds the bug and passes the fixed page; `cargo run --release
//! --example config_page` prints the reports.

use forkcheck::engine::Processes;
use forkcheck::engine::loom::Loom;
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The master's configuration. The two limits belong together: a worker with one of each allows too
/// much.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, FromBytes, IntoBytes, Immutable,
)]
#[repr(C)]
struct Config {
    requests_per_second: u64,
    burst: u64,
}

/// The page. `RECHECKS`: whether a reader checks the sequence number again after its copy.
struct Page<M: Memory, const RECHECKS: bool> {
    /// Even: complete. Odd: the master is at work.
    sequence: M::AtomicU64,
    config: M::Words<Config>,
}

type Shipped<M> = Page<M, false>;
type Fixed<M> = Page<M, true>;

impl<M: Memory, const RECHECKS: bool> Page<M, RECHECKS> {
    fn publish(&self, config: Config) {
        let even = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(even + 1, Ordering::Relaxed);
        // Pairs with the Acquire fence in `current`: a reader that saw a word of the new data sees
        // the odd number.
        M::fence(Ordering::Release);
        self.config.store(config);
        // Pairs with the Acquire load in `current`: a reader that starts from this number sees all
        // of the data.
        self.sequence.store(even + 2, Ordering::Release);
    }

    fn current(&self) -> Config {
        loop {
            // Pairs with the last store in `publish`.
            let before = self.sequence.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let config = self.config.load();
                // Pairs with the fence in `publish`.
                M::fence(Ordering::Acquire);
                if !RECHECKS || self.sequence.load(Ordering::Relaxed) == before {
                    return config;
                }
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory, const RECHECKS: bool> Structure for Page<M, RECHECKS> {
    type Memory = M;
    type Spec = Register<Config>;
    fn new(first: &Config) -> Self {
        Page {
            sequence: Atomic::new(0),
            config: Words::new(*first),
        }
    }
    fn apply(&self, op: &RegisterOp<Config>) -> RegisterRet<Config> {
        match op {
            RegisterOp::Write(config) => {
                self.publish(*config);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.current()),
        }
    }
}

fn config() -> impl Strategy<Value = Config> {
    (1u64..100).prop_map(|requests_per_second| Config {
        requests_per_second,
        burst: 10 * requests_per_second,
    })
}

forkcheck::suite! {
    #[should_panic(expected = "worker: Read returned")]
    shipped: Shipped<_>,
    setup: config(),
    master: 1..=4 ops of config().prop_map(RegisterOp::Write),
    worker: 1..=4 ops of Just(RegisterOp::Read),
    with: .regressions(None),
}

forkcheck::suite! {
    fixed: Fixed<_>,
    setup: config(),
    master: 1..=4 ops of config().prop_map(RegisterOp::Write),
    worker: 1..=4 ops of Just(RegisterOp::Read),
    with: .cases(8).executions(2_000).without("kills", "a master that is killed at work leaves the number odd: forkcheck::publish::SeqLock outlives that"),
}

fn main() -> Result<(), forkcheck::Error> {
    let shipped = shipped::suite();
    println!(
        "{}\n",
        shipped.report(&shipped.check::<Processes, Shipped<_>>()?)
    );
    println!(
        "{}\n",
        shipped.report(&shipped.check::<Loom, Shipped<_>>()?)
    );
    let fixed = fixed::suite();
    println!("{}\n", fixed.report(&fixed.check::<Processes, Fixed<_>>()?));
    println!("{}", fixed.report(&fixed.check::<Loom, Fixed<_>>()?));
    Ok(())
}
