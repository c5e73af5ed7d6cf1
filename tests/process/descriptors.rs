//! Bodies that close descriptors which they did not open, and bodies that write over their own record.

use crate::ends::{ends, park_indefinitely};
use crate::told;
use forkcheck::process::{self, Exit};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::close;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const PRECIOUS: &str = "bytes of a file that is the test's alone";

/// Returns every descriptor of this process from 3 on, with the file that it refers to.
fn descriptors() -> Vec<(i32, String)> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    let all = all
        .filter_map(|entry| number(entry.unwrap()))
        .filter(|fd| *fd > 2);
    let link = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}"));
    all.filter_map(|fd| Some((fd, link(fd).ok()?.display().to_string())))
        .collect()
}

/// Closes all descriptors, as a daemon does, and opens the file under each of their numbers.
fn take_over_descriptors(path: &Path) {
    let all = descriptors();
    let highest = all.iter().map(|(fd, _)| *fd).max().unwrap();
    for (fd, _) in all {
        let _ = close(fd);
    }
    let mut last = 0;
    while last <= highest {
        last =
            std::os::fd::IntoRawFd::into_raw_fd(open(path, OFlag::O_RDWR, Mode::empty()).unwrap());
    }
}

#[test]
fn what_a_child_leaves_behind_goes_to_no_file_that_has_its_descriptor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    let told_of = process::in_fresh_process(
        |path: String| {
            let path = Path::new(&path);
            let ends: [fn(); 2] = [|| (), || panic!("a panic is written down at once")];
            ends.map(|end| {
                std::fs::write(path, PRECIOUS).unwrap();
                let (why, _) = told(process::run(|| {
                    take_over_descriptors(path);
                    end();
                    7
                }));
                (why, std::fs::read_to_string(path).unwrap_or_default())
            })
        },
        path.display().to_string(),
    )
    .unwrap();
    let [(returned, first), (panicked, second)] = told_of;
    assert_eq!([first, second], [PRECIOUS; 2]);
    assert!(
        returned.contains("leave descriptors that it did not open"),
        "{returned}"
    );
    assert!(panicked.contains("exited with code 101"), "{panicked}");
}

#[test]
fn what_a_clean_process_answers_goes_to_no_file_that_has_its_descriptor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, PRECIOUS).unwrap();
    let (why, _) = told(process::in_fresh_process(
        |path: String| {
            take_over_descriptors(Path::new(&path));
            7
        },
        path.display().to_string(),
    ));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        PRECIOUS,
        "{why}"
    );
    assert!(
        why.contains("leave descriptors that it did not open"),
        "{why}"
    );
}

#[test]
fn a_child_that_claims_more_than_it_left_is_an_error_and_takes_no_memory() {
    let told_of = process::in_fresh_process(
        |()| {
            [1 << 40, 1 << 62].map(|claimed: u64| {
                told(process::run(|| -> u8 {
                    let all = descriptors();
                    let (fd, _) = all
                        .iter()
                        .find(|(_, what)| what.contains("memfd:forkcheck"))
                        .unwrap();
                    let record = File::options()
                        .write(true)
                        .open(format!("/proc/self/fd/{fd}"))
                        .unwrap();
                    // The file is as long as the header claims, and empty.
                    record.set_len(claimed + 16).unwrap();
                    let header = [1, claimed].map(u64::to_le_bytes).concat();
                    record.write_all_at(&header, 0).unwrap();
                    std::process::exit(0)
                }))
                .0
            })
        },
        (),
    )
    .unwrap();
    for why in told_of {
        assert!(why.contains("exited with code 0"), "{why}");
    }
}

#[test]
fn a_child_is_killed_although_the_descriptor_that_it_is_waited_by_was_closed() {
    let seen = process::in_fresh_process(
        |()| {
            [false, true].map(|asked| {
                let mut child = process::spawn(|| -> () { park_indefinitely() }).unwrap();
                let pid = child.id();
                for (fd, what) in descriptors() {
                    if what.contains("pidfd") {
                        close(fd).unwrap();
                    }
                }
                let file = File::open("/dev/null").unwrap();
                let waited = told(child.wait()).0;
                let killed = asked.then(|| child.kill().is_ok_and(|exit| exit == Exit::Signal(9)));
                drop(child);
                // The handle does not own this file, which is still open.
                let open = file.metadata().is_ok();
                (waited, killed, ends(pid), open)
            })
        },
        (),
    )
    .unwrap();
    for (waited, killed, ended, open) in seen {
        assert!(
            waited.contains("descriptor of forkcheck's was closed"),
            "{waited}"
        );
        assert!(
            killed != Some(false) && ended && open,
            "{killed:?} {ended} {open}"
        );
    }
}
