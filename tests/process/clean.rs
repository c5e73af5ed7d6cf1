//! Fresh processes: a job returns its value, or how it ended and its last output.

use crate::told;
use forkcheck::process::{self, Exit};

#[test]
fn a_job_takes_and_returns_large_values() {
    let input = "x".repeat(20_000_000);
    let output = process::in_fresh_process(|input: String| input + "!", input.clone()).unwrap();
    assert!(output.len() == 20_000_001 && output.starts_with(&input) && output.ends_with('!'));
}

#[test]
fn a_job_is_any_function_and_each_closure_is_its_own() {
    fn generic<T: std::ops::Add<Output = T>>((a, b): (T, T)) -> T {
        a + b
    }
    assert_eq!(process::in_fresh_process(generic::<u8>, (1, 2)).unwrap(), 3);
    assert_eq!(
        process::in_fresh_process(generic::<f64>, (0.5, 0.25)).unwrap(),
        0.75
    );
    // Closures of one function have one name; their places differ.
    let closures = [
        process::in_fresh_process(|n: u32| n + 1, 1),
        process::in_fresh_process(|n: u32| n + 2, 1),
    ];
    assert_eq!(closures.map(Result::unwrap), [2, 3]);
}

#[test]
fn a_job_that_does_not_return_is_an_error_with_its_exit_and_what_it_printed() {
    let (text, exit) = told(process::in_fresh_process(
        |()| -> () { std::process::exit(3) },
        (),
    ));
    assert_eq!(exit, Some(Exit::Code(3)));
    assert!(text.contains("it printed nothing"), "{text}");

    let aborts = |words: String| -> () {
        println!("{words}");
        std::process::abort()
    };
    let (text, exit) = told(process::in_fresh_process(aborts, "last words".into()));
    assert_eq!(exit, Some(Exit::Signal(6)));
    assert!(text.ends_with("last words\n"), "{text}");

    let (text, exit) = told(process::in_fresh_process(
        |n: u32| -> () { panic!("clean panic {n}") },
        7,
    ));
    let Some(Exit::Panic(panic)) = exit else {
        panic!("{exit:?}")
    };
    assert!(
        panic.message == "clean panic 7" && panic.location.starts_with(file!()),
        "{panic:?}"
    );
    assert!(text.contains("clean panic 7"), "{text}");
}

#[test]
fn a_job_that_prints_a_lot_does_not_hang_and_its_last_words_are_kept() {
    // It prints before it has read its input, most of which does not fit the socket.
    let (text, exit) = told(process::in_fresh_process(
        |input: String| -> () {
            process::run(|| (0..5_000).for_each(|_| println!("{}", "c".repeat(1023)))).unwrap();
            for _ in 0..5_000 {
                eprintln!("{}", "z".repeat(1023));
            }
            println!("{} bytes of input", input.len());
            std::process::exit(4)
        },
        "x".repeat(10_000_000),
    ));
    assert_eq!(exit, Some(Exit::Code(4)));
    assert!(
        text.ends_with("zzz\n10000000 bytes of input\n"),
        "{}",
        &text[..200]
    );
    assert!(
        (16_384..17_000).contains(&text.len()),
        "{} bytes",
        text.len()
    );
}

#[test]
fn a_clean_process_has_one_thread_and_none_of_what_started_it() {
    let (threads, variables, input) = process::in_fresh_process(
        |()| {
            let ours = |(name, _): &(String, String)| name.starts_with("FORKCHECK_ZYGOTE");
            let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
            let input = std::fs::read_link("/proc/self/fd/0").unwrap();
            // A program that the job starts would inherit these.
            let inherited = std::process::Command::new("ls")
                .arg("-l")
                .arg("/proc/self/fd")
                .output()
                .unwrap();
            let inherited = String::from_utf8(inherited.stdout).unwrap();
            assert!(!inherited.contains("memfd:forkcheck"), "{inherited}");
            assert!(inherited.contains("/dev/null"), "{inherited}");
            // The remaining one marks the processes of this session.
            let left: Vec<String> = std::env::vars()
                .filter(ours)
                .map(|(name, _)| name)
                .collect();
            (threads, left.join(", "), input)
        },
        (),
    )
    .unwrap();
    assert_eq!(
        (threads, &*variables, input.to_str().unwrap()),
        (1, "FORKCHECK_ZYGOTE_SESSION", "/dev/null")
    );
}

#[test]
fn clean_processes_nest() {
    let value = process::in_fresh_process(
        |n: u32| {
            let inner = process::in_fresh_process(
                |n: u32| (process::run(|| n + 1).unwrap(), std::process::id()),
                n,
            )
            .unwrap();
            let forked =
                process::run(|| process::in_fresh_process(|n: u32| n + 2, n).unwrap()).unwrap();
            (inner, forked, std::process::id())
        },
        40,
    );
    let ((inner, deepest), forked, middle) = value.unwrap();
    assert_eq!((inner, forked), (41, 42));
    assert!(deepest != middle && middle != std::process::id());
}

#[test]
fn what_is_printed_around_a_fork_comes_out_once_and_in_order() {
    let (text, _) = told(process::in_fresh_process(
        |()| -> () {
            print!("before,");
            process::run(|| print!("child,")).unwrap();
            println!("after");
            std::process::exit(4)
        },
        (),
    ));
    assert!(text.ends_with("printed:\nbefore,child,after\n"), "{text}");
}
