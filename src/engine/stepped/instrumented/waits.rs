//! System calls by which code under test waits: they become waits and wake-ups of the schedule. The
//! linker prefers the program's own functions of these names to the C library's, also for the
//! standard library.
#![allow(
    unsafe_code,
    reason = "functions of fixed names, and system calls as they are"
)]

use super::accesses::as_process;
use super::uninstrumented::{calls_kernel, comes_back};
use super::{RUNS, UNDER_TEST};
use crate::engine::stepped::stepper::{self, At};
use std::arch::asm;
use std::ffi::{c_int, c_long, c_void};

const WAIT: usize = libc::FUTEX_WAIT as usize;
const WAKE: usize = libc::FUTEX_WAKE as usize;
const WAIT_BITSET: usize = libc::FUTEX_WAIT_BITSET as usize;
const WAKE_BITSET: usize = libc::FUTEX_WAKE_BITSET as usize;
const PRIVATE: usize = libc::FUTEX_PRIVATE_FLAG as usize;
const FLAGS: usize = (libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) as usize;

/// The location of code that is not instrumented.
const NOWHERE: At<'_> = At::Code(0);

#[inline(always)]
fn is_under_test() -> bool {
    RUNS.get() == UNDER_TEST
}

fn fails(errno: c_int) -> c_long {
    // SAFETY: the C library's place for the error of this thread.
    unsafe { libc::__errno_location().write(errno) };
    -1
}

/// syscall(2), with as many arguments as there are registers for.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    first: usize,
    second: usize,
    third: usize,
    fourth: usize,
    fifth: usize,
    sixth: usize,
) -> c_long {
    if number == libc::SYS_futex
        && is_under_test()
        && let Some(result) = futex(first, second, third as u32, fourth)
    {
        return result;
    }
    let result: c_long;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the system call that the caller asked for, whose contract is the caller's; the kernel changes these registers alone.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") first, in("rsi") second, in("rdx") third,
            in("r10") fourth, in("r8") fifth, in("r9") sixth, lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") first => result, in("x1") second, in("x2") third,
            in("x3") fourth, in("x4") fifth, in("x5") sixth);
    }
    match result {
        -4095..0 => fails(-result as c_int),
        _ => result,
    }
}

/// Does a wait or wake-up; `None` for any other call, or where no process of an execution runs.
fn futex(word: usize, operation: usize, value: u32, limit: usize) -> Option<c_long> {
    let key = |word: usize| match operation & PRIVATE {
        0 => word as u64,
        _ => stepper::private_word(word as u64),
    };
    match operation & !FLAGS {
        WAIT | WAIT_BITSET => as_process(|me| wait(me, (word, key(word)), value, limit != 0)),
        WAKE | WAKE_BITSET => as_process(|me| {
            calls_kernel(me, word);
            let woken = stepper::wake(key(word), value.min(i32::MAX as u32), NOWHERE);
            // Others may have moved before the step.
            comes_back(me, word);
            woken.into()
        }),
        _ => None,
    }
}

fn wait(me: usize, (word, key): (usize, u64), value: u32, limited: bool) -> c_long {
    calls_kernel(me, word);
    let mut found = value;
    let look = || {
        let word = std::ptr::with_exposed_provenance::<u32>(word);
        // SAFETY: the caller waits on this word, so it is mapped and aligned; no other process moves.
        found = unsafe { word.read_volatile() };
        (found == value, found.into())
    };
    let woken = if limited {
        stepper::wait_timeout(key, NOWHERE, look)
    } else {
        stepper::wait(key, NOWHERE, look);
        true
    };
    comes_back(me, word);
    match (found == value, woken) {
        (false, _) => fails(libc::EAGAIN),
        (true, false) => fails(libc::ETIMEDOUT),
        (true, true) => 0,
    }
}

/// sched_yield(2), as one iteration of a spin.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_yield() -> c_int {
    if is_under_test() && as_process(|_| stepper::spin(NOWHERE)).is_some() {
        return 0;
    }
    // SAFETY: it has no arguments.
    unsafe { syscall(libc::SYS_sched_yield, 0, 0, 0, 0, 0, 0) as c_int }
}

/// nanosleep(2): no time passes in a schedule, so it is one iteration of a spin.
#[unsafe(export_name = "nanosleep")]
unsafe extern "C" fn pass_time(request: *const c_void, left: *mut c_void) -> c_int {
    if is_under_test() && as_process(|_| stepper::spin(NOWHERE)).is_some() {
        return 0;
    }
    // SAFETY: the contract of the call.
    unsafe { syscall(libc::SYS_nanosleep, request.addr(), left.addr(), 0, 0, 0, 0) as c_int }
}

/// clock_nanosleep(2), as nanosleep(2); it returns the error.
#[unsafe(export_name = "clock_nanosleep")]
unsafe extern "C" fn pass_time_of_clock(
    clock: c_int,
    flags: c_int,
    request: *const c_void,
    left: *mut c_void,
) -> c_int {
    if is_under_test() && as_process(|_| stepper::spin(NOWHERE)).is_some() {
        return 0;
    }
    let (clock, flags) = (clock as usize, flags as usize);
    // SAFETY: the contract of the call.
    let result = unsafe {
        syscall(
            libc::SYS_clock_nanosleep,
            clock,
            flags,
            request.addr(),
            left.addr(),
            0,
            0,
        )
    };
    if result == 0 {
        return 0;
    }
    // SAFETY: the C library's place for the error of this thread.
    unsafe { libc::__errno_location().read() }
}
