//! A child process in which a test does what may hang or end it.

use forkcheck::process;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Returns the result of a child; an error says how the child ended, or that it hangs.
pub(crate) fn victim<T>(body: impl FnOnce() -> T) -> Result<T, String>
where
    T: Serialize + DeserializeOwned,
{
    let mut child = process::spawn(body).unwrap();
    if child
        .wait_timeout(Duration::from_secs(60))
        .unwrap()
        .is_none()
    {
        child.kill().unwrap();
        return Err("hangs".into());
    }
    child.value().map_err(|error| error.to_string())
}
