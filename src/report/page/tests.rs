//! The content of a page, and its behaviour in a browser.

use super::super::data::{Execution, NearMiss, Operation, Process, Reason, Word};
use super::*;
use crate::case::Form;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Browsers by the names of their programs; all accept the same options.
const BROWSERS: [&str; 4] = [
    "chromium",
    "google-chrome",
    "chromium-browser",
    "google-chrome-stable",
];

/// Two processes, each in one operation: a writer that is killed after its step, and a reader that takes the other steps.
pub(super) fn report(steps: usize) -> Report {
    let process = |name: &str, call: &str, result: Option<&str>| Process {
        name: name.into(),
        role: name.into(),
        operations: vec![Operation {
            call: call.into(),
            result: result.map(Into::into),
            invoked: 0,
            returned: result.map(|_| 9),
            killed: result.is_none(),
            is_of_prefix: false,
        }],
    };
    let step = |number: usize| {
        let access = match number {
            0 => Access::Store,
            1 => Access::Killed,
            _ => Access::Load,
        };
        let place = (file!(), 20 + (number % 50) as u32, 5);
        Step {
            word: (number != 1).then_some(number % 2),
            value: 7 + number as u64,
            now: (number == 0).then_some(7),
            ..Step::at(usize::from(number > 1), access, place)
        }
    };
    let word = |name: &str| Word {
        name: name.into(),
        offset: None,
        form: Form::Unsigned,
    };
    let mut report = Report {
        test: "rings::ring::kills".into(),
        suite: "rings::ring".into(),
        engine: "kills".into(),
        verdict: "finding",
        kind: Some("NOT LINEARIZABLE".into()),
        headline: "reader: Read returned 3, expected 7".into(),
        processes: vec![
            process("writer", "Write(7)", None),
            process("reader", "Read", Some("3")),
        ],
        steps: (0..steps).map(step).collect(),
        words: vec![word("tail"), word("head")],
        linearization: Some(Linearization {
            reason: Reason {
                longest: vec!["writer Write(7), which never returned".into()],
                state: "Register(7)".into(),
                blocked: vec!["reader Read -> 3 cannot come next".into()],
            },
            before: 0,
            longest: vec![(0, 0)],
            blocked: vec![(1, 0)],
        }),
        near_misses: vec![NearMiss {
            words: "without the kill".into(),
            step: Some(1),
            execution: None,
        }],
        ..Report::default()
    };
    report.excerpts = report.find_excerpts();
    report
}

/// Returns the data of a page as its script reads it: to the first end of a script.
pub(super) fn read_back(page: &str) -> Result<serde_json::Value, String> {
    let (_, data) = page
        .split_once("id=\"data\">")
        .ok_or("the page has no data")?;
    let (data, _) = data.split_once("</script").ok_or("the data have no end")?;
    if data.contains("<!--") {
        return Err("the data begin a comment".into());
    }
    serde_json::from_str(data).map_err(|error| error.to_string())
}

#[test]
fn no_text_of_a_report_ends_the_script_that_holds_it() {
    let hostile = "</script><script>alert(1)</script><!-- <script> &amp; <!--DATA--> \u{2028} \"";
    let mut report = report(4);
    report.processes[0].operations[0].call = hostile.into();
    report.headline = hostile.into();
    report.test = hostile.into();
    let page = report.html();
    let data = read_back(&page).unwrap();
    let part = &data["reports"][0];
    assert_eq!(part["headline"], hostile);
    assert_eq!(part["processes"][0]["operations"][0][0], hostile);
    assert_eq!(part["texts"][0], hostile);
    assert!(!page.contains("<script>alert"), "{page}");
    assert_eq!(page.matches("</script").count(), 2);
    // The twin: the same data without escapes.
    let plain = serde_json::to_string(part).unwrap();
    let broken = filled(&[
        ("<!--TITLE-->", ""),
        ("<!--TEXT-->", ""),
        ("<!--DATA-->", &plain),
    ]);
    assert!(read_back(&broken).is_err());
}

#[test]
fn a_page_has_the_rows_the_source_lines_and_the_attempt_of_its_report() {
    let page = report(4).html();
    assert!(page.starts_with("<!doctype html>"));
    assert!(page.contains("<title>NOT LINEARIZABLE  rings::ring::kills</title>"));
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let data = read_back(&page).unwrap();
    let part = &data["reports"][0];
    let kind = |row: &serde_json::Value| {
        let kind = row[0].as_u64().unwrap() as usize;
        part["kinds"][kind].as_str().unwrap().to_owned()
    };
    let kinds: Vec<String> = part["rows"].as_array().unwrap().iter().map(kind).collect();
    assert_eq!(
        kinds,
        ["call", "store", "killed", "call", "load", "load", "return"]
    );
    // The kill is the third row.
    assert_eq!(part["near_misses"][0][1], 2);
    assert_eq!(part["linearization"]["blocked"][0][0], 1);
    let excerpts = part["excerpts"].as_array().unwrap();
    let labels: Vec<_> = excerpts
        .iter()
        .map(|excerpt| (&excerpt[0], &excerpt[1]))
        .collect();
    assert_eq!(
        labels,
        [
            (&"writer is killed before this".into(), &2.into()),
            (&"reader: head.load -> 10".into(), &5.into())
        ]
    );
    assert_eq!(data["sources"][0][0], file!());
    let (first, line) = (16, include_str!("tests.rs").lines().nth(15).unwrap());
    assert_eq!(data["sources"][0][1][0], serde_json::json!([first, line]));
}

#[test]
fn a_page_that_cannot_be_written_is_reported_with_the_remedy_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let report = report(4).with_page(&file.join("page.html"));
    assert_eq!((report.verdict, &report.page), ("finding", &None));
    let error = report.no_page.as_deref().unwrap();
    assert!(error.contains("cannot make the directory"), "{error}");
    assert!(error.contains("name a directory"), "{error}");
    let text = report.to_string();
    assert!(text.starts_with("NOT LINEARIZABLE"), "{text}");
    assert!(
        text.contains(&format!("\n no page:     {error}\n")),
        "{text}"
    );
    // A directory with the name of the page.
    let taken = directory.path().join("taken.html");
    std::fs::create_dir(&taken).unwrap();
    let error = report.write_html(&taken).unwrap_err().to_string();
    assert!(error.contains("cannot write the page"), "{error}");
    let full = report.write_html(Path::new("/dev/full/page.html"));
    assert!(full.is_err());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn tests_that_write_one_page_at_the_same_time_each_write_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    let report = report(400);
    let page = report.html();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    report.write_html(&file).unwrap();
                    assert!(std::fs::read_to_string(&file).unwrap() == page);
                }
            });
        }
    });
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_page_is_named_after_its_suite_and_engine() {
    let mut report = report(4);
    let page = |report: &Report| report.page_in(Path::new("pages"));
    assert_eq!(page(&report), Path::new("pages/rings-ring-kills.html"));
    report.suite = "rings::a/b: ../c".into();
    assert_eq!(page(&report), Path::new("pages/rings-a_b__.._c-kills.html"));
}

/// Runs a browser on a page, with a script at its end, and returns the script's output; `None` if
/// there is no browser.
pub(super) fn in_browser(page: &str, script: &str) -> Option<String> {
    let works = |name: &&str| {
        let asked = Command::new(name)
            .arg("--version")
            .stderr(Stdio::null())
            .output();
        asked.is_ok_and(|Output { status, stdout, .. }| {
            status.success() && String::from_utf8_lossy(&stdout).contains("Chrom")
        })
    };
    let Some(browser) = BROWSERS.into_iter().find(works) else {
        crate::report::loudly(&format!(
            "not run  a page in a browser: there is none of {} here",
            BROWSERS.join(", ")
        ));
        return None;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    let script = format!(
        "<script>const said = document.createElement('pre'); said.id = 'said';\n\
         try {{ said.textContent = (() => {{ {script} }})(); }} catch (error) {{ said.textContent = 'failed: ' + error; }}\n\
         document.getElementById('data').remove();\n\
         document.body.append(said);</script></body>"
    );
    std::fs::write(&file, page.replace("</body>", &script)).unwrap();
    // The watchdog.
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", "120", browser])
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--window-size=1280,800", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", directory.path().display()))
        .arg(format!("file://{}", file.display()));
    let output = command.output().unwrap();
    let dumped = String::from_utf8_lossy(&output.stdout);
    let said = dumped
        .split_once("id=\"said\">")
        .and_then(|(_, said)| said.split_once("</pre>"));
    let Some((said, _)) = said else {
        panic!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    };
    Some(said.replace("&gt;", ">").replace("&lt;", "<"))
}

/// The text that the page shows for its selected row.
pub(super) const SHOWN: &str = "
    const press = key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    const at = () => document.querySelector('tr[aria-selected=true]').id + '|' + document.getElementById('at').textContent;
    const value = word => document.querySelectorAll('#words tr')[word].children[1].textContent;
    const lines = [];";

#[test]
fn keys_and_clicks_move_through_the_rows_of_a_page_and_show_all_words() {
    let script = format!(
        "{SHOWN}
        lines.push(at());
        press('Home'); lines.push(at() + ' ' + value(0));
        press('ArrowDown'); lines.push(at() + ' ' + value(0) + ' ' + document.querySelector('#words tr').className);
        press('ArrowRight'); lines.push(at() + ' ' + document.getElementById('step-text').textContent);
        press('ArrowLeft'); press('k'); lines.push(at());
        press('s'); lines.push(at());
        press('End'); press('ArrowDown'); lines.push(at());
        document.getElementById('row-1').children[1].click(); lines.push(at());
        document.getElementById('next').click(); lines.push(at());
        [...document.querySelectorAll('.cards button')].pop().click(); lines.push(at());
        lines.push(document.getElementById('say').textContent);
        lines.push(document.querySelector('.source .here').textContent.includes('/// Browsers') || document.querySelector('.source .here').textContent);
        lines.push(document.querySelectorAll('#head th[scope=col]').length);
        lines.push(document.getElementById('steps').getAttribute('aria-activedescendant'));
        return lines.join('\\n');"
    );
    let page = report(4).html();
    let Some(said) = in_browser(&page, &script) else {
        return;
    };
    let line = include_str!("tests.rs").lines().nth(20).unwrap();
    let expected = format!(
        "row-5|row 6 of 7\nrow-0|row 1 of 7 not known\nrow-1|row 2 of 7 7 changed\nrow-2|row 3 of 7 ✕ SIGKILL\nrow-2|row 3 of 7\n\
         row-3|row 4 of 7\nrow-6|row 7 of 7\nrow-1|row 2 of 7\nrow-2|row 3 of 7\nrow-2|row 3 of 7\nRow 3, writer, x SIGKILL\n\
         21{line}\n5\nrow-2"
    );
    assert_eq!(said, expected);
    // The twin: a page that handles no keys.
    let deaf = page.replace("'keydown'", "'no such event'");
    assert_ne!(in_browser(&deaf, &script).unwrap(), expected);
}

/// The report, with the execution of its near miss: the writer is not killed, and returns.
fn compared(steps: usize) -> Report {
    let mut report = report(steps);
    let mut passing = report.steps.clone();
    passing[1].access = Access::Store;
    passing[1].word = Some(0);
    let mut operations: Vec<Vec<Operation>> = Vec::new();
    for process in &report.processes {
        operations.push(process.operations.clone());
    }
    (operations[0][0].result, operations[0][0].killed) = (Some("Written".into()), false);
    report.near_misses.push(NearMiss {
        words: "killed one step later".into(),
        step: Some(1),
        execution: None,
    });
    report.near_misses[0].execution = Some(Execution {
        operations,
        steps: passing,
        words: report.words.clone(),
        differs: Some(1),
    });
    report
}

#[test]
fn a_near_miss_stands_beside_the_failing_execution_with_the_row_that_differs_marked_in_both() {
    let script = format!(
        "{SHOWN}
        const passing = document.getElementById('passing'), near = document.getElementById('near');
        const marks = () => [...document.querySelectorAll('tr.differs')].filter(row => row.offsetParent).map(row => row.id).join(' ');
        const state = () => `${{passing.hidden}} ${{marks()}} ${{[...near.querySelectorAll('button')].map(b => b.getAttribute('aria-pressed'))}}`;
        lines.push(state());
        near.querySelector('button').click(); lines.push(state(), at());
        lines.push(document.getElementById('passing-2').textContent, document.getElementById('passing-3').textContent);
        const boxes = ['scroller', 'passing-scroller'].map(id => document.getElementById(id).getBoundingClientRect());
        lines.push(boxes[0].right <= boxes[1].left && Math.abs(boxes[0].width - boxes[1].width) < 30);
        near.querySelector('button').click(); lines.push(state());
        document.getElementById('steps').focus();
        press('n'); lines.push(state()); press('n'); lines.push(state());
        press('n'); press('Escape'); lines.push(state());
        lines.push(document.querySelectorAll('#near button').length);
        return lines.join('\\n');"
    );
    let page = compared(4).html();
    let Some(said) = in_browser(&page, &script) else {
        return;
    };
    let (none, one) = ("true  false", "false row-2 passing-2 true");
    let expected = format!(
        "{none}\n{one}\nrow-2|row 3 of 7\n3● tail.store 8:21\n4→ Written\ntrue\n{none}\n{one}\n{none}\n{none}\n1"
    );
    assert_eq!(said, expected);
    // The twins: a page that marks nothing, and one whose rows stand one below the other.
    for (line, broken) in [
        ("tr.classList.add('differs')", "0"),
        ("'compared', !!other", "'compared', false"),
    ] {
        let broken = page.replace(line, broken);
        assert_ne!(broken, page, "{line}");
        assert_ne!(in_browser(&broken, &script).unwrap(), expected, "{line}");
    }
}

#[test]
fn a_page_of_100_000_steps_opens_and_holds_few_rows_at_a_time() {
    let script = format!(
        "{SHOWN}
        const rows = () => document.querySelectorAll('#body tr').length < 200;
        lines.push(rows());
        press('Home'); lines.push(at(), rows());
        press('End'); lines.push(at(), rows());
        for (let n = 0; n < 100; n++) press('ArrowUp');
        lines.push(at(), rows());
        document.getElementById('slider').value = 50000;
        document.getElementById('slider').dispatchEvent(new Event('input'));
        lines.push(at(), rows(), document.getElementById('row-50000').textContent.includes('load'));
        press('n'); lines.push(document.querySelectorAll('#passing-body tr').length < 200);
        document.getElementById('passing-scroller').scrollTop = 26 * 50000;
        document.getElementById('passing-scroller').dispatchEvent(new Event('scroll'));
        lines.push(!!document.getElementById('passing-50000'));
        return lines.join('\\n');"
    );
    let page = compared(100_000).html();
    let Some(said) = in_browser(&page, &script) else {
        return;
    };
    let expected = "true\nrow-0|row 1 of 100003\ntrue\nrow-100002|row 100003 of 100003\ntrue\nrow-99902|row 99903 of 100003\ntrue\n\
        row-50000|row 50001 of 100003\ntrue\ntrue\ntrue\ntrue";
    assert_eq!(said, expected);
    // The twin: a page that builds all rows at once.
    let page = report(2_000).html().replace("SPARE = 12", "SPARE = 1e9");
    let script = "return document.querySelectorAll('#body tr').length < 200;";
    assert_eq!(in_browser(&page, script).unwrap(), "false");
}
