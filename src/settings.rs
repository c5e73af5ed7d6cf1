//! What is set from outside: the environment, read in this one place. What it names wins over the suite's own.
//!
//! | variable | meaning |
//! |---|---|
//! | `FORKCHECK_CASES` | programs to draw for each test, a whole number from 1; engines that explore draw at least an eighth of them |
//! | `FORKCHECK_SECONDS` | time limit of a test, a number above 0; what is not done by then makes the verdict `Unknown` |
//! | `FORKCHECK_SEED` | the seed of what is drawn, a whole number |
//! | `FORKCHECK_REPLAY` | a token from a report: run exactly that case |
//! | `FORKCHECK_REFRESH` | `1`: of saved cases whose steps the code no longer takes, the program alone is kept |
//! | `FORKCHECK_LOCK` | a file or directory whose lock (flock) is the turn of `processes` on this machine; the temporary directory where it is not set |
//! | `FORKCHECK_ALLOW_MISSING` | engines, separated by commas, whose `Unknown` and `Unavailable` do not fail a test |

use crate::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::time::Duration;

/// The engines by name, those too that this build leaves out: what names another is mistyped.
pub(crate) const ENGINES: [&str; 4] = ["processes", "stepped", "kills", "loom"];

/// How much to run. See the module for the variables that overrule it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cases: u32,
    pub(crate) executions: u64,
    /// The limit of a test; each engine has its own where nothing is set.
    pub(crate) time: Option<Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) replay: Option<String>,
    pub(crate) allow_missing: Vec<String>,
    pub(crate) refresh: bool,
    pub(crate) lock: Option<PathBuf>,
    /// The environment was asked already, and what was set since wins over it.
    pub(crate) asked: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cases: 64,
            executions: 10_000,
            time: None,
            seed: None,
            replay: None,
            allow_missing: Vec::new(),
            refresh: false,
            lock: None,
            asked: false,
        }
    }
}

impl Settings {
    /// These, with what `variable` says in their place.
    pub(crate) fn overruled_by(
        mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        if let Some(cases) = number::<u32>(
            &variable,
            "FORKCHECK_CASES",
            "a whole number from 1, such as 500",
        )? {
            if cases == 0 {
                return Err(wrong(
                    "FORKCHECK_CASES",
                    "0",
                    "a whole number from 1, such as 500",
                ));
            }
            self.cases = cases;
        }
        if let Some(seconds) = number::<f64>(
            &variable,
            "FORKCHECK_SECONDS",
            "a number above 0, such as 2.5",
        )? {
            let time = Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|time| !time.is_zero());
            self.time = Some(time.ok_or_else(|| {
                wrong(
                    "FORKCHECK_SECONDS",
                    &seconds.to_string(),
                    "a number above 0, such as 2.5",
                )
            })?);
        }
        if let Some(seed) = number::<u64>(&variable, "FORKCHECK_SEED", "a whole number, such as 7")?
        {
            self.seed = Some(seed);
        }
        self.replay = variable("FORKCHECK_REPLAY")
            .filter(|token| !token.is_empty())
            .or(self.replay);
        match variable("FORKCHECK_REFRESH").as_deref() {
            Some("1") => self.refresh = true,
            None | Some("" | "0") => {}
            Some(other) => return Err(wrong("FORKCHECK_REFRESH", other, "1")),
        }
        if let Some(path) = variable("FORKCHECK_LOCK").filter(|path| !path.is_empty()) {
            if std::fs::File::open(&path).is_err() {
                let wanted = "a file or directory that is there and can be read";
                return Err(wrong("FORKCHECK_LOCK", &path, wanted));
            }
            self.lock = Some(path.into());
        }
        if let Some(engines) = variable("FORKCHECK_ALLOW_MISSING") {
            self.allow_missing = engines
                .split(',')
                .map(|engine| engine.trim().to_owned())
                .filter(|engine| !engine.is_empty())
                .collect();
            if let Some(unknown) = self
                .allow_missing
                .iter()
                .find(|engine| !ENGINES.contains(&&***engine))
            {
                let wanted = format!("engines, separated by commas, of {}", ENGINES.join(", "));
                return Err(wrong("FORKCHECK_ALLOW_MISSING", unknown, &wanted));
            }
        }
        Ok(self)
    }

    /// These, with what the environment says in their place.
    pub(crate) fn overruled_by_environment(self) -> Result<Self, Error> {
        if self.asked {
            return Ok(self);
        }
        let mut settings = self.overruled_by(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })?;
        settings.asked = true;
        Ok(settings)
    }

    /// The seed: the one that was set, or a new one.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
            .unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish())
    }
}

fn number<T: std::str::FromStr>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    wanted: &str,
) -> Result<Option<T>, Error> {
    match variable(name) {
        None => Ok(None),
        Some(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| wrong(name, &text, wanted)),
    }
}

fn wrong(name: &str, text: &str, wanted: &str) -> Error {
    Error::invalid(
        format!("the environment variable {name} is {text:?}"),
        format!("set it to {wanted}, or unset it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Settings, Error> {
        Settings::default().overruled_by(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn the_environment_wins() {
        assert_eq!(with("FORKCHECK_CASES", " 7 ").unwrap().cases, 7);
        assert_eq!(with("FORKCHECK_SEED", "9").unwrap().seed(), 9);
        assert_eq!(
            with("FORKCHECK_SECONDS", "0.5").unwrap().time,
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            with("FORKCHECK_ALLOW_MISSING", "loom, stepped")
                .unwrap()
                .allow_missing,
            ["loom", "stepped"]
        );
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_variable_and_the_remedy() {
        let wrong = [
            ("FORKCHECK_CASES", "many"),
            ("FORKCHECK_CASES", "0"),
            ("FORKCHECK_CASES", "-1"),
            ("FORKCHECK_SEED", "1.5"),
            ("FORKCHECK_SECONDS", "0"),
            ("FORKCHECK_SECONDS", "-3"),
            ("FORKCHECK_SECONDS", "NaN"),
            ("FORKCHECK_REFRESH", "yes"),
            ("FORKCHECK_LOCK", "/no/such/file"),
            ("FORKCHECK_ALLOW_MISSING", "loom,stpped"),
        ];
        for (name, value) in wrong {
            let text = with(name, value).unwrap_err().to_string();
            assert!(
                text.contains(name) && text.contains("or unset it"),
                "{text}"
            );
        }
    }

    #[test]
    fn seeds_that_nobody_set_differ() {
        assert_ne!(Settings::default().seed(), Settings::default().seed());
    }
}
