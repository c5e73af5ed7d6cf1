//! Instructions by their distance from the first byte of the program, and those of the calls in which a thread is.
#![allow(
    unsafe_code,
    reason = "a symbol of the linker, and the unwinder of the compiler's library"
)]

use std::ffi::{c_int, c_void};

unsafe extern "C" {
    /// The first byte of the program, by the linker.
    static __ehdr_start: u8;
}

/// Returns an instruction by its distance from the first byte of the program: the same in each of
/// its processes. It is 0 if it is not the program's.
#[inline]
pub(super) fn code(return_address: usize) -> u32 {
    let distance = return_address.wrapping_sub((&raw const __ehdr_start).addr());
    u32::try_from(distance).unwrap_or(0)
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        each: extern "C" fn(*mut c_void, *mut Frames) -> c_int,
        frames: *mut Frames,
    ) -> c_int;
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
}

/// The most frames that are looked at.
const FRAMES: usize = 64;
#[repr(C)]
struct Frames([usize; FRAMES], usize);

extern "C" fn note_frame(frame: *mut c_void, frames: *mut Frames) -> c_int {
    const END: c_int = 5;
    // SAFETY: 1. The caller lends both for this call: the frame that it is at, and what `callers` gave it.
    let (frames, address) = unsafe { (&mut *frames, _Unwind_GetIP(frame)) };
    frames.0[frames.1] = address;
    frames.1 += 1;
    if frames.1 == FRAMES { END } else { 0 }
}

/// Returns the instructions behind the calls in which this thread is, the innermost first.
pub(super) fn callers() -> Vec<u32> {
    let mut frames = Frames([0; FRAMES], 0);
    // SAFETY: the unwinder calls `note_frame` with frames and with `frames`, which lives until it returns.
    unsafe { _Unwind_Backtrace(note_frame, &raw mut frames) };
    frames.0[..frames.1]
        .iter()
        .map(|&address| code(address))
        .collect()
}
