//! Calls by which code under test leaves the schedule. A thread that it starts is not scheduled, so that ends the execution. Others
//! are done, and named in the report: their results depend on time, on chance, or on processes that are not of the case.
#![allow(
    unsafe_code,
    reason = "functions of fixed names, and those of the C library behind them"
)]

use super::keys;
use super::runtime::with;
use super::{RUNS, UNDER_TEST, accesses};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Returns whether code under test runs. It is false before a thread has thread-locals, and after.
fn is_under_test() -> bool {
    RUNS.try_with(|runs| runs.get() == UNDER_TEST) == Ok(true)
}

/// A function of the C library that has the name of one of these.
struct Behind {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Behind {
    const fn of(name: &'static CStr) -> Self {
        let address = AtomicPtr::new(std::ptr::null_mut());
        Self { name, address }
    }

    fn address(&self) -> *mut c_void {
        let known = self.address.load(Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name ends in a zero byte. `resolve` has come here before any process is forked, whose threads may hold locks.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // No program that calls it was linked without it.
            std::process::abort();
        }
        self.address.store(found, Relaxed);
        found
    }
}

/// The functions behind those that are noted, by number, and behind the last three.
static BEHIND: [Behind; 12] = [
    Behind::of(c"clock_gettime"),
    Behind::of(c"getrandom"),
    Behind::of(c"eventfd"),
    Behind::of(c"pipe"),
    Behind::of(c"pipe2"),
    Behind::of(c"poll"),
    Behind::of(c"epoll_wait"),
    Behind::of(c"fork"),
    Behind::of(c"socket"),
    Behind::of(c"pthread_create"),
    Behind::of(c"pthread_key_create"),
    Behind::of(c"__cxa_thread_atexit_impl"),
];
const CREATE: usize = 9;
const MAKE_KEY: usize = 10;
const AT_EXIT: usize = 11;

/// Looks the functions up as the program starts.
extern "C" fn resolve() {
    for behind in &BEHIND {
        behind.address();
    }
}
#[used]
#[unsafe(link_section = ".init_array")]
static RESOLVE: extern "C" fn() = resolve;

/// Makes functions that note the call, and do what those behind them do.
macro_rules! noted {
    ($($number:literal $name:ident ($($argument:ident: $Type:ty),*) -> $Result:ty;)*) => {$(
        /// The C library's function of this name.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $Type),*) -> $Result {
            if is_under_test() {
                note($number);
            }
            let behind = BEHIND[$number].address();
            // SAFETY: the C library's function of this name has this type.
            let behind = unsafe {
                std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($Type),*) -> $Result>(behind)
            };
            // SAFETY: the contract of the call is the caller's.
            unsafe { behind($($argument),*) }
        }
    )*};
}
noted! {
    0 clock_gettime(clock: c_int, time: *mut c_void) -> c_int;
    1 getrandom(to: *mut c_void, length: usize, flags: c_uint) -> isize;
    2 eventfd(value: c_uint, flags: c_int) -> c_int;
    3 pipe(ends: *mut c_int) -> c_int;
    4 pipe2(ends: *mut c_int, flags: c_int) -> c_int;
    5 poll(of: *mut c_void, count: usize, limit: c_int) -> c_int;
    6 epoll_wait(of: c_int, events: *mut c_void, count: c_int, limit: c_int) -> c_int;
    7 fork() -> c_int;
    8 socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
}

/// The number of a call that has a function of its own here.
const OPEN: u32 = CREATE as u32;

/// open(2), which has a third argument for some flags.
#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    if is_under_test() {
        note(OPEN);
    }
    // SAFETY: the contract of the call is the caller's; the kernel takes no third argument where the flags ask for none.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) as c_int }
}

/// open64(3), the same where files may be large anyway.
#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the same contract.
    unsafe { open(path, flags, mode) }
}

fn note(number: u32) {
    let before = RUNS.replace(super::CHECK);
    with(|runtime| runtime.left |= 1 << number);
    RUNS.set(before);
}

/// Returns the calls that code under test has made since it was asked last, as bits.
pub(crate) fn taken() -> u64 {
    with(|runtime| std::mem::take(&mut runtime.left)).unwrap_or(0)
}

/// pthread_create(3): code under test may start no thread, whose accesses are not seen.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    how: *const libc::pthread_attr_t,
    runs: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    type Create = unsafe extern "C" fn(
        *mut libc::pthread_t,
        *const libc::pthread_attr_t,
        extern "C" fn(*mut c_void) -> *mut c_void,
        *mut c_void,
    ) -> c_int;
    if is_under_test() {
        accesses::starts_thread();
    }
    // SAFETY: the C library's function of this name has this type.
    let behind = unsafe { std::mem::transmute::<*mut c_void, Create>(BEHIND[CREATE].address()) };
    // SAFETY: the contract of the call is the caller's.
    unsafe { behind(thread, how, runs, argument) }
}

/// pthread_key_create(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(
    key: *mut c_uint,
    drop: Option<extern "C" fn(*mut c_void)>,
) -> c_int {
    type Create = unsafe extern "C" fn(*mut c_uint, Option<extern "C" fn(*mut c_void)>) -> c_int;
    // SAFETY: the C library's function of this name has this type.
    let behind = unsafe { std::mem::transmute::<*mut c_void, Create>(BEHIND[MAKE_KEY].address()) };
    // SAFETY: the contract of the call is the caller's.
    let made = unsafe { behind(key, drop) };
    if made == 0 && is_under_test() {
        // SAFETY: the call has written it.
        let number = unsafe { key.read() };
        keys::made(number);
    }
    made
}

/// __cxa_thread_atexit_impl of the C library: thread-locals of code under test are put back, and not dropped.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    drop: extern "C" fn(*mut c_void),
    of: *mut c_void,
    object: *mut c_void,
) -> c_int {
    type Register =
        unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> c_int;
    if is_under_test() {
        return 0;
    }
    // SAFETY: the C library's function of this name has this type.
    let behind = unsafe { std::mem::transmute::<*mut c_void, Register>(BEHIND[AT_EXIT].address()) };
    // SAFETY: the contract of the call is the caller's.
    unsafe { behind(drop, of, object) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::left;

    #[test]
    fn each_call_is_noted_under_its_own_name() {
        let noted = BEHIND[..CREATE]
            .iter()
            .map(|behind| behind.name.to_str().unwrap());
        assert!(noted.chain(["open"]).eq(left::CALLS));
    }
}
