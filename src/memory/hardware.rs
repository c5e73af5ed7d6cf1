//! The machine itself: core's atomics in place, zero cost, and liveness by pid and start time.
//!
//! Called by publications in programs that ship, and by the engine `processes`.
#![allow(
    unsafe_code,
    reason = "payloads in place are viewed as atomic words; futex has no safe wrapper"
)]

use super::part::{bytes_of, pieces};
use super::{Atomic, HardwareBool, Incarnation, Memory, MemoryCell, Payload, Words, pidfd};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{
    self as core_atomic, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize, Ordering, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};
use std::time::{Duration, Instant};

/// The machine's own memory: `Hardware::AtomicU64` *is* `std::sync::atomic::AtomicU64`.
#[derive(Debug, Clone, Copy)]
pub struct Hardware;

impl Memory for Hardware {
    type AtomicBool = HardwareBool;
    type AtomicU8 = AtomicU8;
    type AtomicU16 = AtomicU16;
    type AtomicU32 = AtomicU32;
    type AtomicU64 = AtomicU64;
    type AtomicI32 = AtomicI32;
    type AtomicI64 = AtomicI64;
    type AtomicUsize = AtomicUsize;
    type Words<T: Payload> = HardwareWords<T>;
    type Cell<T: Send + 'static> = HardwareCell<T>;
    const PATIENCE: u32 = 10_000;

    #[inline(always)]
    fn fence(order: Ordering) {
        core_atomic::fence(order);
    }
    #[inline(always)]
    fn spin_loop() {
        std::hint::spin_loop();
    }
    fn me() -> Incarnation {
        let own = Own::of_this_process();
        let known = own.map_or(0, |own| own.incarnation.load(Relaxed));
        if known != 0 {
            return Incarnation(known);
        }
        let pid = std::process::id();
        // Zero, and not cached: no descriptor is left to ask with. Until there is one, `alive`
        // knows the process by its pid alone.
        let Some((_, start)) = stat("self") else {
            return Incarnation(u64::from(pid));
        };
        let incarnation = u64::from(pid) | u64::from(start) << 32;
        if let Some(own) = own {
            own.incarnation.store(incarnation, Relaxed);
        }
        Incarnation(incarnation)
    }
    fn alive(incarnation: Incarnation) -> bool {
        let (pid, start) = (incarnation.0 as u32, (incarnation.0 >> 32) as u32);
        match state(pid) {
            Running::Since(found) => start == 0 || found == start,
            Running::No => false,
            // A dead process that counts as alive is the lesser harm. Zero and negative numbers are
            // no process ids, but groups to kill(2).
            Running::Unknown => i32::try_from(pid)
                .is_ok_and(|pid| pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)),
        }
    }
    fn wait(word: &AtomicU32, seen: u32) {
        futex_wait(word, seen, std::ptr::null());
    }
    fn wait_timeout(word: &AtomicU32, seen: u32, left: &mut Duration) {
        let limit = libc::timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: left.subsec_nanos() as libc::c_long,
        };
        let began = Instant::now();
        let time_is_up = futex_wait(word, seen, &raw const limit);
        let left_over = left.saturating_sub(began.elapsed());
        *left = if time_is_up {
            Duration::ZERO
        } else {
            left_over
        };
    }
    fn wake(word: &AtomicU32, n: u32) {
        let _ = futex_wake(word, n);
    }
}

/// A process's own numbers, in a page that a fork empties. A pid alone does not tell a child from
/// its parent if each is the first of its namespace, nor from an ended process whose pid it got.
/// madvise(2), `MADV_WIPEONFORK`.
struct Own {
    /// The process's [`Incarnation`]; zero: not asked yet.
    incarnation: AtomicU64,
    /// A number that differs between processes; zero: not drawn yet.
    mark: AtomicU64,
}

impl Own {
    /// Returns this process's page; `None` where the kernel cannot empty it: before Linux 4.14.
    fn of_this_process() -> Option<&'static Self> {
        use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
        // Null until the page is made. A child inherits it with the page, which is at the same
        // address.
        static PAGE: AtomicPtr<Own> = AtomicPtr::new(std::ptr::null_mut());
        let mut page = PAGE.load(Acquire);
        if page.is_null() {
            let length = std::num::NonZeroUsize::new(size_of::<Own>())?;
            let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            // SAFETY: mmap without MAP_FIXED takes addresses that nothing uses.
            let made = unsafe { mmap_anonymous(None, length, rights, MapFlags::MAP_PRIVATE) };
            let made = made.ok()?;
            // SAFETY: the page is ours, private, and holds nothing yet; it is emptied in children alone.
            if unsafe { madvise(made, length.get(), MmapAdvise::MADV_WIPEONFORK) }.is_err() {
                // SAFETY: no other code knows of it.
                let _ = unsafe { munmap(made, length.get()) };
                return None;
            }
            page = made.as_ptr().cast();
            // AcqRel: pairs with the Acquire above, of a thread that finds the page; and with
            // itself, where two threads make one at once.
            let first = PAGE.compare_exchange(std::ptr::null_mut(), page, AcqRel, Acquire);
            if let Err(first) = first {
                // SAFETY: no other code knows of this page.
                let _ = unsafe { munmap(made, length.get()) };
                page = first;
            }
        }
        // SAFETY: as_ref. The page was made above, of zeros, is aligned, and is never unmapped;
        // both words are atomics, for which zeros are a value.
        unsafe { page.as_ref() }
    }
}

/// Returns a number that no other process has: neither its parent, nor a child that it forks. Zero
/// if it cannot have one.
pub(crate) fn mark() -> u64 {
    let Some(own) = Own::of_this_process() else {
        return 0;
    };
    let mark = own.mark.load(Relaxed);
    if mark != 0 {
        return mark;
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos() as u64);
    let drawn = now.rotate_left(20) ^ u64::from(std::process::id()) | 1;
    match own.mark.compare_exchange(0, drawn, Relaxed, Relaxed) {
        Ok(_) => drawn,
        Err(other) => other,
    }
}

/// Sleeps while `word` holds `seen`, for at most `limit` (null: indefinitely). Returns whether that
/// time is up.
fn futex_wait(word: &AtomicU32, seen: u32, limit: *const libc::timespec) -> bool {
    // SAFETY: FUTEX_WAIT reads four bytes at the address, and the limit.
    // 1. `word` is a live, aligned `AtomicU32` for the length of the call.
    // 2. `limit` is null, or points to a `timespec` of the caller. Without FUTEX_PRIVATE_FLAG it works between processes.
    let slept = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            seen,
            limit,
        )
    };
    slept == -1 && Errno::last() == Errno::ETIMEDOUT
}

/// Wakes at most `n` sleeping processes.
fn futex_wake(word: &AtomicU32, n: u32) -> nix::Result<()> {
    let n = n.min(i32::MAX as u32);
    // SAFETY: FUTEX_WAKE uses the address as a key only; `word` is mapped for the length of the call.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, n) };
    Errno::result(woken).map(drop)
}

/// Returns the error of futex(2) where a sandbox refuses that call.
#[cfg(feature = "harness")]
pub(crate) fn refusal_of_futex() -> Option<Errno> {
    futex_wake(&AtomicU32::new(0), 0).err()
}

/// The state of a process.
enum Running {
    /// The low 32 bits of its start time in clock ticks since boot.
    Since(u32),
    /// It is gone, or a zombie.
    No,
    /// The process could not be queried: no descriptor is left, there is no `/proc`, or `/proc` does not show it
    /// (`hidepid`).
    Unknown,
}

/// Returns the state of a process, by a pidfd. The pidfd is of this process's pid namespace
/// whatever `/proc` shows, and tells when the process ended.
fn state(pid: u32) -> Running {
    let pidfd = pidfd::open(pid);
    match &pidfd {
        Ok(pidfd) if pidfd::has_ended(pidfd) => return Running::No,
        // The id of a thread is no process id (EINVAL, ENOENT): the process that had it is gone,
        // and the id was reused.
        Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => return Running::No,
        Ok(_) | Err(_) => {}
    }
    match pidfd::number(pid, &pidfd).and_then(|number| stat(&number.to_string())) {
        // If the pidfd says that the process runs, the state in `stat` says only that its first thread has ended.
        Some((true, _)) if pidfd.is_err() => Running::No,
        Some((_, start)) => Running::Since(start),
        None => Running::Unknown,
    }
}

/// Returns fields 3 and 22 of `/proc/NAME/stat`, proc_pid_stat(5): whether the process has ended, and when it began.
/// The name in field 2 may hold spaces and parentheses.
fn stat(name: &str) -> Option<(bool, u32)> {
    // Bytes, not text: the kernel cuts names at any byte.
    let stat = std::fs::read(format!("/proc/{name}/stat")).ok()?;
    let name_ends = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    Some((ended, fields.nth(18)?.parse::<u64>().ok()? as u32))
}

macro_rules! hardware_atomic {
    ($($Word:ident $Value:ty),*: $methods:tt) => {$(hardware_atomic! { @one $Word $Value, $methods })*};
    (@one $Word:ident $Value:ty, ($($method:ident)*)) => {
        impl Atomic<$Value> for $Word {
            #[inline(always)]
            fn new(value: $Value) -> Self { $Word::new(value) }
            #[inline(always)]
            fn load(&self, order: Ordering) -> $Value { $Word::load(self, order) }
            #[inline(always)]
            fn store(&self, value: $Value, order: Ordering) { $Word::store(self, value, order) }
            #[inline(always)]
            fn compare_exchange(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                $Word::compare_exchange(self, current, new, success, failure)
            }
            #[inline(always)]
            fn compare_exchange_weak(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                $Word::compare_exchange_weak(self, current, new, success, failure)
            }
            $(
                #[inline(always)]
                fn $method(&self, value: $Value, order: Ordering) -> $Value { $Word::$method(self, value, order) }
            )*
        }
    };
}
hardware_atomic!(
    AtomicU8 u8, AtomicU16 u16, AtomicU32 u32, AtomicU64 u64, AtomicI32 i32, AtomicI64 i64, AtomicUsize usize:
    (swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min)
);
hardware_atomic!(HardwareBool bool: (swap fetch_and fetch_or fetch_xor));

/// A payload in place: `size_of::<T>() / 8` words of 64 bits, then its tail byte by byte.
/// The split is fixed, so no location is ever accessed with two sizes.
#[repr(C, align(8))]
pub struct HardwareWords<T>(UnsafeCell<T>);

// SAFETY: `T: Payload` is `Send` plain data, and all shared access goes through the atomics below.
unsafe impl<T: Payload> Sync for HardwareWords<T> {}

impl<T: Payload> HardwareWords<T> {
    /// Returns what `Words::new` returns, for statics.
    pub const fn new_const(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
    /// Returns words of zeros, for statics.
    pub const fn zeroed() -> Self {
        // SAFETY: `Payload` includes `FromBytes`: any bytes are a `T`, so zeros are.
        Self(UnsafeCell::new(unsafe {
            MaybeUninit::zeroed().assume_init()
        }))
    }
    #[inline(always)]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: from_raw_parts.
        // 1. Non-null and aligned: `align(8)` puts the cell at an address that is a multiple of 8.
        // 2. Valid for `size_of::<T>() / 8` words: they lie within the `T`; `IntoBytes` says it has no padding.
        // 3. Shared mutation is allowed: the bytes are in an `UnsafeCell` and only ever accessed as these atomics.
        // 4. The lifetime is that of `&self`.
        unsafe { std::slice::from_raw_parts(self.0.get().cast(), size_of::<T>() / 8) }
    }
    #[inline(always)]
    pub(crate) fn tail(&self) -> &[AtomicU8] {
        let whole = size_of::<T>() & !7;
        // SAFETY: as in `words`: the bytes from `whole` to the end lie within the `T`, and are always accessed as bytes.
        unsafe {
            std::slice::from_raw_parts(
                self.0.get().cast::<AtomicU8>().add(whole),
                size_of::<T>() - whole,
            )
        }
    }
}

impl<T: Payload> Words<T> for HardwareWords<T> {
    #[inline(always)]
    fn new(value: T) -> Self {
        Self::new_const(value)
    }
    #[inline(always)]
    fn load(&self) -> T {
        let mut copy = MaybeUninit::<T>::uninit();
        let bytes = copy.as_mut_ptr().cast::<u8>();
        for (i, word) in self.words().iter().enumerate() {
            // SAFETY: `8 * i + 8 <= size_of::<T>()`, within `copy`; unaligned writes need no alignment.
            unsafe {
                bytes
                    .add(8 * i)
                    .cast::<u64>()
                    .write_unaligned(word.load(Relaxed))
            };
        }
        for (i, byte) in self.tail().iter().enumerate() {
            // SAFETY: the tail's bytes follow the whole words, within `copy`.
            unsafe {
                bytes
                    .add((size_of::<T>() & !7) + i)
                    .write(byte.load(Relaxed))
            };
        }
        // SAFETY: every byte was written above, and `FromBytes` says that any bytes are a `T`.
        unsafe { copy.assume_init() }
    }
    #[inline(always)]
    fn store(&self, value: T) {
        let bytes = (&raw const value).cast::<u8>();
        for (i, word) in self.words().iter().enumerate() {
            // SAFETY: `8 * i + 8 <= size_of::<T>()`, within `value`, all of whose bytes `IntoBytes` says are initialised.
            word.store(
                unsafe { bytes.add(8 * i).cast::<u64>().read_unaligned() },
                Relaxed,
            );
        }
        for (i, byte) in self.tail().iter().enumerate() {
            // SAFETY: the tail's bytes follow the whole words, within `value`.
            byte.store(
                unsafe { bytes.add((size_of::<T>() & !7) + i).read() },
                Relaxed,
            );
        }
    }
    #[inline]
    fn load_part<P: Payload>(&self, offset: usize) -> P {
        let bytes = bytes_of::<T, P>(offset);
        let (words, tail) = (self.words(), self.tail());
        let mut copy = P::new_zeroed();
        let part = copy.as_mut_bytes();
        for piece in pieces(&bytes, 8 * words.len()) {
            piece.get(words[piece.word].load(Relaxed), part);
        }
        for byte in bytes.start.max(8 * words.len())..bytes.end {
            part[byte - offset] = tail[byte - 8 * words.len()].load(Relaxed);
        }
        copy
    }
    #[inline]
    fn store_part<P: Payload>(&self, offset: usize, part: P) {
        let bytes = bytes_of::<T, P>(offset);
        let (words, tail) = (self.words(), self.tail());
        let part = part.as_bytes();
        for piece in pieces(&bytes, 8 * words.len()) {
            let word = &words[piece.word];
            if piece.within.len() == 8 {
                word.store(piece.put(0, part), Relaxed);
            } else {
                // This never fails: the function always returns a value.
                let _ = word.fetch_update(Relaxed, Relaxed, |found| Some(piece.put(found, part)));
            }
        }
        for byte in bytes.start.max(8 * words.len())..bytes.end {
            tail[byte - 8 * words.len()].store(part[byte - offset], Relaxed);
        }
    }
}

/// An `UnsafeCell`: the protocol's promise is believed, not checked.
#[repr(transparent)]
pub struct HardwareCell<T>(UnsafeCell<T>);

// SAFETY: `MemoryCell` hands out raw pointers only; the code that follows one answers for
// exclusivity.
unsafe impl<T: Send> Sync for HardwareCell<T> {}

impl HardwareCell<()> {
    /// Returns what `MemoryCell::new` returns, for statics.
    pub const fn guard() -> Self {
        Self(UnsafeCell::new(()))
    }
}
impl<T: Send + 'static> MemoryCell<T> for HardwareCell<T> {
    #[inline(always)]
    fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
    #[inline(always)]
    fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        access(self.0.get())
    }
    #[inline(always)]
    fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}
