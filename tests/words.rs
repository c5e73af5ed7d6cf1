//! Words of a `bool` and of integers with a sign, on each engine: right code passes, and each
//! broken twin is found and reported with values as the source writes them.
#![forbid(unsafe_code)]

mod support;

use forkcheck::check::Kind;
use forkcheck::engine::{Kills, Processes, Stepped, SteppedMemory};
use forkcheck::memory::HardwareBool;
use forkcheck::prelude::*;
use forkcheck::spec::{Counter, CounterOp, CounterRet};
use support::found;

/// Returns a small suite without roles: the same each time, under the name of this program.
fn suite<S: Spec>(name: &str) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .seed(7)
        .cases(8)
        .executions(3_000)
        .regressions(None)
}

mod every_method {
    use super::*;

    /// A word of each type; each operation is one read-modify-write.
    struct Words<M: Memory> {
        flag: M::AtomicBool,
        small: M::AtomicI32,
        large: M::AtomicI64,
        index: M::AtomicUsize,
    }

    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    enum Change {
        Swap(bool),
        And(bool),
        Or(bool),
        Xor(bool),
        /// Sets the flag, unless it is set.
        Set,
        Min(i32),
        Max(i32),
        Add(i64),
        Sub(i64),
        /// Halves the number, unless it is odd.
        Halve,
        Next(usize),
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Values(bool, i32, i64, usize);

    impl Spec for Values {
        type Setup = (bool, i32, i64);
        type Op = Change;
        type Ret = i64;
        fn start(&(flag, small, large): &(bool, i32, i64)) -> Self {
            Values(flag, small, large, 0)
        }
        fn step(&mut self, _: usize, change: &Change) -> i64 {
            let Values(flag, small, large, index) = self.clone();
            match *change {
                Change::Swap(with) => self.0 = with,
                Change::And(with) => self.0 &= with,
                Change::Or(with) => self.0 |= with,
                Change::Xor(with) => self.0 ^= with,
                Change::Set => self.0 = true,
                Change::Min(with) => self.1 = small.min(with),
                Change::Max(with) => self.1 = small.max(with),
                Change::Add(more) => self.2 = large.wrapping_add(more),
                Change::Sub(less) => self.2 = large.wrapping_sub(less),
                Change::Halve if large % 2 == 0 => self.2 = large / 2,
                Change::Halve => {}
                Change::Next(more) => self.3 = index.wrapping_add(more),
            }
            match change {
                Change::Min(_) | Change::Max(_) => small.into(),
                Change::Add(_) | Change::Sub(_) | Change::Halve => large,
                Change::Next(_) => index as i64,
                _ => flag.into(),
            }
        }
    }

    impl<M: Memory> Structure for Words<M> {
        type Memory = M;
        type Spec = Values;
        fn new(&(flag, small, large): &(bool, i32, i64)) -> Self {
            Words {
                flag: Atomic::new(flag),
                small: Atomic::new(small),
                large: Atomic::new(large),
                index: Atomic::new(0),
            }
        }
        fn apply(&self, change: &Change) -> i64 {
            let (order, acquire) = (Ordering::AcqRel, Ordering::Acquire);
            match *change {
                Change::Swap(with) => self.flag.swap(with, order).into(),
                Change::And(with) => self.flag.fetch_and(with, order).into(),
                Change::Or(with) => self.flag.fetch_or(with, order).into(),
                Change::Xor(with) => self.flag.fetch_xor(with, order).into(),
                Change::Set => {
                    let set = self.flag.compare_exchange(false, true, order, acquire);
                    set.unwrap_or_else(|found| found).into()
                }
                Change::Min(with) => self.small.fetch_min(with, order).into(),
                Change::Max(with) => self.small.fetch_max(with, order).into(),
                Change::Add(more) => self.large.fetch_add(more, order),
                Change::Sub(less) => self.large.fetch_sub(less, order),
                Change::Halve => {
                    let half = |large: i64| (large % 2 == 0).then_some(large / 2);
                    let before = self.large.fetch_update(order, acquire, half);
                    before.unwrap_or_else(|odd| odd)
                }
                Change::Next(more) => self.index.fetch_add(more, order) as i64,
            }
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            any::<bool>().prop_map(Change::Swap),
            any::<bool>().prop_map(Change::And),
            any::<bool>().prop_map(Change::Or),
            any::<bool>().prop_map(Change::Xor),
            Just(Change::Set),
            any::<i32>().prop_map(Change::Min),
            any::<i32>().prop_map(Change::Max),
            any::<i64>().prop_map(Change::Add),
            any::<i64>().prop_map(Change::Sub),
            Just(Change::Halve),
            any::<usize>().prop_map(Change::Next),
        ]
    }

    forkcheck::suite! {
        words_of_each_type: Words<_>,
        setup: (any::<bool>(), any::<i32>(), -8i64..8),
        changer: 1..=2 ops of change(),
        other: 1..=2 ops of change(),
        with: .cases(24).executions(500).regressions(None),
    }
}

/// A counter that adds by one step, or by a load and a store.
struct Sum<M: Memory, const LOSES: bool>(M::AtomicI64);

impl<M: Memory, const LOSES: bool> Structure for Sum<M, LOSES> {
    type Memory = M;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Sum(Atomic::new(first))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        match op {
            CounterOp::Add(number) if LOSES => {
                let found = self.0.load(Ordering::Relaxed);
                self.0.store(found.wrapping_add(*number), Ordering::Relaxed);
                CounterRet::Added
            }
            CounterOp::Add(number) => {
                self.0.fetch_add(*number, Ordering::Relaxed);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0.load(Ordering::Relaxed)),
        }
    }
}

fn sums() -> Suite<Counter> {
    let adds = (-3i64..0).prop_map(CounterOp::Add);
    suite("sums")
        .setup(Just(1))
        .role("adder", 2, 1..=1, adds)
        .role("reader", 1, 1..=1, Just(CounterOp::Read))
}

#[test]
fn a_sum_that_is_added_to_in_two_steps_loses_a_number_and_the_report_has_its_sign() {
    let lost = Some(Kind::NotLinearizable);
    let (kind, report) = found::<Stepped, Sum<SteppedMemory, true>>(&sums());
    assert_eq!(kind, lost, "{report}");
    assert!(report.contains("load -> 1 "), "{report}");
    let minus = ["store -2 ", "store -1 "].map(|row| report.contains(row));
    assert!(minus.contains(&true), "{report}");
    let (kind, report) = found::<Kills, Sum<SteppedMemory, true>>(&sums());
    assert_eq!(kind, lost, "{report}");
    let (kind, report) = found::<Processes, Sum<Hardware, true>>(&sums());
    assert_eq!(kind, lost, "{report}");
    let (kind, report) = found::<Stepped, Sum<SteppedMemory, false>>(&sums());
    assert_eq!(kind, None, "{report}");
}

/// Data behind a flag that is held during use.
struct Held<M: Memory> {
    held: M::AtomicBool,
    data: M::Words<i64>,
    guard: M::Cell<()>,
}

impl<M: Memory> Structure for Held<M> {
    type Memory = M;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Held {
            held: Atomic::new(false),
            data: Words::new(first),
            guard: MemoryCell::new(()),
        }
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        while self.held.swap(true, Ordering::Acquire) {
            M::spin_loop();
        }
        let ret = self.guard.with_mut(|_| {
            let found = self.data.load();
            match op {
                CounterOp::Add(number) => {
                    self.data.store(found.wrapping_add(*number));
                    CounterRet::Added
                }
                CounterOp::Read => CounterRet::Value(found),
            }
        });
        self.held.store(false, Ordering::Release);
        ret
    }
}

/// A flag that is tested and set in two steps.
struct TakenTwice<M: Memory>(Held<M>);

impl<M: Memory> Structure for TakenTwice<M> {
    type Memory = M;
    type Spec = Counter;
    fn new(first: &i64) -> Self {
        TakenTwice(Structure::new(first))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        let held = &self.0;
        while held.held.load(Ordering::Acquire) {
            M::spin_loop();
        }
        held.held.store(true, Ordering::Relaxed);
        let found = held.data.load();
        let ret = match op {
            CounterOp::Add(number) => {
                held.data.store(found.wrapping_add(*number));
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(found),
        };
        held.held.store(false, Ordering::Release);
        ret
    }
}

fn locks() -> Suite<Counter> {
    suite("locks")
        .setup(Just(0))
        .role("adder", 2, 1..=1, Just(CounterOp::Add(-1)))
}

#[test]
fn a_lock_that_two_processes_take_at_once_is_found_and_the_report_says_true_and_false() {
    let locks = locks().role("reader", 1, 1..=1, Just(CounterOp::Read));
    let (kind, report) = found::<Stepped, TakenTwice<SteppedMemory>>(&locks);
    assert_eq!(kind, Some(Kind::NotLinearizable), "{report}");
    assert!(report.contains("held.load -> false "), "{report}");
    assert!(report.contains("held.store true "), "{report}");
    let (kind, report) = found::<Stepped, Held<SteppedMemory>>(&locks);
    assert_eq!(kind, None, "{report}");
}

/// A token from a version in which a case had at most eight processes, and a word had no form.
const EARLIER: &str = "fk1:0c776f7264733a3a6c6f636b730773746570706564000301000101000101010103\
    000101000468656c64020101010004646174610200000032d960f5";

#[test]
fn a_token_of_an_earlier_version_replays() {
    let locks = locks().role("reader", 1, 1..=1, Just(CounterOp::Read));
    let (kind, report) = found::<Stepped, TakenTwice<SteppedMemory>>(&locks.replay(EARLIER));
    assert_eq!(kind, Some(Kind::NotLinearizable), "{report}");
    assert!(
        report.contains("reader: Read returned Value(-1), expected Value(-2)"),
        "{report}"
    );
}

#[test]
fn a_flag_in_a_region_is_one_byte_that_may_hold_any_number() {
    let region = Region::memfd(2).unwrap();
    let bytes: &[std::sync::atomic::AtomicU8; 2] = region.get(0).unwrap();
    let flags: &[HardwareBool; 2] = region.get(0).unwrap();
    bytes[1].store(0xfe, Ordering::Relaxed);
    assert!(!flags[1].load(Ordering::Relaxed));
    assert!(!flags[1].fetch_or(true, Ordering::Relaxed));
    let view = region.view().unwrap();
    assert!(view.get::<HardwareBool>(1).unwrap().load(Ordering::Relaxed));
    assert!(!flags[0].load(Ordering::Relaxed), "a byte each");
}

#[cfg(feature = "loom")]
mod in_loom {
    use super::*;
    use forkcheck::engine::loom::{Loom, LoomMemory};
    use forkcheck::memory::weakened::{self, SiteKind, Weakened};

    #[test]
    fn a_lost_number_is_found_and_has_its_sign() {
        // Calls of different processes are not ordered by time here: only two processes that each
        // read after an addition show it.
        let op = || prop_oneof![(-3i64..0).prop_map(CounterOp::Add), Just(CounterOp::Read)];
        let sums = suite("sums")
            .setup(Just(1))
            .cases(64)
            .role("one", 1, 2..=2, op())
            .role("other", 1, 2..=2, op());
        let (kind, report) = found::<Loom, Sum<LoomMemory, true>>(&sums);
        assert_eq!(kind, Some(Kind::NotSequentiallyConsistent), "{report}");
        let minus = ["store -2 ", "store -1 "].map(|row| report.contains(row));
        assert!(minus.contains(&true), "{report}");
        let (kind, report) = found::<Loom, Sum<LoomMemory, false>>(&sums);
        assert_eq!(kind, None, "{report}");
    }

    /// A lock by a flag, with one of its two orderings weakened.
    struct Weaker<const KIND: u8>(Held<Weakened<LoomMemory>>);

    impl<const KIND: u8> Structure for Weaker<KIND> {
        type Memory = LoomMemory;
        type Spec = Counter;
        fn new(first: &i64) -> Self {
            let ((), sites) = weakened::record(|| {
                let held: Held<Weakened<Hardware>> = Structure::new(&0);
                Structure::apply(&held, &CounterOp::Read);
            });
            let kind = [SiteKind::Update, SiteKind::Store][usize::from(KIND)];
            let mut weaker = weakened::weakenings(&sites).into_iter();
            weakened::keep(weaker.find(|weaker| weaker.site.kind == kind).unwrap());
            Weaker(Structure::new(first))
        }
        fn apply(&self, op: &CounterOp) -> CounterRet {
            Structure::apply(&self.0, op)
        }
    }

    #[test]
    fn a_lock_by_a_flag_needs_both_of_its_orderings() {
        let (kind, report) = found::<Loom, Held<LoomMemory>>(&locks());
        assert_eq!(kind, None, "{report}");
        for (kind, report) in [
            found::<Loom, Weaker<0>>(&locks()),
            found::<Loom, Weaker<1>>(&locks()),
        ] {
            assert_eq!(kind, Some(Kind::DataRace), "{report}");
            assert!(report.contains("held.update, was false "), "{report}");
        }
    }
}
