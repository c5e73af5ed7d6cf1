//! Thread-locals of processes that are coroutines of one thread. Each has those of a thread that was made for it and sleeps: the
//! register by which code finds them is changed where coroutines are switched. So their addresses differ too, which some code takes
//! for numbers of threads.
#![allow(
    unsafe_code,
    reason = "threads of the C library, and the register of thread-locals"
)]

use super::globals::{self, Piece};
use crate::engine::stepped::pieces::PrivatePiece;
use std::arch::asm;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// The stack of a thread that sleeps.
const STACK: usize = 256 << 10;

/// Returns the register by which this thread finds its thread-locals.
#[inline(always)]
pub(super) fn register() -> usize {
    let register: usize;
    // SAFETY: the first word of the thread's own block is its address, by the convention of x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("mov {}, fs:0", out(reg) register, options(nostack, preserves_flags));
    }
    // SAFETY: the register is readable in each process.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("mrs {}, tpidr_el0", out(reg) register, options(nostack, preserves_flags));
    }
    register
}

/// Sets the thread register.
///
/// # Safety
/// It is the register of a thread of this process that lives, and no code that runs until it is set back holds references to
/// thread-locals.
#[inline(always)]
unsafe fn set_register(to: usize, fast: bool) {
    #[cfg(target_arch = "x86_64")]
    if fast {
        // SAFETY: the kernel said that the instruction is permitted. By the contract of this function the block is one of a thread.
        unsafe { asm!("wrfsbase {}", in(reg) to, options(nostack, preserves_flags)) };
    } else {
        const ARCH_SET_FS: usize = 0x1002;
        // SAFETY: arch_prctl(2), by the same contract; the kernel changes these registers alone.
        unsafe {
            asm!("syscall", inlateout("rax") libc::SYS_arch_prctl => _, in("rdi") ARCH_SET_FS, in("rsi") to,
                lateout("rcx") _, lateout("r11") _);
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let _ = fast;
        // SAFETY: the register is writable in each process.
        unsafe { asm!("msr tpidr_el0, {}", in(reg) to, options(nostack, preserves_flags)) };
    }
}

/// Returns whether code may set the register by an instruction of its own.
fn is_fast() -> bool {
    const HWCAP2_FSGSBASE: u64 = 1 << 1;
    // SAFETY: getauxval has no contract.
    cfg!(target_arch = "aarch64")
        || unsafe { libc::getauxval(libc::AT_HWCAP2) } & HWCAP2_FSGSBASE != 0
}

/// Thread-locals of one process.
pub(crate) struct Block {
    register: usize,
    /// The register of the thread that made it.
    back: usize,
    fast: bool,
    pieces: Vec<Piece>,
}

impl Block {
    /// Makes one for each of `processes`.
    pub(crate) fn of_processes(processes: usize) -> Vec<Self> {
        let of_threads = globals::pieces().1;
        (0..processes).map(|_| Self::new(&of_threads)).collect()
    }

    fn new(of_threads: &[PrivatePiece]) -> Self {
        let begun = AtomicU32::new(0);
        let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
        let mut how = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let made = {
            // SAFETY: 1. The attributes are initialised first, and the size is a multiple of a page that a stack may have. 2. `stay` is a
            // function of that type; what it is given lives until it has noted that it runs, for which the loop below waits.
            unsafe {
                libc::pthread_attr_init(how.as_mut_ptr());
                libc::pthread_attr_setstacksize(how.as_mut_ptr(), STACK);
                let argument = (&raw const begun).cast_mut().cast();
                libc::pthread_create(thread.as_mut_ptr(), how.as_ptr(), stay, argument)
            }
        };
        assert_eq!(
            made, 0,
            "a thread for the thread-locals of a process is refused: raise the limit on processes (ulimit -u)"
        );
        while begun.load(SeqCst) == 0 {
            // SAFETY: futex(2): a wait for that word, while it is 0.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    begun.as_ptr(),
                    libc::FUTEX_WAIT,
                    0,
                    null_mut::<c_void>(),
                )
            };
        }
        // SAFETY: the call above returned 0, so it wrote the thread.
        let thread = unsafe { thread.assume_init() } as usize;
        // SAFETY: it has no contract. A thread is named by the address of its block's end, at the same distance from the register in each.
        let distance = thread.wrapping_sub(unsafe { libc::pthread_self() } as usize);
        let back = register();
        Self {
            register: back.wrapping_add(distance),
            back,
            fast: is_fast(),
            pieces: globals::of_thread(of_threads, distance),
        }
    }

    /// Calls a function with these thread-locals: one that switches to another stack, and comes back.
    #[inline(always)]
    pub(crate) fn within<R>(&self, call: impl FnOnce() -> R) -> R {
        // SAFETY: 1. The thread sleeps as long as this process lives. 2. The caller's references to thread-locals are not used in
        // `call`.
        unsafe { set_register(self.register, self.fast) };
        let result = call();
        // SAFETY: the register of the thread that runs, which made this block.
        unsafe { set_register(self.back, self.fast) };
        result
    }

    /// Puts them back to those of a new thread.
    pub(crate) fn put_back(&self) {
        self.pieces.iter().for_each(Piece::put_back);
    }
}

/// Sleeps for the rest of the process.
extern "C" fn stay(begun: *mut c_void) -> *mut c_void {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: 1. The set is filled before it is used. 2. `Block::new` gives a word that lives until it is 1, and is not used after.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), null_mut());
        let begun = begun.cast::<AtomicU32>();
        let address = begun.addr();
        (*begun).store(1, SeqCst);
        libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE, 1);
    }
    loop {
        // SAFETY: it has no contract.
        unsafe { libc::pause() };
    }
}
