//! Generated histories of registers and queues of any size: calls that overlap, each with a moment
//! at which it takes effect. Equal arguments give equal histories.

use super::format::{Register, RegisterOp, RegisterRet};
use forkcheck::Spec;
use forkcheck::case::{Call, History};
use forkcheck::spec::{Queue, QueueOp, QueueRet};

/// The size and density of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) processes: usize,
    /// The number of calls of each process.
    pub(crate) calls: usize,
    /// The number of additional processes, with one call each that never returned; half of those
    /// took effect.
    pub(crate) pending: usize,
    /// The time between two calls of a process, on average half of this; a call takes 50.
    pub(crate) pause: u64,
    pub(crate) seed: u64,
}

impl Size {
    pub(crate) const fn of(processes: usize, calls: usize) -> Self {
        Self {
            processes,
            calls,
            pending: 0,
            pause: 150,
            seed: 1,
        }
    }
    pub(crate) const fn pending(self, pending: usize) -> Self {
        Self { pending, ..self }
    }
    pub(crate) const fn pause(self, pause: u64) -> Self {
        Self { pause, ..self }
    }
}

/// A random number generator (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % n
    }
}

/// Returns a history in which each call takes effect at a moment between its invocation and its
/// return.
fn generated<S: Spec>(
    setup: &S::Setup,
    size: Size,
    mut op: impl FnMut(&mut dyn FnMut(u64) -> u64) -> S::Op,
) -> History<S> {
    let mut chance = Chance(size.seed);
    // The moment, the process, the number of its call.
    let mut moments = Vec::new();
    let mut calls = Vec::new();
    for process in 0..size.processes {
        let mut time = chance.below(100);
        let mut own = Vec::new();
        for number in 0..size.calls {
            let invoked = time + 1 + chance.below(size.pause);
            let moment = invoked + chance.below(50);
            let returned = moment + 1 + chance.below(50);
            time = returned;
            moments.push((moment, process, number));
            own.push(Call::<S> {
                op: op(&mut |n| chance.below(n)),
                ret: None,
                invoked,
                returned,
            });
        }
        calls.push(own);
    }
    let last = calls.iter().flatten().map(|call| call.returned).max();
    for n in 0..size.pending {
        let invoked = chance.below(last.unwrap_or(1));
        if n % 2 == 0 {
            moments.push((invoked + chance.below(500), size.processes + n, 0));
        }
        calls.push(vec![Call {
            op: op(&mut |n| chance.below(n)),
            ret: None,
            invoked,
            returned: Call::<S>::NEVER,
        }]);
    }
    moments.sort_unstable();
    let mut state = S::start(setup);
    for (_, process, number) in moments {
        let call = &mut calls[process][number];
        let ret = state.step(process, &call.op);
        if call.returned != Call::<S>::NEVER {
            call.ret = Some(ret);
        }
    }
    History { calls }
}

/// Returns reads and writes, `cas` of ten of them compare-and-swaps, on a register that holds one
/// of `values`.
pub(crate) fn register(size: Size, values: i64, cas: u64) -> History<Register> {
    generated(&None, size, |chance| {
        let mut value = || chance(values as u64) as i64;
        let (from, to) = (value(), value());
        match chance(10) {
            n if n < cas => RegisterOp::Cas(from, to),
            n if n % 2 == 0 => RegisterOp::Write(to),
            _ => RegisterOp::Read,
        }
    })
}

/// Returns pushes of distinct items, and as many pops.
pub(crate) fn queue(size: Size) -> History<Queue<u32>> {
    let mut item = 0;
    generated(&usize::MAX, size, move |chance| {
        item += 1;
        match chance(2) {
            0 => QueueOp::Push(item),
            _ => QueueOp::Pop,
        }
    })
}

/// Replaces the result of one late read by 99, which no process wrote.
pub(crate) fn impossible(mut history: History<Register>) -> History<Register> {
    let call = late(&mut history, |op| *op == RegisterOp::Read);
    call.ret = Some(RegisterRet::Value(Some(99)));
    history
}

/// Replaces the result of one late read by a value that had been overwritten before.
pub(crate) fn stale(mut history: History<Register>) -> History<Register> {
    let read = late(&mut history, |op| *op == RegisterOp::Read).clone();
    let calls = || history.calls.iter().flatten();
    // The value is not left by any call that may be the last before the read.
    let after = |call: &Call<Register>| match call.op {
        RegisterOp::Write(to) | RegisterOp::Cas(_, to) => Some(to),
        RegisterOp::Read => None,
    };
    let overlaps = |call: &&Call<Register>| {
        call.invoked <= read.returned && call.returned + 300 >= read.invoked
    };
    let possible: Vec<_> = calls().filter(overlaps).filter_map(after).collect();
    let old = calls().filter_map(after).find(|to| !possible.contains(to));
    let call = late(&mut history, |op| *op == RegisterOp::Read);
    call.ret = Some(RegisterRet::Value(old.or(Some(99))));
    history
}

/// Replaces the result of one late pop by an item that no process pushed.
pub(crate) fn invented(mut history: History<Queue<u32>>) -> History<Queue<u32>> {
    let call = late(&mut history, |op| *op == QueueOp::Pop);
    call.ret = Some(QueueRet::Popped(u32::MAX));
    history
}

/// Returns a call of the first process at nine tenths of its calls.
fn late<S: Spec>(history: &mut History<S>, fits: impl Fn(&S::Op) -> bool) -> &mut Call<S> {
    let calls = &mut history.calls[0];
    let from = calls.len() * 9 / 10;
    let call = calls[from..].iter_mut().find(|call| fits(&call.op));
    call.expect("there is one among the last tenth")
}
