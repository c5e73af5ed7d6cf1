//! What `suite!` writes.

/// A module with one `#[test]` for each engine that the subject runs on.
///
/// ```text
/// forkcheck::suite! {
///     #[should_panic]                                    // attributes of the tests, if any
///     name: Subject<_>,                                  // on every memory; without `<_>`: on hardware only
///     setup: strategy,                                   // only where the spec's setup is not ()
///     writer: 1..=4 ops of strategy,                     // one process
///     reader: 2 processes, 1..=4 ops of strategy,        // two
///     with: .cases(200).executions(10_000),              // whatever else `Suite` can be told, if anything
/// }
/// ```
/// The tests are `name::processes` and, for `Subject<_>`, `name::stepped`, `name::kills` and `name::loom`; `name::suite()`
/// gives the [`Suite`](crate::Suite). A structure that does not promise to outlive its processes says so:
/// `with: .without("kills", "whoever dies in here takes the lock along"),`.
#[macro_export]
macro_rules! suite {
    ($(#[$attribute:meta])* $name:ident: $($subject:ident)::+ <_>, $($rest:tt)+) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::suite!(@suite $name, $($subject)::+<$crate::memory::Hardware>, $($rest)+);
            #[test]
            $(#[$attribute])*
            fn processes() {
                suite().test_forked::<$($subject)::+<$crate::memory::Hardware>, $($subject)::+<$crate::engine::SteppedMemory>>()
            }
            #[test]
            $(#[$attribute])*
            fn stepped() {
                suite().test::<$crate::engine::Stepped, $($subject)::+<$crate::engine::SteppedMemory>>()
            }
            #[test]
            $(#[$attribute])*
            fn kills() {
                suite().test::<$crate::engine::Kills, $($subject)::+<$crate::engine::SteppedMemory>>()
            }
            $crate::__loom_test!($(#[$attribute])* $($subject)::+);
        }
    };
    ($(#[$attribute:meta])* $name:ident: $subject:ty, $($rest:tt)+) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::suite!(@suite $name, $subject, $($rest)+);
            #[test]
            $(#[$attribute])*
            fn processes() {
                suite().test::<$crate::engine::Processes, $subject>()
            }
        }
    };
    (@suite $name:ident, $subject:ty, $($rest:tt)+) => {
        pub(super) fn suite() -> $crate::Suite<<$subject as $crate::Subject<$crate::memory::Hardware>>::Spec> {
            let suite = $crate::Suite::of_module($crate::site!());
            $crate::suite!(@role suite, $($rest)+)
        }
    };
    (@role $suite:expr, setup: $setup:expr $(, $($rest:tt)*)?) => {
        $crate::suite!(@role $suite.setup($setup), $($($rest)*)?)
    };
    (@role $suite:expr, with: $(.$method:ident($($argument:tt)*))+ $(, $($rest:tt)*)?) => {
        $crate::suite!(@role $suite$(.$method($($argument)*))+, $($($rest)*)?)
    };
    (@role $suite:expr, $role:ident: $processes:literal processes, $least:literal ..= $most:literal ops of $op:expr $(, $($rest:tt)*)?) => {
        $crate::suite!(@role $suite.role(stringify!($role), $processes, $least..=$most, $op), $($($rest)*)?)
    };
    (@role $suite:expr, $role:ident: $least:literal ..= $most:literal ops of $op:expr $(, $($rest:tt)*)?) => {
        $crate::suite!(@role $suite.role(stringify!($role), 1, $least..=$most, $op), $($($rest)*)?)
    };
    (@role $suite:expr, $(,)?) => { $suite };
}

#[cfg(feature = "loom")]
#[doc(hidden)]
#[macro_export]
macro_rules! __loom_test {
    ($(#[$attribute:meta])* $($subject:ident)::+) => {
        #[test]
        $(#[$attribute])*
        fn loom() {
            suite().test::<$crate::engine::loom::Loom, $($subject)::+<$crate::engine::loom::LoomMemory>>()
        }
    };
}
#[cfg(not(feature = "loom"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __loom_test {
    ($($all:tt)*) => {};
}
