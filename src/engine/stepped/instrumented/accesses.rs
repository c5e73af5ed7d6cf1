//! Accesses of code under test. An access is a step if it is atomic or touches memory that other
//! processes touch, and a race if happens-before does not order it with another one.
#![allow(unsafe_code, reason = "bytes of the arena are read and copied")]

use super::arena;
use super::clocks::Order;
use super::runtime::{Runtime, with};
use super::shadow::{Clash, Found, Marked, Mode};
use super::uninstrumented::{ACQUIRE_AND_RELEASE, acquire, changed_unseen, value};
use super::{CHECK, RUNS, UNDER_TEST, callers};
use crate::case::{Access, Form};
use crate::engine::stepped::stepper::{self, At, Done};
use crate::engine::stepped::symbols;

/// Runs code of the check within code under test, with the number of the process of an execution
/// that runs.
#[inline]
pub(super) fn as_process<R>(does: impl FnOnce(usize) -> R) -> Option<R> {
    let (me, _) = stepper::incarnation()?;
    RUNS.set(CHECK);
    let result = does(me);
    RUNS.set(UNDER_TEST);
    Some(result)
}

/// The value that an atomic access found, and the one that it left, if that differs.
pub(super) struct Atomic {
    pub(super) access: Access,
    pub(super) found: u64,
    pub(super) now: Option<u64>,
}

/// The memory orders of an atomic access: as written, and where it changed nothing.
pub(super) type Orders = (Order, Order);

/// Does an atomic access, which is always a step. `pending` is the kind that it may have, and
/// `access` does it.
#[inline]
pub(super) fn atomic<R>(
    pending: Access,
    (address, length): (usize, usize),
    (order, on_miss): Orders,
    code: u32,
    access: impl Fn() -> (R, Atomic),
) -> R {
    let step = |me: usize| {
        let (result, atomic) =
            stepper::access(pending, address as u64, At::Code(code as usize), || {
                let (result, atomic) = access();
                let now = atomic.now.map(|now| shown(now).0);
                let done = Done {
                    now,
                    ..seen(atomic.access, atomic.found)
                };
                ((result, atomic), done)
            });
        let order = match atomic.access {
            Access::Miss => on_miss,
            _ => order,
        };
        did(me, (address, length), &atomic, order, code);
        result
    };
    as_process(step).unwrap_or_else(|| access().0)
}

/// Notes an atomic access that was done. One function for all of them, so that the processor has it at hand.
#[inline(never)]
fn did(me: usize, bytes: (usize, usize), atomic: &Atomic, order: Order, code: u32) {
    let (address, did) = (bytes.0, atomic.access);
    let writes = matches!(did, Access::Store | Access::Update);
    let kind = if writes {
        Mode::AtomicWrite
    } else {
        Mode::AtomicRead
    };
    let reads = did != Access::Store;
    let clash = |runtime: &mut Runtime| {
        acquire(runtime, me);
        let processes = runtime.processes as usize;
        let at = runtime.find(address)?;
        let clash = match is_marked(runtime, address, code) {
            true => mark_found(runtime, at, bytes, (kind, me, code)),
            false => None,
        };
        let found = reads.then_some(atomic.found);
        let left = atomic.now.unwrap_or(atomic.found);
        if runtime.shadow.leave(at, address, found, left) {
            changed_unseen(runtime, me, address);
            // Others that read the value know it, too.
            let known = (me, &mut runtime.known[..processes]);
            let release = (false, true);
            runtime
                .shadow
                .synchronise(at, address, known, release, ACQUIRE_AND_RELEASE);
        }
        let known = (me, &mut runtime.known[..processes]);
        let does = (reads, writes);
        runtime.shadow.synchronise(at, address, known, does, order);
        if did == Access::Miss {
            runtime.missed[me] = bytes;
        }
        clash
    };
    if let Some((clash, is_full)) = with(|runtime| (clash(runtime), runtime.is_full())) {
        report(me, code, clash, is_full);
    }
    if reads && atomic.now.is_none() {
        looked(me, address, code);
    }
}

/// Notes a fence.
pub(super) fn fence(order: Order, code: u32) {
    let _ = as_process(|me| {
        stepper::fence(At::Code(code as usize));
        with(|runtime| runtime.known[me].fence(me, order))
    });
}

/// Notes plain accesses to some bytes before they are done, one for each eight of them. It does not unwind, so that the hooks
/// jump here, and save no register where there is nothing to note.
#[inline(never)]
pub(super) extern "C" fn plain(address: usize, length: usize, writes: bool, code: u32) {
    if !arena::holds(address) {
        return;
    }
    let _ = as_process(|me| {
        let end = address + length;
        let mut at = address;
        while at < end {
            let next = end.min((at & !7) + 8);
            piece(me, (at, next - at), writes, code);
            at = next;
        }
    });
}

/// Notes a plain access within eight bytes.
fn piece(me: usize, (address, length): (usize, usize), writes: bool, code: u32) {
    let kind = if writes { Mode::Write } else { Mode::Read };
    // It ends at a step: others may move there.
    let before = with(|runtime| {
        if runtime.learns != 0 {
            runtime.touched.add(address, me, writes);
            runtime.see(code);
            return None;
        }
        let at = runtime.find(address);
        let conflicts = match at {
            Some(at) => runtime.shadow.conflicts(at, me, writes),
            None => runtime.touched.sharers(address).conflict(me, writes),
        };
        if conflicts {
            return None;
        }
        acquire(runtime, me);
        let bytes = (address, length);
        let clash = at.and_then(|at| mark_found(runtime, at, bytes, (kind, me, code)));
        Some((clash, runtime.is_full()))
    });
    let (clash, is_full) = match before.flatten() {
        Some(marked) => marked,
        None => {
            step(me, (address, length), writes, code);
            mark(me, (address, length), kind, code)
        }
    };
    if writes {
        stepper::changed();
    }
    report(me, code, clash, is_full);
}

fn step(me: usize, (address, length): (usize, usize), writes: bool, code: u32) {
    let access = if writes { Access::Write } else { Access::Read };
    stepper::access(access, address as u64, At::Code(code as usize), || {
        // Code under test writes after this returns, so the value is not known.
        let value = if writes { 0 } else { value(address, length) };
        ((), seen(access, value))
    });
    if !writes {
        looked(me, address, code);
    }
}

/// Notes a read. A process that reads the same memory repeatedly without a change spins. That is
/// known only after the step, since strategies may ask earlier or later what is pending.
#[inline]
fn looked(me: usize, address: usize, code: u32) {
    let version = stepper::version();
    if with(|runtime| runtime.reads[me].again(version, address, code)) == Some(true) {
        stepper::spin(At::Code(code as usize));
    }
}

/// Notes volatile accesses: steps, ordered with others as relaxed atomics.
pub(super) fn volatile(address: usize, length: usize, writes: bool, code: u32) {
    let _ = as_process(|me| {
        step(me, (address, length), writes, code);
        let kind = if writes {
            Mode::AtomicWrite
        } else {
            Mode::AtomicRead
        };
        let (clash, is_full) = mark(me, (address, length), kind, code);
        if writes {
            stepper::changed();
        }
        report(me, code, clash, is_full);
    });
}

/// Returns a value in the form of notes: an address in the arena is its distance from the first
/// byte, which is the same in each run.
fn shown(value: u64) -> (u64, Form) {
    arena::distance(value as usize)
        .map_or((value, Form::Unsigned), |byte| (byte as u64, Form::Address))
}

/// Makes the result of an access that changed nothing.
fn seen(access: Access, value: u64) -> Done {
    let (value, form) = shown(value);
    Done {
        form,
        ..Done::seen(access, value)
    }
}

/// Notes an access for races. Returns another that it clashes with, and whether the execution goes beyond what is followed.
fn mark(process: usize, bytes: (usize, usize), kind: Mode, code: u32) -> (Option<Clash>, bool) {
    let marked = with(|runtime| {
        let mut clash = None;
        if is_marked(runtime, bytes.0, code) {
            acquire(runtime, process);
            clash = runtime
                .find(bytes.0)
                .and_then(|at| mark_found(runtime, at, bytes, (kind, process, code)));
        }
        (clash, runtime.is_full())
    });
    marked.unwrap_or_default()
}

/// Returns whether races are looked for: not while memory is learned, and in the arena alone.
#[inline]
fn is_marked(runtime: &mut Runtime, address: usize, code: u32) -> bool {
    if runtime.learns != 0 {
        runtime.see(code);
        return false;
    }
    arena::holds(address)
}

#[inline]
fn mark_found(
    runtime: &mut Runtime,
    at: Found,
    bytes: (usize, usize),
    (kind, process, code): (Mode, usize, u32),
) -> Option<Clash> {
    runtime.last[process] = code;
    let me = Marked {
        process,
        kind,
        code,
    };
    let known = &runtime.known[..runtime.processes as usize];
    runtime.shadow.mark(at, bytes, me, known)
}

/// Returns the line of an instruction in words.
fn at(code: u32) -> String {
    let place = symbols::site(code);
    match place.line {
        0 => "code without lines".to_owned(),
        line => format!("{}:{line}", stepper::short(&place.file)),
    }
}

/// Ends the execution for an access that clashes with another one, or that is beyond what the
/// engine follows.
#[inline]
fn report(me: usize, code: u32, clash: Option<Clash>, is_full: bool) {
    match clash {
        Some(clash) => report_clash(me, code, clash),
        None if is_full => stepper::beyond(),
        None => {}
    }
}

#[cold]
fn report_clash(me: usize, code: u32, clash: Clash) {
    let does = |kind, code| {
        let does = match kind {
            Mode::Write => "writes at",
            Mode::Read => "reads at",
            Mode::AtomicWrite => "writes an atomic at",
            Mode::AtomicRead => "reads an atomic at",
            // The call is the standard library's, and the earlier accesses are known.
            Mode::Free => "frees after",
        };
        format!("{does} {}", at(code))
    };
    let mine = does(clash.mine, code);
    let (mine, other) = match clash.other {
        None => {
            let words = format!("{mine} memory that was freed after {}", at(clash.code));
            ((me, words), None)
        }
        Some((other, kind)) => ((me, mine), Some((other, does(kind, clash.code)))),
    };
    let freed = clash.mine == Mode::Free || other.is_none();
    stepper::clash(mine, other, freed);
}

/// Notes that memory of the arena is freed: all its accesses have to happen before, and none may
/// follow.
pub(super) fn freed(address: usize, length: usize) {
    let _ = as_process(|me| {
        let code = with(|runtime| runtime.last[me]).unwrap_or(0);
        let end = address + length.max(1);
        for at in (address..end).step_by(8) {
            let bytes = (at, (end - at).min(8));
            let (clash, is_full) = mark(me, bytes, Mode::Free, code);
            report(me, code, clash, is_full);
        }
    });
}

/// The bit of a header that says that its allocation is freed; below it is the last instruction of the process that freed it.
const FREED: usize = 1 << 32;

/// Notes that memory is freed whose header has this word, and returns its new one. A process that frees twice has ended the
/// execution before it comes here.
pub(super) fn frees(word: usize) -> usize {
    let process = stepper::incarnation().map(|(process, _)| process);
    with(|runtime| {
        if word & FREED != 0 && process.is_none() {
            (runtime.outside, runtime.by) = (1, word as u32);
        }
        runtime.arena.live -= i64::from(word & FREED == 0);
        FREED | process.map_or(0, |process| runtime.last[process]) as usize
    })
    .unwrap_or(word)
}

/// Ends the execution for a thread that code under test starts.
pub(super) fn starts_thread() {
    if stepper::incarnation().is_none() {
        with(|runtime| runtime.outside = 2);
    }
    let _ = as_process(|me| {
        let mut lines = callers::callers()
            .into_iter()
            .filter_map(symbols::line_of_user);
        let line = match lines.next() {
            Some(place) => format!(" at {}:{}", stepper::short(&place.file), place.line),
            None => String::new(),
        };
        stepper::starts_thread(me, format!("starts a thread{line}"));
    });
}

/// Ends the execution for an allocation that failed: the arena is full.
pub(super) fn refused() {
    let _ = as_process(|_| stepper::beyond());
}

/// Copies as `memmove`: by words, each a step on both sides where others touch it.
///
/// # Safety
/// As `memmove`.
pub(super) unsafe fn copy(to: usize, from: usize, length: usize, code: u32) {
    // From the end where the target begins within the source.
    let backwards = (from + 1..from + length).contains(&to);
    let mut done = 0;
    while done < length {
        let left = length - done;
        let (at, part) = if backwards {
            // Up to the next multiple of eight below the ends of what is left.
            let below = |end: usize| (end - 1) % 8 + 1;
            let part = below(from + left).min(below(to + left)).min(left);
            (left - part, part)
        } else {
            let above = |start: usize| 8 - start % 8;
            (done, above(from + done).min(above(to + done)).min(left))
        };
        let (source, target) = (from + at, to + at);
        let mut bytes = [0u8; 8];
        plain(source, part, false, code);
        let read = std::ptr::with_exposed_provenance::<u8>(source);
        // SAFETY: by the contract of this function, both ranges are valid; `part` is at most eight and ends within them.
        unsafe { read.copy_to_nonoverlapping(bytes.as_mut_ptr(), part) };
        plain(target, part, true, code);
        let write = std::ptr::with_exposed_provenance_mut::<u8>(target);
        // SAFETY: as above.
        unsafe { write.copy_from_nonoverlapping(bytes.as_ptr(), part) };
        done += part;
    }
}

/// Fills as `memset`: by words, each a step where others touch it.
///
/// # Safety
/// As `memset`.
pub(super) unsafe fn fill(to: usize, byte: u8, length: usize, code: u32) {
    let mut done = 0;
    while done < length {
        let target = to + done;
        let part = (8 - target % 8).min(length - done);
        plain(target, part, true, code);
        let write = std::ptr::with_exposed_provenance_mut::<u8>(target);
        // SAFETY: by the contract of this function, the range is valid, and the part ends within it.
        unsafe { write.write_bytes(byte, part) };
        done += part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_overlap_are_those_of_memmove_and_a_fill_is_that_of_memset() {
        for (from, to, length) in [
            (0, 3, 30),
            (3, 0, 30),
            (5, 21, 16),
            (8, 8, 9),
            (1, 2, 1),
            (0, 9, 0),
        ] {
            let mut bytes: Vec<u8> = (0..64).collect();
            let mut expected = bytes.clone();
            expected.copy_within(from..from + length, to);
            let first = bytes.as_mut_ptr().expose_provenance();
            // SAFETY: both ranges are within the vector.
            unsafe { copy(first + to, first + from, length, 0) };
            assert_eq!(bytes, expected, "{from} {to} {length}");
            expected[to..to + length].fill(7);
            // SAFETY: the same.
            unsafe { fill(first + to, 7, length, 0) };
            assert_eq!(bytes, expected, "{to} {length}");
        }
    }
}
