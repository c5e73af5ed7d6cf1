//! The two programs, started separately, share each backing that unrelated programs can share, and
//! leave nothing behind.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const SERVER: &str = env!("CARGO_BIN_EXE_server");
const CLIENT: &str = env!("CARGO_BIN_EXE_client");

/// Starts the server, and returns it once it is ready.
fn serve(place: &str) -> std::process::Child {
    let mut server = Command::new(SERVER)
        .arg(place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    server
}

fn ask(place: &str) -> (String, String) {
    let client = Command::new(CLIENT).arg(place).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(client.stdout), text(client.stderr))
}

fn share(place: &str) {
    let mut server = serve(place);
    assert_eq!(
        ask(place),
        ("100 jobs, sum 5050\n".into(), String::new()),
        "{place}"
    );
    assert!(server.wait().unwrap().success(), "{place}");
    // The name was removed with the region.
    let (said, error) = ask(place);
    assert!(said.is_empty(), "{place}: {said}");
    assert!(
        error.contains("ENOENT") || error.contains("refused"),
        "{place}: {error}"
    );
}

#[test]
fn a_posix_name() {
    let name = format!("/forkcheck-strangers-{}", std::process::id());
    share(&format!("posix:{name}"));
    assert!(!std::fs::exists(format!("/dev/shm{name}")).unwrap());
}

#[test]
fn a_system_v_key() {
    share(&format!("sysv:{}", 0x0f0c_0000 + std::process::id()));
}

#[test]
fn a_file() {
    let directory = tempfile::tempdir().unwrap();
    share(&format!("file:{}", directory.path().join("page").display()));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_memfd_over_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    share(&format!(
        "socket:{}",
        directory.path().join("socket").display()
    ));
}

#[test]
fn a_second_server_and_wrong_arguments_are_errors_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let place = format!("file:{}", directory.path().join("page").display());
    let mut server = serve(&place);
    let second = Command::new(SERVER).arg(&place).output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains("the name is taken"), "{error}");
    server.kill().unwrap();
    server.wait().unwrap();
    // The server was killed, so its name still exists, and a sweep knows that its creator is dead.
    assert!(std::fs::exists(directory.path().join("page")).unwrap());
    let removed = forkcheck::region::sweep_files(directory.path()).unwrap();
    assert_eq!(
        removed,
        [directory.path().join("page").display().to_string()]
    );
    let (_, error) = ask("nowhere");
    assert!(error.contains("say where"), "{error}");
}
