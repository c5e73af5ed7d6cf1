//! Processes of a session that execute programs, start others and end while they are searched for.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A shell with a mark, told what to do line by line.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    entry: String,
}

impl Shell {
    fn start(mark: &str) -> Self {
        let mark = format!("{}-{mark}", std::process::id());
        let mut command = Command::new("sh");
        command
            .env(SESSION, &mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            input,
            output: BufReader::new(output),
            entry: format!("{SESSION}={mark}"),
        }
    }

    fn shown(&self) -> String {
        self.child.id().to_string()
    }

    /// Lets it run a command that prints a line, and returns the line.
    fn tell(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_environment_that_went_while_it_was_read_is_in_doubt_and_not_another_one() {
    let mut shell = Shell::start("went");
    let of = |shell: &Shell| Environment::of(&shell.shown(), &shell.entry);
    assert_eq!(shell.tell("echo ready"), "ready");
    assert_eq!(of(&shell), Environment::Marked);
    let other = Environment::of(&shell.shown(), "FORKCHECK_ZYGOTE_SESSION=");
    assert_eq!(other, Environment::Other);
    let path = format!("/proc/{}/environ", shell.shown());
    let open = || File::open(&path).unwrap();
    let (unread, mut begun) = (open(), open());
    begun.read_exact(&mut [0; 7]).unwrap();
    assert_eq!(
        shell.tell("exec sh -c 'echo executed; exec sh'"),
        "executed"
    );
    for file in [unread, begun] {
        let seen = Environment::read(file, &shell.shown(), &shell.entry);
        assert_eq!(seen, Environment::InDoubt);
    }
    assert_eq!(shell.tell("echo ready"), "ready");
    assert_eq!(of(&shell), Environment::Marked);
    assert_eq!(
        shell.tell("exec env -i sh -c 'echo none; exec env -i sh'"),
        "none"
    );
    assert_eq!(shell.tell("echo ready"), "ready");
    let file = open();
    let seen = Environment::read(file, &shell.shown(), &shell.entry);
    assert_eq!(seen, Environment::Other);
    let file = open();
    shell.child.kill().unwrap();
    shell.child.wait().unwrap();
    let seen = Environment::read(file, &shell.shown(), &shell.entry);
    assert_eq!(seen, Environment::Ended);
    assert_eq!(of(&shell), Environment::Ended);
}

/// The kernel shows a new address space before the environment in it.
#[test]
fn a_process_without_an_environment_is_told_from_one_that_executes_a_program() {
    let stat = |size: u64, start: u64, end: u64| {
        let zeros = |count| ["0"].repeat(count).join(" ");
        let (until_size, until_start) = (zeros(19), zeros(26));
        format!("17925 (a (b) c) R {until_size} {size} {until_start} {start} {end} 0\n")
    };
    for (size, start, end, is) in [
        (0, 0, 0, Environment::Ended),
        (180_224, 0, 0, Environment::InDoubt),
        (180_224, 7, 0, Environment::InDoubt),
        (180_224, 7, 9, Environment::InDoubt),
        (180_224, 9, 9, Environment::Other),
    ] {
        assert_eq!(
            Environment::unread(&stat(size, start, end)),
            is,
            "{size} {start} {end}"
        );
    }
    assert_eq!(Environment::unread(""), Environment::Ended);
}

#[test]
fn a_process_that_a_listed_one_started_before_it_ended_is_found_by_the_next_look() {
    let mut shell = Shell::start("daemon");
    let entry = shell.entry.clone();
    let mut daemon = None;
    let list = || {
        let listed: Vec<_> = all().collect();
        if daemon.is_none() {
            let pid = shell.tell("sleep 600 >/dev/null 2>&1 & echo $!");
            writeln!(shell.input, "exit").unwrap();
            shell.child.wait().unwrap();
            daemon = Some(pid);
        }
        listed.into_iter()
    };
    assert_eq!(end_marked(&entry, list), []);
    let daemon = daemon.unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{daemon}/stat"));
    let has_ended = stat.map_or(true, |stat| stat.contains(") Z "));
    if !has_ended {
        let _ = kill(Pid::from_raw(daemon.parse().unwrap()), Signal::SIGKILL);
    }
    assert!(has_ended, "{daemon}");
}
