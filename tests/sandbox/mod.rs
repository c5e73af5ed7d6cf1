//! A sandbox that forbids a system call, as those of containers and services do. seccomp(2).

#![allow(unsafe_code, reason = "seccomp, which nix has no call for")]

use nix::libc;

/// From now on the call fails with that error, in this process and in those that it starts.
pub(crate) fn forbid(call: libc::c_long, errno: i32) {
    const NUMBER: u32 = 0;
    let step = |code, jump_if_not, value| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: jump_if_not,
        k: value,
    };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, NUMBER),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | errno as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
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
