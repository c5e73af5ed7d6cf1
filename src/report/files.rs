//! The files of a report: its page and its trace, each written as a whole.

use super::data::Report;
use crate::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of drafts of files that this process began.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

impl Report {
    /// Writes the report as a [page](Report::html) to a file, whose directory is made if it does
    /// not exist. A reader of the file finds the earlier page or all of this one.
    ///
    /// ```
    /// # let directory = std::env::temp_dir().join(format!("forkcheck-page-{}", std::process::id()));
    /// let file = directory.join("report.html");
    /// forkcheck::Report::default().write_html(&file)?;
    /// assert!(std::fs::read_to_string(&file).unwrap().contains("<title>"));
    /// # std::fs::remove_dir_all(directory).unwrap();
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the directory cannot be made, or the file cannot be written.
    pub fn write_html(&self, file: &Path) -> Result<(), Error> {
        write_whole(file, "the page", &self.html())
    }

    /// Writes the page, and notes its file in the report, or the reason why there is none.
    pub(crate) fn with_page(mut self, file: &Path) -> Self {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        match self.write_html(&file) {
            Ok(()) => self.page = Some(file.display().to_string()),
            Err(error) => self.no_page = Some(error.to_string()),
        }
        self
    }

    /// Returns the name of the file of its page in a directory: `crate-module-suite-engine.html`.
    pub(crate) fn page_in(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.html", self.file_name()))
    }

    /// Returns the name of its files without the extension: `crate-module-suite-engine`.
    pub(super) fn file_name(&self) -> String {
        let suite = self.suite.replace("::", "-");
        let plain = |c: char| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
            _ => '_',
        };
        let name: String = suite.chars().map(plain).collect();
        format!("{name}-{}", self.engine)
    }

    /// Writes the [trace](Report::trace) to a file, whose directory is made if it does not exist. A reader of the file finds
    /// the earlier trace or all of this one.
    ///
    /// ```
    /// # let directory = std::env::temp_dir().join(format!("forkcheck-trace-{}", std::process::id()));
    /// let file = directory.join("report.trace.json");
    /// forkcheck::Report::default().write_trace(&file)?;
    /// assert!(std::fs::read_to_string(&file).unwrap().contains("traceEvents"));
    /// # std::fs::remove_dir_all(directory).unwrap();
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the directory cannot be made, or the file cannot be written.
    pub fn write_trace(&self, file: &Path) -> Result<(), Error> {
        write_whole(file, "the trace", &self.trace())
    }

    /// Writes the trace, and notes its file in the report, or the reason why there is none.
    pub(crate) fn with_trace(mut self, file: &Path) -> Self {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        match self.write_trace(&file) {
            Ok(()) => self.trace_file = Some(file.display().to_string()),
            Err(error) => self.no_trace = Some(error.to_string()),
        }
        self
    }

    /// Returns the name of the file of its trace in a directory: `crate-module-suite-engine.trace.json`.
    pub(crate) fn trace_in(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.trace.json", self.file_name()))
    }
}

/// Writes the text of this, such as `the page`, to a file, whose directory is made if it does not exist. A reader of the file finds
/// the earlier text or all of this one.
///
/// # Errors
/// Returns an error if the directory cannot be made, or the file cannot be written.
fn write_whole(file: &Path, what: &str, text: &str) -> Result<(), Error> {
    let directory = match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let failed = |error: std::io::Error, what: &str, path: &Path| {
        let remedy = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "make room there, or name a directory on another file system"
            }
            _ => "name a directory that can be made and written",
        };
        Error::system(format!("cannot {what} {}", path.display()), error, remedy)
    };
    std::fs::create_dir_all(directory)
        .map_err(|error| failed(error, "make the directory", directory))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // Several tests may write the page of one suite at the same time.
    let (process, draft) = (std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed));
    let draft = directory.join(format!(".{name}.{process}.{draft}"));
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, file));
    written.map_err(|error| {
        // The file may not exist.
        let _ = std::fs::remove_file(&draft);
        failed(error, &format!("write {what}"), file)
    })
}
