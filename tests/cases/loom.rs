//! `loom`: right code that it called wrong or unknown, and broken code that it said was explored to
//! the end.

use super::{caught, passes, suite, unknown};
use forkcheck::check::Kind;
use forkcheck::engine::loom::{Loom, LoomMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{self, Assertions, BarrierOp, BarrierRet, Run};
use forkcheck::spec::{Queue, QueueOp, QueueRet, StaleQueue};
use forkcheck::suite::run;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A spec that counts its operations; none of them waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Count(u32);
impl Spec for Count {
    type Setup = ();
    type Op = ();
    type Ret = u32;
    fn start(_: &()) -> Self {
        Count(0)
    }
    fn step(&mut self, _: usize, _: &()) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// Returns a suite of two processes, small enough for one model, with enough time for a busy
/// machine.
fn two<S: Spec<Setup = (), Op = ()>>(name: &str, ops: std::ops::RangeInclusive<usize>) -> Suite<S> {
    patient(suite(name).role("worker", 2, ops, Just(())))
}

/// Returns such a suite of a structure whose operations have no result.
fn bodies(name: &str, ops: std::ops::RangeInclusive<usize>) -> Suite<Assertions> {
    patient(suite(name).role("worker", 2, ops, run("worker")))
}

fn patient<S: Spec>(suite: Suite<S>) -> Suite<S> {
    suite.cases(1).time(Duration::from_secs(300))
}

mod locks {
    use super::*;

    const SWAP: u8 = 0;
    const TEST_FIRST: u8 = 1;
    const EXCHANGE: u8 = 2;
    const RIGHT: u8 = 0;
    const RELAXED: u8 = 1;
    const KEPT: u8 = 2;

    /// A counter behind a spin lock.
    struct Locked<M: Memory, const HOW: u8, const MISTAKE: u8> {
        lock: M::AtomicU32,
        count: M::AtomicU32,
    }
    impl<M: Memory, const HOW: u8, const MISTAKE: u8> Structure for Locked<M, HOW, MISTAKE> {
        type Memory = M;
        type Spec = Count;
        fn new(_: &()) -> Self {
            Locked {
                lock: Atomic::new(0),
                count: Atomic::new(0),
            }
        }
        fn apply(&self, _: &()) -> u32 {
            let (taken, seen) = (Ordering::Acquire, Ordering::Relaxed);
            let is_taken = || match HOW {
                EXCHANGE => self.lock.compare_exchange(0, 1, taken, seen).is_err(),
                _ => self.lock.swap(1, taken) == 1,
            };
            while is_taken() {
                while HOW == TEST_FIRST && self.lock.load(seen) == 1 {
                    M::spin_loop();
                }
                if HOW != TEST_FIRST {
                    M::spin_loop();
                }
            }
            let n = self.count.load(Ordering::Relaxed) + 1;
            self.count.store(n, Ordering::Relaxed);
            match MISTAKE {
                RIGHT => self.lock.store(0, Ordering::Release),
                RELAXED => self.lock.store(0, Ordering::Relaxed),
                _ => {}
            }
            n
        }
    }

    #[test]
    fn spin_locks_pass_whatever_they_spin_with() {
        let (outcome, report) =
            passes::<Loom, Locked<LoomMemory, SWAP, RIGHT>>(&two("swap", 1..=1));
        let covered = outcome.covered;
        assert_ne!(covered.exhausted + covered.but_for_spins, 0, "{report}");
        passes::<Loom, Locked<LoomMemory, TEST_FIRST, RIGHT>>(&two("test_first", 1..=1));
        passes::<Loom, Locked<LoomMemory, EXCHANGE, RIGHT>>(&two("exchange", 1..=1));
        passes::<Loom, Locked<LoomMemory, SWAP, RIGHT>>(&two("swap", 2..=2));
        passes::<Loom, Locked<LoomMemory, TEST_FIRST, RIGHT>>(&two("test_first", 2..=2));
    }

    #[test]
    fn a_spin_lock_that_is_given_back_relaxed_is_found() {
        let wrong = Kind::NotSequentiallyConsistent;
        caught::<Loom, Locked<LoomMemory, SWAP, RELAXED>>(&two("swap", 1..=1), wrong);
        caught::<Loom, Locked<LoomMemory, TEST_FIRST, RELAXED>>(&two("test_first", 1..=1), wrong);
        caught::<Loom, Locked<LoomMemory, EXCHANGE, RELAXED>>(&two("exchange", 1..=1), wrong);
    }

    #[test]
    fn a_spin_lock_that_is_not_given_back_is_a_livelock() {
        let still = Kind::Livelock;
        caught::<Loom, Locked<LoomMemory, SWAP, KEPT>>(&two("swap", 1..=1), still);
        caught::<Loom, Locked<LoomMemory, TEST_FIRST, KEPT>>(&two("test_first", 1..=1), still);
        caught::<Loom, Locked<LoomMemory, EXCHANGE, KEPT>>(&two("exchange", 1..=1), still);
    }
}

mod parking {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Tasks(u32);
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    enum Op {
        Spawn,
        Run,
    }
    impl Spec for Tasks {
        type Setup = ();
        type Op = Op;
        type Ret = ();
        fn start(_: &()) -> Self {
            Tasks(0)
        }
        fn step(&mut self, _: usize, op: &Op) {
            match op {
                Op::Spawn => self.0 += 1,
                Op::Run => self.0 = self.0.saturating_sub(1),
            }
        }
        fn blocks(&self, _: usize, op: &Op) -> bool {
            *op == Op::Run && self.0 == 0
        }
    }

    /// A pool whose workers park by a token, which is taken with an exchange.
    struct Pool<M: Memory, const FENCED: bool> {
        tasks: M::AtomicU32,
        parked: M::AtomicU32,
        token: M::AtomicU32,
    }
    impl<M: Memory, const FENCED: bool> Structure for Pool<M, FENCED> {
        type Memory = M;
        type Spec = Tasks;
        fn new(_: &()) -> Self {
            Pool {
                tasks: Atomic::new(0),
                parked: Atomic::new(0),
                token: Atomic::new(0),
            }
        }
        fn apply(&self, op: &Op) {
            let fence = || {
                if FENCED {
                    M::fence(Ordering::SeqCst);
                }
            };
            let take = || {
                let n = self.tasks.load(Ordering::Acquire);
                n > 0
                    && self
                        .tasks
                        .compare_exchange(n, n - 1, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
            };
            match op {
                Op::Spawn => {
                    self.tasks.fetch_add(1, Ordering::AcqRel);
                    fence();
                    if self.parked.load(Ordering::Acquire) == 1
                        && self.parked.swap(0, Ordering::AcqRel) == 1
                    {
                        self.token.store(1, Ordering::Release);
                        M::wake(&self.token, 1);
                    }
                }
                Op::Run => {
                    while !take() {
                        self.parked.swap(1, Ordering::AcqRel);
                        fence();
                        if self.tasks.load(Ordering::Acquire) > 0 {
                            self.parked.swap(0, Ordering::AcqRel);
                            continue;
                        }
                        while self.token.swap(0, Ordering::AcqRel) == 0 {
                            M::wait(&self.token, 0);
                        }
                    }
                }
            }
        }
    }

    fn pool(spawns: usize, runs: usize) -> Suite<Tasks> {
        patient(
            suite("pool")
                .role("spawner", 1, spawns..=spawns, Just(Op::Spawn))
                .role("worker", 1, runs..=runs, Just(Op::Run)),
        )
    }

    #[test]
    fn a_token_taken_with_an_exchange_is_not_lost_by_an_execution_that_cannot_be() {
        passes::<Loom, Pool<LoomMemory, true>>(&pool(1, 1));
        passes::<Loom, Pool<LoomMemory, true>>(&pool(2, 2));
        passes::<Loom, Pool<LoomMemory, true>>(&pool(1, 2));
    }

    #[test]
    fn a_token_without_full_fences_loses_a_wake_up() {
        caught::<Loom, Pool<LoomMemory, false>>(&pool(1, 1), Kind::Deadlock);
    }
}

mod coverage {
    use super::*;

    /// A ring of one slot; the broken one's orderings let it release the slot before it has read
    /// it.
    struct Slot<M: Memory, const FIXED: bool> {
        write: M::AtomicU64,
        read: M::AtomicU64,
        guard: M::Cell<()>,
        item: M::AtomicU64,
    }
    impl<M: Memory, const FIXED: bool> Structure for Slot<M, FIXED> {
        type Memory = M;
        type Spec = StaleQueue<u64>;
        fn new(_: &usize) -> Self {
            Slot {
                write: Atomic::new(0),
                read: Atomic::new(0),
                guard: MemoryCell::new(()),
                item: Atomic::new(0),
            }
        }
        fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
            let (acquire, release) = if FIXED {
                (Ordering::Acquire, Ordering::Release)
            } else {
                (Ordering::Relaxed, Ordering::Relaxed)
            };
            match op {
                QueueOp::Push(item) => {
                    let write = self.write.load(Ordering::Relaxed);
                    if write == self.read.load(acquire) + 1 {
                        return QueueRet::Full;
                    }
                    self.guard
                        .with_mut(|_| self.item.store(*item, Ordering::Relaxed));
                    self.write.store(write + 1, Ordering::Release);
                    QueueRet::Pushed
                }
                QueueOp::Pop => {
                    let read = self.read.load(Ordering::Relaxed);
                    if read == self.write.load(Ordering::Acquire) {
                        return QueueRet::Empty;
                    }
                    let item = self.guard.with(|_| self.item.load(Ordering::Relaxed));
                    self.read.store(read + 1, release);
                    QueueRet::Popped(item)
                }
            }
        }
    }

    fn slot(producer_first: bool) -> Suite<StaleQueue<u64>> {
        let suite = suite("slot").setup(Just(1usize));
        let push = || (1u64..9).prop_map(QueueOp::Push);
        patient(if producer_first {
            suite
                .role("producer", 1, 2..=2, push())
                .role("consumer", 1, 1..=1, Just(QueueOp::Pop))
        } else {
            suite
                .role("consumer", 1, 1..=1, Just(QueueOp::Pop))
                .role("producer", 1, 2..=2, push())
        })
    }

    #[test]
    fn a_race_that_takes_three_preemptions_is_found_and_names_both_accesses() {
        for producer_first in [true, false] {
            let suite = slot(producer_first);
            let (_, report) = caught::<Loom, Slot<LoomMemory, false>>(&suite, Kind::DataRace);
            for part in [
                "producer in Push(",
                "writes at loom.rs:",
                "consumer in Pop reads at loom.rs:",
            ] {
                assert!(report.contains(part), "no {part:?}: {report}");
            }
        }
    }

    #[test]
    fn what_was_explored_to_the_end_is_said_so() {
        let (outcome, report) = passes::<Loom, Slot<LoomMemory, true>>(&slot(true));
        assert_eq!(outcome.covered.exhausted, 1, "{report}");
    }

    #[test]
    fn what_was_not_explored_to_the_end_is_said_and_counted_on_any_machine() {
        let executions = |executions: u64| {
            let suite = slot(true).executions(executions);
            let outcome = suite.check::<Loom, Slot<LoomMemory, true>>().unwrap();
            (outcome.covered, suite.report(&outcome))
        };
        // The first round has ten times the budget, and uses as much of it as it needs.
        let (covered, report) = executions(1);
        assert_eq!(
            (covered.within_none, covered.executions),
            (1, 3),
            "{report}"
        );
        let (covered, report) = executions(20);
        assert_eq!(
            (covered.within_two, covered.executions),
            (1, 20),
            "{report}"
        );
    }

    /// A word whose loads have many stores to read from.
    struct Busy<M: Memory>(M::AtomicU32);
    impl<M: Memory> Structure for Busy<M> {
        type Memory = M;
        type Spec = Assertions;
        fn new(_: &()) -> Self {
            Busy(Atomic::new(0))
        }
        fn apply(&self, _: &Run) {
            for value in 1..4 {
                self.0.store(value, Ordering::Relaxed);
                self.0.load(Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_first_round_that_takes_more_than_ten_times_the_budget_is_unknown() {
        let suite = bodies("busy", 1..=1);
        let small = suite.clone().executions(1);
        let outcome = small.check::<Loom, Busy<LoomMemory>>().unwrap();
        let report = small.report(&outcome);
        assert!(
            report.starts_with("UNKNOWN") && report.contains("the orders without preemptions"),
            "{report}"
        );
        assert_eq!(outcome.covered.executions, 10, "{report}");
        passes::<Loom, Busy<LoomMemory>>(&suite);
    }
}

mod words_of_the_standard_library {
    use super::*;
    use std::sync::atomic::AtomicU32;

    struct Outside(AtomicU32);
    impl Structure for Outside {
        type Memory = LoomMemory;
        type Spec = Count;
        fn new(_: &()) -> Self {
            Outside(AtomicU32::new(0))
        }
        fn apply(&self, _: &()) -> u32 {
            self.0.fetch_add(1, Ordering::AcqRel) + 1
        }
    }

    #[test]
    fn are_not_explored_and_so_unknown() {
        let reason = unknown::<Loom, Outside>(&two("outside", 1..=2));
        assert!(
            reason.contains("no operation touched `Memory`: is this `std::sync::atomic`"),
            "{reason}"
        );
    }
}

mod handles {
    use super::*;

    const ATTACH: u8 = 0;
    const DROP: u8 = 1;
    const MEET: u8 = 2;
    const SLEEP: u8 = 3;

    /// A structure in which a process waits, as it attaches or as its handle is dropped, for an
    /// event that never comes, or for the other process to attach.
    struct Waits<M: Memory, const WHERE: u8> {
        ready: M::AtomicU32,
    }
    struct Handle<'a, M: Memory, const WHERE: u8>(&'a M::AtomicU32);
    impl<M: Memory, const WHERE: u8> Drop for Handle<'_, M, WHERE> {
        fn drop(&mut self) {
            while WHERE == DROP && self.0.load(Ordering::Acquire) == 0 {
                M::spin_loop();
            }
        }
    }
    impl<M: Memory, const WHERE: u8> WithHandles for Waits<M, WHERE> {
        type Memory = M;
        type Spec = Assertions;
        type Handle<'a> = Handle<'a, M, WHERE>;
        fn new(_: &()) -> Self {
            Waits {
                ready: Atomic::new(0),
            }
        }
        fn attach<'a>(&'a self, _: Role<'_>) -> Handle<'a, M, WHERE> {
            if WHERE == MEET {
                self.ready.fetch_add(1, Ordering::AcqRel);
            }
            while WHERE == MEET && self.ready.load(Ordering::Acquire) < 2
                || WHERE == ATTACH && self.ready.load(Ordering::Acquire) == 0
            {
                M::spin_loop();
            }
            while WHERE == SLEEP && self.ready.load(Ordering::Acquire) == 0 {
                M::wait(&self.ready, 0);
            }
            Handle(&self.ready)
        }
        fn apply(handle: &mut Handle<'_, M, WHERE>, _: &Run) {
            handle.0.load(Ordering::Relaxed);
        }
    }

    fn waits<const WHERE: u8>(kind: Kind) -> String {
        caught::<Loom, Waits<LoomMemory, WHERE>>(&bodies("waits", 1..=2), kind).1
    }

    #[test]
    fn a_process_that_never_gets_through_attach_is_found() {
        for report in [
            waits::<ATTACH>(Kind::Livelock),
            waits::<SLEEP>(Kind::Deadlock),
        ] {
            assert!(
                report.contains("attach of worker 1 never returned"),
                "{report}"
            );
        }
    }

    #[test]
    fn a_process_that_never_gets_through_the_drop_of_its_handle_is_found() {
        let report = waits::<DROP>(Kind::Livelock);
        assert!(
            report.contains("the drop of its handle of worker 1 never returned"),
            "{report}"
        );
    }

    #[test]
    fn processes_that_wait_for_each_other_as_they_attach_pass() {
        passes::<Loom, Waits<LoomMemory, MEET>>(&bodies("waits", 1..=2));
    }
}

mod blocking {
    use super::*;

    struct Barrier<M: Memory, const FIXED: bool>(M::AtomicU32);
    impl<M: Memory, const FIXED: bool> WithHandles for Barrier<M, FIXED> {
        type Memory = M;
        type Spec = spec::Barrier;
        /// The barrier, and the rounds that the process has left or is leaving.
        type Handle<'a> = (&'a M::AtomicU32, u32);
        fn new(_: &usize) -> Self {
            Barrier(Atomic::new(0))
        }
        fn attach<'a>(&'a self, _: Role<'_>) -> (&'a M::AtomicU32, u32) {
            (&self.0, 0)
        }
        fn apply((count, round): &mut (&M::AtomicU32, u32), op: &BarrierOp) -> BarrierRet {
            if *op == BarrierOp::Arrive {
                count.fetch_add(1, Ordering::AcqRel);
                return BarrierRet::Arrived;
            }
            *round += 1;
            // The fixed one only counts up. The broken one begins again once a process has seen both.
            let is_over = |count: u32| match FIXED {
                true => count >= 2 * *round,
                false => count == 0,
            };
            if !FIXED && count.load(Ordering::Acquire) == 2 {
                count.store(0, Ordering::Release);
                return BarrierRet::Left;
            }
            while !is_over(count.load(Ordering::Acquire)) {
                M::spin_loop();
            }
            BarrierRet::Left
        }
    }

    fn barrier(first: usize, second: usize) -> Suite<spec::Barrier> {
        let ops = |number| Just([BarrierOp::Arrive, BarrierOp::Leave][..number].to_vec());
        patient(
            suite("barrier")
                .setup(Just(2))
                .sequence("first", 1, ops(first))
                .sequence("second", 1, ops(second)),
        )
    }

    #[test]
    fn a_call_that_may_block_may_spin() {
        passes::<Loom, Barrier<LoomMemory, true>>(&barrier(2, 2));
        passes::<Loom, Barrier<LoomMemory, true>>(&barrier(2, 1));
        // One of two processes that take what one posts waits for more than there is.
        passes::<Loom, Posts<LoomMemory, true>>(&posts());
    }

    #[test]
    fn a_call_that_may_not_block_may_not_spin_without_end() {
        // The second process arrives and does not leave, and the first waits for its reset.
        caught::<Loom, Barrier<LoomMemory, false>>(&barrier(2, 1), Kind::Livelock);
        caught::<Loom, Posts<LoomMemory, false>>(&posts(), Kind::Livelock);
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Posted(u32);
    /// An operation: `true` posts, and never waits.
    impl Spec for Posted {
        type Setup = ();
        type Op = bool;
        type Ret = ();
        fn start(_: &()) -> Self {
            Posted(0)
        }
        fn step(&mut self, _: usize, post: &bool) {
            self.0 = if *post {
                self.0 + 1
            } else {
                self.0.saturating_sub(1)
            };
        }
        fn blocks(&self, _: usize, post: &bool) -> bool {
            !post && self.0 == 0
        }
    }
    /// A semaphore that spins; the broken one forgets a post.
    struct Posts<M: Memory, const RIGHT: bool>(M::AtomicU32);
    impl<M: Memory, const RIGHT: bool> Structure for Posts<M, RIGHT> {
        type Memory = M;
        type Spec = Posted;
        fn new(_: &()) -> Self {
            Posts(Atomic::new(0))
        }
        fn apply(&self, post: &bool) {
            if *post {
                self.0.fetch_add(u32::from(RIGHT), Ordering::Release);
                return;
            }
            loop {
                let n = self.0.load(Ordering::Acquire);
                let taken = n > 0
                    && self
                        .0
                        .compare_exchange(n, n - 1, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok();
                if taken {
                    return;
                }
                M::spin_loop();
            }
        }
    }
    fn posts() -> Suite<Posted> {
        patient(suite("posts").role("poster", 1, 1..=1, Just(true)).role(
            "taker",
            1,
            2..=2,
            Just(false),
        ))
    }
}

mod stale_values {
    use super::*;

    const SLOTS: u32 = 4;
    struct Ring<M: Memory, const FIXED: bool> {
        r_head: M::AtomicU32,
        r_tail: M::AtomicU32,
        w_tail: M::AtomicU32,
        items: [M::AtomicU64; SLOTS as usize],
    }
    impl<M: Memory, const FIXED: bool> Ring<M, FIXED> {
        fn push(&self, item: u64) -> bool {
            let tail = self.w_tail.load(Ordering::Relaxed);
            if tail.wrapping_sub(self.r_tail.load(Ordering::Acquire)) == SLOTS {
                return false;
            }
            self.items[(tail % SLOTS) as usize].store(item, Ordering::Relaxed);
            self.w_tail.store(tail.wrapping_add(1), Ordering::Release);
            true
        }
        fn pop(&self) -> Option<u64> {
            let (acquire, both) = if FIXED {
                (Ordering::Acquire, Ordering::AcqRel)
            } else {
                (Ordering::Relaxed, Ordering::Relaxed)
            };
            let head = loop {
                let head = self.r_head.load(acquire);
                if self.w_tail.load(Ordering::Acquire).wrapping_sub(head) == 0 {
                    return None;
                }
                let next = head.wrapping_add(1);
                if self
                    .r_head
                    .compare_exchange(head, next, both, Ordering::Relaxed)
                    .is_ok()
                {
                    break head;
                }
            };
            let item = self.items[(head % SLOTS) as usize].load(Ordering::Relaxed);
            while self.r_tail.load(Ordering::Acquire) != head {
                M::spin_loop();
            }
            self.r_tail.store(head.wrapping_add(1), Ordering::Release);
            Some(item)
        }
    }
    impl<M: Memory, const FIXED: bool> Structure for Ring<M, FIXED> {
        type Memory = M;
        type Spec = Queue<u64>;
        fn new(_: &usize) -> Self {
            Ring {
                r_head: Atomic::new(0),
                r_tail: Atomic::new(0),
                w_tail: Atomic::new(0),
                items: std::array::from_fn(|_| Atomic::new(0)),
            }
        }
        fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
            match op {
                QueueOp::Push(item) if self.push(*item) => QueueRet::Pushed,
                QueueOp::Push(_) => QueueRet::Full,
                QueueOp::Pop => self.pop().map_or(QueueRet::Empty, QueueRet::Popped),
            }
        }
    }

    fn ring() -> Suite<Queue<u64>> {
        patient(
            suite("ring")
                .setup(Just(SLOTS as usize))
                .role("producer", 1, 1..=1, (1u64..99).prop_map(QueueOp::Push))
                .role("consumer", 2, 1..=1, Just(QueueOp::Pop)),
        )
    }

    #[test]
    fn a_value_that_is_stale_is_marked_with_the_row_of_the_later_store() {
        let wrong = Kind::NotSequentiallyConsistent;
        let (_, report) = caught::<Loom, Ring<LoomMemory, false>>(&ring(), wrong);
        let marked = report.lines().find_map(|line| {
            let (load, row) = line.split_once("  stale: 1 was stored in row ")?;
            load.contains("w_tail.load -> 0").then_some(row)
        });
        let row = marked.unwrap_or_else(|| panic!("no stale value: {report}"));
        let store = |line: &str| {
            line.trim_start().starts_with(&format!("{row}  ")) && line.contains("w_tail.store 1")
        };
        assert!(report.lines().any(store), "no store in row {row}: {report}");
        passes::<Loom, Ring<LoomMemory, true>>(&ring());
    }
}

mod stacks {
    use super::*;

    /// A structure whose operations have this number of bytes of local data.
    struct Local<M: Memory, const BYTES: usize>(M::AtomicU32);
    impl<M: Memory, const BYTES: usize> Structure for Local<M, BYTES> {
        type Memory = M;
        type Spec = Count;
        fn new(_: &()) -> Self {
            Local(Atomic::new(0))
        }
        fn apply(&self, _: &()) -> u32 {
            let mut local = [0u8; BYTES];
            let n = self.0.fetch_add(1, Ordering::AcqRel);
            std::hint::black_box(&mut local)[n as usize] = 1;
            n + u32::from(std::hint::black_box(&local)[n as usize])
        }
    }

    #[test]
    fn an_operation_may_have_much_local_data() {
        passes::<Loom, Local<LoomMemory, { 256 << 10 }>>(&two("local", 1..=1));
    }

    /// A structure with much local data when it is built and dropped, and when handles are.
    struct AllAround<M: Memory>(M::AtomicU32);
    struct User<'a, M: Memory>(&'a AllAround<M>);
    fn much() {
        std::hint::black_box(&mut [0u8; 256 << 10]);
    }
    impl<M: Memory> WithHandles for AllAround<M> {
        type Memory = M;
        type Spec = Much;
        type Handle<'a> = User<'a, M>;
        fn new(_: &()) -> Self {
            much();
            AllAround(Atomic::new(0))
        }
        fn attach<'a>(&'a self, _: Role<'_>) -> User<'a, M> {
            much();
            User(self)
        }
        fn apply(user: &mut User<'_, M>, _: &()) -> u32 {
            user.0.0.fetch_add(1, Ordering::AcqRel) + 1
        }
    }
    impl<M: Memory> Drop for AllAround<M> {
        fn drop(&mut self) {
            much();
        }
    }
    impl<M: Memory> Drop for User<'_, M> {
        fn drop(&mut self) {
            much();
        }
    }

    /// A spec that also needs much of the stack.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Much(Count);
    impl Spec for Much {
        type Setup = ();
        type Op = ();
        type Ret = u32;
        fn start(_: &()) -> Self {
            much();
            Much(Count(0))
        }
        fn step(&mut self, process: usize, op: &()) -> u32 {
            much();
            self.0.step(process, op)
        }
    }

    #[test]
    fn all_that_a_suite_brings_may_have_much_local_data() {
        passes::<Loom, AllAround<LoomMemory>>(&two("all_around", 1..=1));
    }

    #[test]
    fn an_operation_with_too_much_local_data_is_reported() {
        let (_, report) =
            caught::<Loom, Local<LoomMemory, { 16 << 20 }>>(&two("local", 1..=1), Kind::Died);
        let told = report.replace("\n         ", " ");
        assert!(
            told.contains("or a stack overflow in the model"),
            "{report}"
        );
    }
}

mod unwinding {
    use super::*;

    const WAITS: bool = true;
    const ASSERTS: bool = false;

    /// A counter behind a spin lock. At the end each user waits until no other is left, or asserts
    /// that it has counted.
    struct Counted<M: Memory, const DOES: bool> {
        lock: M::AtomicU32,
        count: M::AtomicU32,
        users: M::AtomicU32,
    }
    struct User<'a, M: Memory, const DOES: bool>(&'a Counted<M, DOES>, bool);
    impl<M: Memory, const DOES: bool> Drop for User<'_, M, DOES> {
        fn drop(&mut self) {
            self.0.users.fetch_sub(1, Ordering::AcqRel);
            if DOES == ASSERTS {
                return assert!(self.1, "has not counted");
            }
            while self.0.users.load(Ordering::Acquire) > 0 {
                M::spin_loop();
            }
        }
    }
    impl<M: Memory, const DOES: bool> Structure for Counted<M, DOES> {
        type Memory = M;
        type Spec = Count;
        fn new(_: &()) -> Self {
            Counted {
                lock: Atomic::new(0),
                count: Atomic::new(0),
                users: Atomic::new(0),
            }
        }
        fn apply(&self, _: &()) -> u32 {
            self.users.fetch_add(1, Ordering::AcqRel);
            let mut user = User(self, false);
            while self.lock.swap(1, Ordering::Acquire) == 1 {
                M::spin_loop();
            }
            let n = self.count.load(Ordering::Relaxed) + 1;
            self.count.store(n, Ordering::Relaxed);
            self.lock.store(0, Ordering::Release);
            user.1 = true;
            n
        }
    }

    #[test]
    fn a_destructor_that_waits_in_an_execution_that_was_given_up_is_unknown_and_no_finding() {
        let words = unknown::<Loom, Counted<LoomMemory, WAITS>>(&two("users", 1..=1));
        assert!(
            words.contains("unwound") && words.contains("a destructor waits"),
            "{words}"
        );
    }

    #[test]
    fn a_destructor_that_panics_in_an_execution_that_was_given_up_is_unknown_and_no_finding() {
        let words = unknown::<Loom, Counted<LoomMemory, ASSERTS>>(&two("users", 1..=1));
        assert!(
            words.contains("unwound") && words.contains("has not counted"),
            "{words}"
        );
    }
}

mod catching {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

    /// A counter behind a spin lock. Each operation leaves the critical section by a panic, which it catches.
    struct Panics<M: Memory> {
        lock: M::AtomicU32,
        count: M::AtomicU32,
    }
    struct Guard<'a, M: Memory>(&'a Panics<M>);
    impl<M: Memory> Drop for Guard<'_, M> {
        fn drop(&mut self) {
            self.0.lock.store(0, Ordering::Release);
        }
    }
    impl<M: Memory> Structure for Panics<M> {
        type Memory = M;
        type Spec = Count;
        fn new(_: &()) -> Self {
            Panics {
                lock: Atomic::new(0),
                count: Atomic::new(0),
            }
        }
        fn apply(&self, _: &()) -> u32 {
            while self.lock.swap(1, Ordering::Acquire) == 1 {
                M::spin_loop();
            }
            let counts = || {
                let _unlocks = Guard(self);
                let n = self.count.load(Ordering::Relaxed) + 1;
                self.count.store(n, Ordering::Relaxed);
                panic_any(n)
            };
            let caught = catch_unwind(AssertUnwindSafe(counts));
            *caught.unwrap_err().downcast().unwrap()
        }
    }

    #[test]
    fn a_panic_that_an_operation_catches_is_no_finding() {
        let (outcome, report) = passes::<Loom, Panics<LoomMemory>>(&two("panics", 1..=2));
        assert_ne!(outcome.covered.but_for_spins, 0, "{report}");
    }

    /// Operations that may wait indefinitely, and return zero.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Waits;
    impl Spec for Waits {
        type Setup = ();
        type Op = ();
        type Ret = u32;
        fn start(_: &()) -> Self {
            Waits
        }
        fn step(&mut self, _: usize, _: &()) -> u32 {
            0
        }
        fn blocks(&self, _: usize, _: &()) -> bool {
            true
        }
    }

    /// Operations that sleep until a word changes, which it never does, and return one if that panics.
    struct Sleeps<M: Memory>(M::AtomicU32);
    impl<M: Memory> Structure for Sleeps<M> {
        type Memory = M;
        type Spec = Waits;
        fn new(_: &()) -> Self {
            Sleeps(Atomic::new(0))
        }
        fn apply(&self, _: &()) -> u32 {
            let sleeps = || {
                while self.0.load(Ordering::Acquire) == 0 {
                    M::wait(&self.0, 0);
                }
                0
            };
            catch_unwind(AssertUnwindSafe(sleeps)).unwrap_or(1)
        }
    }

    #[test]
    fn the_result_of_an_operation_that_catches_what_unwinds_it_is_not_judged() {
        passes::<Loom, Sleeps<LoomMemory>>(&two("sleeps", 1..=1));
    }
}
