//! `suite!` with constants, paths and expressions where a literal could stand.

use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

const MOST: usize = 3;

/// Numbers of another module.
mod limits {
    pub(super) const READERS: usize = 2;
    pub(super) const MOST: usize = 2;
}

/// A structure with more parameters than its memory.
struct Plain<M: Memory, T, const N: usize>(M::AtomicU64, std::marker::PhantomData<T>);

impl<M: Memory, T: Send + Sync + 'static, const N: usize> Structure for Plain<M, T, N> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Plain(Atomic::new(*first), std::marker::PhantomData)
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::Acquire)),
        }
    }
}
type Three<M> = Plain<M, u64, 3>;

fn write() -> impl Strategy<Value = RegisterOp<u64>> {
    (1u64..9).prop_map(RegisterOp::Write)
}

forkcheck::suite! {
    generic: Plain<_, u64, 3>,
    setup: Just(0),
    writer: 1..=2 ops of write(),
    reader: 1..=2 ops of Just(RegisterOp::Read),
    with: .cases(2).executions(50),
}

forkcheck::suite! {
    constants: Three<_>,
    setup: Just(0),
    writer: 1..=MOST ops of write(),
    reader: limits::READERS processes, limits::MOST - 1..=limits::MOST ops of Just(RegisterOp::Read),
    with: .cases(2).executions(50),
}

forkcheck::suite! {
    paths: crate::macros_generic::Plain<_, u8, {MOST + 1}>,
    setup: Just(0),
    writer: {limits::READERS - 1} processes, 1..=1 ops of write(),
    other: 1..=1 ops of Just(RegisterOp::Read),
    with: .cases(2).executions(50),
}

/// Paths relative to the module of the suite.
mod within {
    use super::*;

    forkcheck::suite! {
        upwards: super::Plain<_, u8, MOST>,
        setup: Just(0),
        r#type: 1..=1 ops of Just(RegisterOp::Read),
        writer: 1..=1 ops of write(),
        with: .cases(2).executions(50),
    }

    type Same<M> = Three<M>;
    forkcheck::suite! {
        here: self::Same<_>,
        setup: Just(0),
        writer: 1..=1 ops of write(),
        reader: 1..=1 ops of Just(RegisterOp::Read),
        with: .cases(2).executions(50),
    }
}

#[test]
fn constants_say_how_many_processes_there_are_and_what_they_do() {
    let suite = constants::suite().executions(2_000).regressions(None);
    let outcome = suite.check::<Stepped, Three<SteppedMemory>>().unwrap();
    assert_eq!(outcome.verdict, forkcheck::check::Verdict::Ok);
    let report = suite.report(&outcome);
    assert!(report.contains("explored to the end"), "{report}");
}
