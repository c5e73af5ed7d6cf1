//! Calls by which operations of unmodified code leave the schedule.

/// The functions of the C library that are noted, by number.
pub(crate) const CALLS: [&str; 10] = [
    "clock_gettime",
    "getrandom",
    "eventfd",
    "pipe",
    "pipe2",
    "poll",
    "epoll_wait",
    "fork",
    "socket",
    "open",
];

/// Returns the names of the calls in a set, by number.
pub(super) fn names(set: u64) -> Vec<String> {
    let calls = CALLS.iter().enumerate();
    let made = calls.filter(|(number, _)| set >> number & 1 == 1);
    made.map(|(_, name)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_calls_is_named_by_number() {
        assert_eq!(names(0b1000000001), ["clock_gettime", "open"]);
        assert!(names(0).is_empty());
    }
}
