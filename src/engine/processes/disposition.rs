//! The dispositions of signals, as pauses ask for them and set them: the default, or a handler of ours.
#![allow(unsafe_code, reason = "sigaction")]

use nix::sys::signal::Signal;
use std::mem::MaybeUninit;

/// Returns whether a signal has its default effect. Async-signal-safe.
pub(super) fn is_default(signal: Signal) -> bool {
    is(signal, libc::SIG_DFL)
}

/// Returns whether the disposition of the signal is this one. Async-signal-safe.
pub(super) fn is(signal: Signal, disposition: libc::sighandler_t) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks for the disposition of a signal.
    // 1. No new one is given. 2. `action` is valid for writes; zeros are one, so it may be read whatever came of it.
    let action = unsafe {
        libc::sigaction(signal as libc::c_int, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == disposition
}

/// Gives this thread a stack for handlers, unless it has one: code under test may run on a stack that is too small for theirs.
pub(super) fn use_alternate_stack() {
    const LENGTH: usize = 64 << 10;
    let mut now = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: asks for the alternate stack.
    // 1. No new one is given. 2. `now` is valid for writes; zeros are one, so it may be read whatever came of it.
    let now = unsafe {
        libc::sigaltstack(std::ptr::null(), now.as_mut_ptr());
        now.assume_init()
    };
    if now.ss_flags & libc::SS_DISABLE == 0 {
        return;
    }
    let stack = Box::leak(vec![0u8; LENGTH].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: LENGTH,
    };
    // SAFETY: sets the alternate stack of this thread.
    // 1. It is never freed, and nothing else uses it.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

/// The kernel's own form of a disposition, with the code by which the handler returns.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Returns the code by which handlers return: the C library's. Async-signal-safe.
pub(super) fn restorer() -> usize {
    let mut action = KernelAction {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let none = std::ptr::null::<KernelAction>();
    // SAFETY: rt_sigaction(2), to ask for a disposition.
    // 1. `action` has the kernel's form on this architecture, and its mask 8 bytes. 2. No new one is given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            libc::SIGTRAP,
            none,
            &raw mut action,
            8usize,
        )
    };
    action.restorer
}

/// A handler that asks for the place of the signal.
pub(super) type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Sets a handler, which no other handler interrupts. Async-signal-safe.
pub(super) fn handle(signal: Signal, handler: Handler) {
    let flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    set_disposition(signal, handler as libc::sighandler_t, flags);
}

/// Sets the default. Async-signal-safe.
pub(super) fn restore(signal: Signal) {
    set_disposition(signal, libc::SIG_DFL, 0);
}

fn set_disposition(signal: Signal, what: libc::sighandler_t, flags: libc::c_int) {
    let action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: sets the disposition of a signal.
    // 1. Zeros are an action: the default, no flags, an empty mask, no restorer. 2. `what` is the default, or a handler for
    // SA_SIGINFO with that flag. 3. What was there was the default, or a handler of ours, as the caller has asked.
    unsafe {
        let mut action = action.assume_init();
        action.sa_sigaction = what;
        action.sa_flags = flags;
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(
            signal as libc::c_int,
            &raw const action,
            std::ptr::null_mut(),
        );
    }
}
