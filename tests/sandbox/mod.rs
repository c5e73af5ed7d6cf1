//! A sandbox that forbids a system call, as those of containers and services do. seccomp(2).

#![allow(unsafe_code, reason = "seccomp, which nix has no call for")]

use nix::libc;

/// Makes the call fail with that error from now on, in this process and in those that it starts.
#[allow(
    dead_code,
    reason = "not all tests with a sandbox forbid all of a call"
)]
pub(crate) fn forbid(call: libc::c_long, errno: i32) {
    refuse(call, None, errno);
}

/// Makes calls fail that have one of these bits in that argument, counted from 0.
#[allow(dead_code, reason = "not all tests with a sandbox ask for arguments")]
pub(crate) fn forbid_flag(call: libc::c_long, argument: u32, bits: u32, errno: i32) {
    refuse(call, Some((argument, bits)), errno);
}

fn refuse(call: libc::c_long, flag: Option<(u32, u32)>, errno: i32) {
    // Offsets in `seccomp_data`, on a machine that stores the low half of a word first.
    const NUMBER: u32 = 0;
    const ARGUMENTS: u32 = 16;
    let step = |code: u32, jump_if_not, value| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: jump_if_not,
        k: value,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let answer = libc::BPF_RET | libc::BPF_K;
    let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let has = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
    let refusal = step(answer, 0, libc::SECCOMP_RET_ERRNO | errno as u32);
    let mut program = vec![step(load, 0, NUMBER)];
    match flag {
        None => program.push(step(is, 1, call as u32)),
        Some((argument, bits)) => program.extend([
            step(is, 3, call as u32),
            step(load, 0, ARGUMENTS + 8 * argument),
            step(has, 1, bits),
        ]),
    }
    program.extend([refusal, step(answer, 0, libc::SECCOMP_RET_ALLOW)]);
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: prctl reads the filter and its program, which live, and copies them.
    let forbidden = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ) == 0
    };
    assert!(forbidden, "{}", nix::errno::Errno::last());
}
