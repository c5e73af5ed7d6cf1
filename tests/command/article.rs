//! The article's first program does what the article says.

use std::path::Path;
use std::process::Command;

#[test]
fn the_article_prints_its_two_lines_and_nothing_else() {
    // This test is TARGET/PROFILE/deps/article-HASH.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).map(Path::to_path_buf).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["run", "--quiet", "--example", "article", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "Child setting anInt to 1\nanInt is 1 in parent\n",
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(0), "{stderr}");
}
