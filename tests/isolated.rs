//! Tests that may abort, fault or hang, each in a process of its own by rusty-fork. The harness
//! around them is unharmed; that is asserted from outside, by the signal or the timeout that ended
//! the child.
//!
//! rusty-fork runs this test binary again with the test's name. It is not fork(2): no region is
//! inherited, and the body runs beside libtest's main thread. This file adds two things that
//! rusty-fork lacks:
//! - A child that ran nothing (its name is unknown to libtest, or a flag was swallowed on the way)
//!   exits 0 as well. So a body proves that it ran by connecting to a socket of its parent: a child
//!   without that proof failed.
//! - A timeout kills the child and not the processes that it started. So a child has a process
//!   group, which is killed.
#![allow(unsafe_code, reason = "a jump into memory that must not be executable")]

use forkcheck::Region;
use forkcheck::memory::{Hardware, Memory};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rusty_fork::ChildWrapper;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The variable with the name of the socket that a body connects to.
const PROOF: &str = "FORKCHECK_ISOLATED_PROOF";
/// The watchdog's time, longer than any test here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A child as its parent sees it.
struct Isolated<'a> {
    child: &'a mut ChildWrapper,
    proof: &'a UnixListener,
}

impl Isolated<'_> {
    /// Returns what the body sent as a proof that it ran; `None` if it sent nothing in time.
    fn proof(&self, timeout: Duration) -> Option<String> {
        let timeout = PollTimeout::try_from(timeout).unwrap();
        let mut waiting = [PollFd::new(self.proof.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, timeout).unwrap() == 0 {
            return None;
        }
        let mut sent = String::new();
        self.proof
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut sent)
            .unwrap();
        Some(sent)
    }

    /// Waits for the child's end; returns the exit code or the signal, and what it sent.
    fn end(&mut self) -> (Option<i32>, Option<i32>, Option<String>) {
        let status = self
            .child
            .wait_timeout(WATCHDOG)
            .unwrap()
            .expect("it ends by itself");
        (
            status.code(),
            status.unix_signal(),
            self.proof(Duration::ZERO),
        )
    }

    fn kill_group(&self) {
        killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL).unwrap();
    }
}

/// Runs `body` in a child, where libtest looks for the test `name`, and `parent` in this process.
fn isolate<R>(name: &str, body: fn(), parent: impl FnOnce(&mut Isolated<'_>) -> R) -> R {
    // A name of the abstract kind, unix(7): no file is left behind.
    let socket = format!("forkcheck-isolated-{}-{name}", std::process::id());
    let address = SocketAddr::from_abstract_name(&socket).unwrap();
    let proof = UnixListener::bind_addr(&address).unwrap();
    let prepare = |command: &mut Command| {
        command.env(PROOF, &socket).process_group(0);
    };
    let parent = |child: &mut ChildWrapper, _: &mut std::fs::File| {
        parent(&mut Isolated {
            child,
            proof: &proof,
        })
    };
    rusty_fork::fork(name, name, prepare, parent, body).unwrap()
}

/// Called by a body: proves that it runs.
fn prove(word: &str) {
    let name = std::env::var(PROOF).unwrap();
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let mut socket = UnixStream::connect_addr(&address).unwrap();
    socket.write_all(word.as_bytes()).unwrap();
}

/// Returns whether a process runs: it exists and is no zombie.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

/// The twins differ only in the name. Both children exit 0; only one of them ran its body.
#[test]
fn exit_code_0_of_a_child_that_never_ran_its_body_is_no_pass() {
    let body = || prove("ran");
    // First the known name: its child ends in here, and the other must not be started by it.
    let known = "exit_code_0_of_a_child_that_never_ran_its_body_is_no_pass";
    let ran = isolate(known, body, |isolated| isolated.end());
    let did_not = isolate("a_test_that_is_not_there", body, |isolated| isolated.end());
    assert_eq!(ran, (Some(0), None, Some("ran".into())));
    assert_eq!(did_not, (Some(0), None, None));
}

#[test]
fn an_abort_ends_its_child_alone() {
    let body = || {
        prove("before the abort");
        std::process::abort()
    };
    let end = isolate("an_abort_ends_its_child_alone", body, |isolated| {
        isolated.end()
    });
    assert_eq!(
        end,
        (None, Some(libc::SIGABRT), Some("before the abort".into()))
    );
}

/// The code is a return: if the region were executable, the child would exit 0.
#[test]
fn executing_a_region_is_a_fault_and_ends_its_child_alone() {
    let body = || {
        let region = Region::anonymous(4).unwrap();
        let code: &AtomicU32 = region.get(0).unwrap();
        let ret = if cfg!(target_arch = "aarch64") {
            0xd65f_03c0
        } else {
            0xc3
        };
        code.store(ret, Relaxed);
        // SAFETY: not sound, and that is the test: the processor must refuse the jump.
        let function: extern "C" fn() = unsafe { std::mem::transmute(code.as_ptr()) };
        prove("before the jump");
        function();
    };
    let end = isolate(
        "executing_a_region_is_a_fault_and_ends_its_child_alone",
        body,
        |isolated| isolated.end(),
    );
    assert_eq!(
        end,
        (None, Some(libc::SIGSEGV), Some("before the jump".into()))
    );
}

#[test]
fn a_wait_that_no_process_ends_is_cut_off_by_a_timeout() {
    let body = || {
        let region = Region::anonymous(4).unwrap();
        prove("before the wait");
        loop {
            Hardware::wait(region.get(0).unwrap(), 0);
        }
    };
    isolate(
        "a_wait_that_no_process_ends_is_cut_off_by_a_timeout",
        body,
        |isolated| {
            assert_eq!(isolated.proof(WATCHDOG).as_deref(), Some("before the wait"));
            assert!(
                isolated
                    .child
                    .wait_timeout(Duration::from_millis(10))
                    .unwrap()
                    .is_none()
            );
            isolated.kill_group();
            assert_eq!(isolated.end(), (None, Some(libc::SIGKILL), None));
        },
    );
}

#[test]
fn what_a_child_started_outlives_rusty_forks_kill_and_not_that_of_its_group() {
    let body = || {
        let mut grandchild = Command::new("sleep").arg("600").spawn().unwrap();
        prove(&grandchild.id().to_string());
        grandchild.wait().unwrap();
    };
    let name = "what_a_child_started_outlives_rusty_forks_kill_and_not_that_of_its_group";
    isolate(name, body, |isolated| {
        let grandchild = isolated.proof(WATCHDOG).expect("the body runs");
        isolated.child.kill().unwrap();
        assert_eq!(isolated.end(), (None, Some(libc::SIGKILL), None));
        let survived = runs(&grandchild);
        isolated.kill_group();
        let start = Instant::now();
        while runs(&grandchild) && start.elapsed() < WATCHDOG {
            std::thread::yield_now();
        }
        assert_eq!((survived, runs(&grandchild)), (true, false));
    });
}
