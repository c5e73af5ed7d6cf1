//! Calls of the user's spec, and of a structure's invariant. A panic of the spec is reported as its
//! own, with its message and source line.

use super::{Finding, Kind, Verdict};
use crate::spec::Spec;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    /// The message of the spec's panic, once there was one; set while a spec is asked on this
    /// thread.
    static ASKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Notes the panic if it is of a spec that is being asked, and returns whether it is. A panic hook
/// that ends the process or reports elsewhere has to ask this first and leave such a panic alone:
/// it is caught.
pub(crate) fn is_of_the_spec(info: &PanicHookInfo<'_>) -> bool {
    ASKED.with_borrow_mut(|asked| {
        let Some(words) = asked else { return false };
        let place = info.location().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "an unknown place".into());
        *words = format!("panicked at {place}: {}", message(info.payload()).trim());
        true
    })
}

/// Returns the value of `ask`, or the message of a panic in it. A nested call is part of the outer
/// one.
pub(crate) fn words_of_panic<T>(ask: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_of_the_spec(info) {
                before(info);
            }
        }));
    });
    let outer = ASKED.replace(Some(String::new()));
    let answer = catch_unwind(AssertUnwindSafe(ask));
    let words = ASKED.replace(outer).unwrap_or_default();
    answer.map_err(|payload| {
        // Another hook may have replaced this one; the payload still has the message.
        let words = if words.is_empty() {
            format!("panicked: {}", message(&*payload))
        } else {
            words
        };
        // The payload's drop might panic again.
        std::mem::forget(payload);
        words
    })
}

/// Returns the verdict of `ask`, or a finding if the spec panics in it.
pub(super) fn verdict<S: Spec>(ask: impl FnOnce() -> Verdict<S>) -> Verdict<S> {
    words_of_panic(ask).unwrap_or_else(|words| {
        Verdict::Finding(Finding {
            kind: Kind::SpecPanic,
            detail: format!("the spec {words}"),
            explanation: None,
        })
    })
}

fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    #[test]
    fn a_panic_is_reported_with_its_message_and_place() {
        let words = words_of_panic(|| -> u8 { panic!("no {}", "state") }).unwrap_err();
        assert!(
            words.contains("asked.rs:") && words.ends_with(": no state"),
            "{words}"
        );
        assert_eq!(words_of_panic(|| 7), Ok(7));
    }

    // A panic hook belongs to the whole process, so this test runs in its own process.
    rusty_fork_test! {
        #[test]
        fn the_hook_that_was_there_is_asked_about_other_panics_alone() {
            use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
            static ASKED: AtomicU32 = AtomicU32::new(0);
            std::panic::set_hook(Box::new(|_| {
                ASKED.fetch_add(1, Relaxed);
            }));
            let _ = words_of_panic(|| -> u8 { panic!("of the spec") });
            assert_eq!(ASKED.load(Relaxed), 0);
            let _ = catch_unwind(|| -> u8 { panic!("of something else") });
            assert_eq!(ASKED.load(Relaxed), 1);
        }
    }
}
