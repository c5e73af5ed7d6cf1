//! A private mapping in place of a shared one: the parent never sees the writes of a forked child.
//! `MmapMut::map_anon` of memmap2 is such a mapping, and its documentation does not say so.

use super::*;
use forkcheck::process;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use std::sync::atomic::AtomicU64;

/// A buffer that a process hands to the children which it forks, one for each write.
trait Buffer: Sized + 'static {
    fn make() -> Self;
    fn write(&mut self, value: u64);
    fn read(&self) -> u64;
}

impl Buffer for memmap2::MmapMut {
    fn make() -> Self {
        Self::map_anon(8).expect("a page")
    }
    fn write(&mut self, value: u64) {
        self.copy_from_slice(&value.to_ne_bytes());
    }
    fn read(&self) -> u64 {
        u64::from_ne_bytes(self[..].try_into().expect("8 bytes"))
    }
}

impl Buffer for Region {
    fn make() -> Self {
        Self::anonymous(8).expect("a page")
    }
    fn write(&mut self, value: u64) {
        let word: &AtomicU64 = self.get(0).expect("inside");
        word.store(value, Ordering::Release);
    }
    fn read(&self) -> u64 {
        let word: &AtomicU64 = self.get(0).expect("inside");
        word.load(Ordering::Acquire)
    }
}

struct Filled<B>(std::marker::PhantomData<fn() -> B>);

impl<B: Buffer> WithHandles for Filled<B> {
    type Memory = Hardware;
    type Spec = Register<u64>;
    type Handle<'a> = B;
    fn new(_: &u64) -> Self {
        Self(std::marker::PhantomData)
    }
    fn attach(&self, _: Role<'_>) -> B {
        B::make()
    }
    fn apply(buffer: &mut B, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                process::run(|| buffer.write(*value)).expect("a child that ends well");
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(buffer.read()),
        }
    }
}

#[test]
fn private_mapping() {
    let buffer = super::suite("private_mapping")
        .setup(Just(0))
        .executions(20)
        .role(
            "parent",
            1,
            1..=4,
            prop_oneof![
                (1u64..9).prop_map(RegisterOp::Write),
                Just(RegisterOp::Read)
            ],
        );
    let report = side_by_side::<Filled<memmap2::MmapMut>>(&buffer, Kind::NotLinearizable, 2);
    assert!(report.contains("Read -> Value(0)"), "{report}");
    buffer.test::<Processes, Filled<Region>>();
}
