//! System calls that a sandbox, or a change of user, forbids: no endless wait, no child left, and a remedy that names
//! the call to permit.

use crate::ends::{ends, park_indefinitely, runs};
use crate::sandbox::forbid;
use crate::victim::victim;
use crate::{childless, told};
use forkcheck::process;
use nix::libc;
use nix::unistd::{Uid, geteuid, setuid};
use serde::{Serialize, de::DeserializeOwned};
use std::io::Write;

fn clean<T>(body: impl Fn() -> T + Copy + 'static) -> T
where
    T: Serialize + DeserializeOwned,
{
    process::in_fresh_process(move |()| body(), ()).unwrap()
}

#[test]
fn a_kill_that_is_forbidden_is_an_error_and_one_call_that_is_left_will_do() {
    let (both, one) = clean(|| {
        let both = victim(|| {
            let mut child = process::spawn(|| -> () { park_indefinitely() }).unwrap();
            forbid(libc::SYS_kill, libc::EPERM);
            forbid(libc::SYS_pidfd_send_signal, libc::EPERM);
            let why = told(child.kill()).0;
            (why, runs(child.id()))
        });
        let one = [libc::SYS_kill, libc::SYS_pidfd_send_signal].map(|call| {
            victim(move || {
                let mut child = process::spawn(|| -> () { park_indefinitely() }).unwrap();
                forbid(call, libc::EPERM);
                child.kill().unwrap().to_string()
            })
        });
        (both, one)
    });
    let (why, runs) = both.unwrap();
    assert!(
        runs && why.contains("EPERM") && why.contains("kill child"),
        "{why}"
    );
    for exit in one {
        assert!(exit.unwrap().contains("SIGKILL"));
    }
}

#[test]
fn a_child_of_another_user_that_may_not_be_killed_is_an_error() {
    if !geteuid().is_root() {
        let why = b"SKIPPED: only root can become another user\n";
        return std::io::stderr().write_all(why).unwrap();
    }
    let why = clean(|| {
        victim(|| {
            let mut child = process::spawn(|| -> () { park_indefinitely() }).unwrap();
            setuid(Uid::from_raw(65_534)).unwrap();
            told(child.kill()).0
        })
    });
    let why = why.unwrap();
    assert!(
        why.contains("EPERM") && why.contains("the same user"),
        "{why}"
    );
}

#[test]
fn a_child_whose_end_cannot_be_waited_for_is_killed_all_the_same() {
    let seen = clean(|| {
        [libc::SYS_waitid, libc::SYS_ppoll].map(|call| {
            victim(move || {
                let mut child = process::spawn(|| -> () { park_indefinitely() }).unwrap();
                forbid(call, libc::EPERM);
                let pid = child.id();
                let why = told(child.wait()).0;
                drop(child);
                (why, ends(pid))
            })
        })
    });
    for seen in seen {
        let (why, ended) = seen.unwrap();
        assert!(ended && why.contains("seccomp"), "{why}");
    }
}

#[test]
fn a_child_that_a_sandbox_keeps_from_its_beginnings_is_an_error_that_says_which_call() {
    let calls = clean(|| {
        let calls = [
            ("prctl", libc::SYS_prctl),
            ("memfd_create", libc::SYS_memfd_create),
            ("pidfd_open", libc::SYS_pidfd_open),
        ];
        calls.map(|(name, call)| {
            let why = victim(move || {
                forbid(call, libc::EPERM);
                let forked = told(process::run(|| 7)).0;
                let executed = told(process::in_fresh_process(|()| 7, ())).0;
                (forked, executed, childless())
            });
            (name.to_string(), why)
        })
    });
    for (call, seen) in calls {
        let (forked, executed, childless) = seen.unwrap();
        for why in [forked, executed] {
            assert!(why.contains(&format!("permit {call}")), "{call}: {why}");
        }
        assert!(childless, "{call}");
    }
}
