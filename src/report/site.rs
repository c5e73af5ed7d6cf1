//! The location of a suite, from which a report makes the command that runs it again.

/// A location in a user's package. Made by [`site!`](crate::site).
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// `CARGO_PKG_NAME`.
    pub package: &'static str,
    /// `CARGO_MANIFEST_DIR`.
    pub manifest_directory: &'static str,
    /// `module_path!()`: the crate first.
    pub module: &'static str,
    /// `file!()`.
    pub file: &'static str,
    /// Whether it is compiled into one of the package's integration tests or benches.
    pub integration: bool,
    /// The name of the binary it is compiled into, if it is one of the package's.
    pub binary: Option<&'static str>,
}

/// Returns the location at which it is called: package, module, file, and the target of the package
/// that it is compiled into.
///
/// ```
/// use forkcheck::{Suite, spec::Counter};
/// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter");
/// assert!(suite.id().ends_with("::counter"));
/// ```
#[macro_export]
macro_rules! site {
    () => {
        $crate::report::Site {
            package: env!("CARGO_PKG_NAME"),
            manifest_directory: env!("CARGO_MANIFEST_DIR"),
            module: module_path!(),
            file: file!(),
            integration: option_env!("CARGO_TARGET_TMPDIR").is_some(),
            binary: option_env!("CARGO_BIN_NAME"),
        }
    };
}

/// The cargo command of this program: code that was built with instrumentation is built with it
/// again.
const CARGO: &str = if cfg!(forkcheck_instrumented) {
    "cargo forkcheck"
} else {
    "cargo"
};

/// Returns the command that runs a suite of which only the name is known, in its package.
pub(crate) fn command_of_suite(suite: &str, engine: &str) -> String {
    let test = suite.split_once("::").map_or(suite, |(_, test)| test);
    format!("{CARGO} test {test}::{engine} -- --exact")
}

impl Site {
    /// Returns the command that runs one test again, with the runner of this one. `test` is its
    /// path, the crate first.
    pub(crate) fn command(&self, test: &str) -> String {
        self.command_of(test, std::env::var_os("NEXTEST").is_some())
    }

    fn command_of(&self, test: &str, nextest: bool) -> String {
        let test = test.split_once("::").map_or(test, |(_, test)| test);
        let (package, target) = (self.package, self.target());
        if nextest {
            format!("{CARGO} nextest run -p {package} {target} -E 'test(={test})'")
        } else {
            format!("{CARGO} test -p {package} {target} {test} -- --exact")
        }
    }

    /// Returns the id of its test binary, as nextest names it: `package` for the library, `package::ring` for `tests/ring.rs`.
    pub(crate) fn binary_id(&self) -> String {
        let package = self.package;
        match self.binary {
            _ if self.integration => format!("{package}::{}", self.test_target()),
            Some(binary) if self.in_examples() => format!("{package}::example/{binary}"),
            Some(binary) => format!("{package}::bin/{binary}"),
            None => package.to_owned(),
        }
    }

    /// Returns the options of cargo that name its target.
    fn target(&self) -> String {
        if self.integration {
            format!("--test {}", self.test_target())
        } else if let Some(binary) = self.binary {
            let kind = if self.in_examples() { "example" } else { "bin" };
            format!("--{kind} {binary}")
        } else {
            "--lib".into()
        }
    }

    /// Returns whether it is `examples/name.rs`, or in a folder of that name: cargo calls both a
    /// binary.
    fn in_examples(&self) -> bool {
        self.file.split(['/', '\\']).any(|part| part == "examples")
    }

    /// Returns the name of an integration test: that of its file or folder. The crate's name has
    /// underscores for hyphens.
    fn test_target(&self) -> String {
        let name = self.module.split("::").next().unwrap_or(self.module);
        let mut parts = self
            .file
            .split(['/', '\\', '.'])
            .filter(|part| part.replace('-', "_") == name);
        parts.next_back().unwrap_or(name).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Site = Site {
        package: "rings",
        manifest_directory: "/rings",
        module: "spsc_wrap::queue",
        file: "rings/tests/spsc-wrap.rs",
        integration: true,
        binary: None,
    };

    #[test]
    fn an_integration_test_is_named_as_cargo_names_it() {
        assert_eq!(
            SITE.command_of("spsc_wrap::queue::loom", false),
            "cargo test -p rings --test spsc-wrap queue::loom -- --exact"
        );
        let folder = Site {
            file: "rings/tests/spsc-wrap/main.rs",
            ..SITE
        };
        assert!(
            folder
                .command_of("spsc_wrap::queue::loom", false)
                .contains("--test spsc-wrap ")
        );
    }

    #[test]
    fn under_nextest_the_command_is_one_of_nextest() {
        assert_eq!(
            SITE.command_of("spsc_wrap::queue::loom", true),
            "cargo nextest run -p rings --test spsc-wrap -E 'test(=queue::loom)'"
        );
    }

    #[test]
    fn unit_tests_of_libraries_and_binaries_are_found() {
        let unit = Site {
            integration: false,
            ..SITE
        };
        assert!(
            unit.command_of("rings::tests::queue::loom", false)
                .contains("--lib tests::queue::loom")
        );
        assert_eq!(
            (&*SITE.binary_id(), &*unit.binary_id()),
            ("rings::spsc-wrap", "rings")
        );
        let binary = Site {
            integration: false,
            binary: Some("ringd"),
            ..SITE
        };
        assert!(
            binary
                .command_of("ringd::queue::loom", false)
                .contains("--bin ringd queue::loom")
        );
        assert_eq!(binary.binary_id(), "rings::bin/ringd");
        let example = Site {
            file: "rings/examples/ringd.rs",
            ..binary
        };
        assert!(
            example
                .command_of("ringd::queue::loom", false)
                .contains("--example ringd queue::loom")
        );
        assert_eq!(example.binary_id(), "rings::example/ringd");
    }
}
