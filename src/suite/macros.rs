//! The macro `suite!`.

/// Makes a module with one `#[test]` for each engine that the structure runs on.
///
/// ```text
/// forkcheck::suite! {
///     #[should_panic]                                    // attributes of the tests, if any
///     name: Structure<_>,                                // on every memory; without `<_>`: on hardware only
///     setup: strategy,                                   // only where the spec's setup is not ()
///     writer: 1..=4 ops of strategy,                     // one process
///     reader: 2 processes, 1..=MOST ops of strategy,     // two
///     owner: ops in strategy,                            // a strategy of whole sequences (`Vec`), for one or for more
///     with: .cases(200).executions(10_000),              // anything else that `Suite` can be told, if anything
/// }
/// ```
///
/// | in place of | it takes |
/// |---|---|
/// | `Structure<_>` | a path (`crate::ring::Ring<_>`), with more parameters after the memory (`Ring<_, 3>`, `Ring<_, u64, SLOTS>`, `Ring<_, {2 * N}>`): each is one word, number or block; for any other, name a type: `type Short<M> = Ring<M, [u64; 2]>;` |
/// | `2` in `2 processes` | any expression of type `usize`: `READERS`, `limits::READERS`, `READERS + 1` |
/// | `1..=4` in `1..=4 ops` | any expression of type `RangeInclusive<usize>`: `1..=MOST`, `LEAST..=limits::MOST` |
///
/// The tests are `name::processes` and, for `Structure<_>`, `name::stepped`, `name::kills` and
/// `name::loom`; `name::suite()` returns the [`Suite`](crate::Suite). For a structure on hardware
/// only, `name::stepped` and `name::kills` run in builds of `cargo forkcheck`, and are ignored
/// elsewhere. A structure that does not promise to outlive its processes leaves `kills` out: `with:
/// .without("kills", "a killed owner takes the lock along"),`.
///
/// A form that it cannot read is a compile error at the macro, which says what is expected there. For `reader: 1..=4 of strategy,`:
///
/// ```text
/// error: suite!: the role `reader` is written `reader: 1..=4 ops of strategy,` or `reader: 2 processes, 1..=4 ops of strategy,`
/// ```
///
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::spec::{Counter, CounterOp, CounterRet};
///
/// struct Sum<M: Memory>(M::AtomicI64);
/// impl<M: Memory> Structure for Sum<M> {
///     type Memory = M;
///     type Spec = Counter;
///     fn new(first: &i64) -> Self { Sum(Atomic::new(*first)) }
///     fn apply(&self, op: &CounterOp) -> CounterRet {
///         match op {
///             CounterOp::Add(n) => { self.0.fetch_add(*n, Ordering::AcqRel); CounterRet::Added }
///             CounterOp::Read => CounterRet::Value(self.0.load(Ordering::Acquire)),
///         }
///     }
/// }
///
/// forkcheck::suite! {
///     sum: Sum<_>,
///     setup: Just(0),
///     adder: 2 processes, 1..=3 ops of (1i64..9).prop_map(CounterOp::Add),
///     reader: 1..=3 ops of Just(CounterOp::Read),
/// }
/// # fn main() {
/// // The tests are there for cargo; a program of its own calls the suite.
/// let suite = sum::suite().cases(1).regressions(None);
/// suite.test::<forkcheck::engine::Stepped, Sum<_>>();
/// # }
/// ```
#[macro_export]
macro_rules! suite {
    // The tests are in a module of their own, so a path from here begins one module further up.
    ($(#[$attribute:meta])* $name:ident: self::$($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::suite!(@tests [$(#[$attribute])*] $name, (super::$($structure)::+) [$(, $parameter)*], $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: super::$($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::suite!(@tests [$(#[$attribute])*] $name, (super::super::$($structure)::+) [$(, $parameter)*], $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: $($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::suite!(@tests [$(#[$attribute])*] $name, ($($structure)::+) [$(, $parameter)*], $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: ::$($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::suite!(@tests [$(#[$attribute])*] $name, (::$($structure)::+) [$(, $parameter)*], $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: $(::)? $($structure:ident)::+ <_ $($rest:tt)*) => {
        compile_error!(concat!(
            "suite!: in `", stringify!($($structure)::+), "<_ ...>` each parameter after the memory is one word, number or \
            block, and then come `,` and the roles; name any other structure by a type: `type Short<M> = ",
            stringify!($($structure)::+), "<M, ...>;`, and write `Short<_>`"
        ));
    };
    ($(#[$attribute:meta])* $name:ident: $structure:ty, $($rest:tt)+) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::suite!(@on_hardware [$(#[$attribute])*] $name, $structure, $($rest)+);
        }
    };
    (@tests [$($attributes:tt)*] $name:ident, $structure:tt $more:tt, $($rest:tt)+) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::suite!(@on_each_engine [$($attributes)*] $name, $structure $more, $($rest)+);
        }
    };
    (@on_hardware [$(#[$attribute:meta])*] $name:ident, $structure:ty, $($rest:tt)+) => {
        $crate::suite!(@suite $name, $structure, $($rest)+);
        #[test]
        $(#[$attribute])*
        fn processes() {
            suite().unmodified().test::<$crate::engine::Processes, $structure>()
        }
        $crate::__code_tests!([$(#[$attribute])*] $structure);
    };
    (@on_each_engine [$(#[$attribute:meta])*] $name:ident, ($($structure:tt)+) [$($more:tt)*], $($rest:tt)+) => {
        type UnderTest<M> = $($structure)+<M $($more)*>;
        $crate::suite!(@suite $name, UnderTest<$crate::memory::Hardware>, $($rest)+);
        #[test]
        $(#[$attribute])*
        fn processes() {
            suite().test_forked::<UnderTest<$crate::memory::Hardware>, UnderTest<$crate::engine::SteppedMemory>>()
        }
        #[test]
        $(#[$attribute])*
        fn stepped() {
            suite().test::<$crate::engine::Stepped, UnderTest<$crate::engine::SteppedMemory>>()
        }
        #[test]
        $(#[$attribute])*
        fn kills() {
            suite().test::<$crate::engine::Kills, UnderTest<$crate::engine::SteppedMemory>>()
        }
        $crate::__loom_test!($(#[$attribute])* UnderTest);
    };
    (@suite $name:ident, $structure:ty, $($rest:tt)+) => {
        pub(super) fn suite() -> $crate::Suite<<$structure as $crate::WithHandles>::Spec> {
            let suite = $crate::Suite::of_module($crate::site!());
            $crate::suite!(@role suite, $($rest)+)
        }
    };
    (@role $suite:expr, setup: $setup:expr $(, $($rest:tt)*)?) => {
        $crate::suite!(@role $suite.setup($setup), $($($rest)*)?)
    };
    // The arguments come with their own parentheses, so the location of a call is the user's line.
    (@role $suite:expr, with: $(.$method:tt $arguments:tt)+ $(, $($rest:tt)*)?) => {
        $crate::suite!(@role $suite $(.$method $arguments)+, $($($rest)*)?)
    };
    (@role $suite:expr, $role:tt: $($rest:tt)+) => {
        $crate::suite!(@processes $suite, $role, [] $($rest)+)
    };
    (@role $suite:expr, $(,)?) => { $suite };
    (@role $suite:expr, $($rest:tt)+) => {
        compile_error!(concat!(
            "suite!: expected `role: 1..=4 ops of strategy,` or `setup: strategy,` or `with: .setting(value),`, and there is `",
            stringify!($($rest)+), "`"
        ))
    };
    (@processes $suite:expr, $role:tt, [] ops in $sequences:expr $(, $($rest:tt)*)?) => {
        $crate::suite!(@operations $suite, $role, (1), [] ops in $sequences, $($($rest)*)?)
    };
    (@operations $suite:expr, $role:tt, ($($number:tt)+), [] ops in $sequences:expr $(, $($rest:tt)*)?) => {
        $crate::suite!(
            @role $suite.sequence_at(
                {
                    // The location is made of the user's word alone, so it is the line of the role.
                    #[allow(non_upper_case_globals)]
                    const $role: &$crate::suite::Here = &$crate::suite::Here;
                    $role
                },
                stringify!($role),
                $($number)+,
                $sequences,
            ),
            $($($rest)*)?
        )
    };
    // Token by token: the number of processes, if it is given, and the range of operations.
    (@processes $suite:expr, $role:tt, [$($number:tt)+] processes, $($rest:tt)+) => {
        $crate::suite!(@operations $suite, $role, ($($number)+), [] $($rest)+)
    };
    (@processes $suite:expr, $role:tt, [$($read:tt)*] processes $($rest:tt)*) => { $crate::suite!(@refused $role) };
    (@processes $suite:expr, $role:tt, [$($read:tt)*] , $($rest:tt)*) => { $crate::suite!(@refused $role) };
    (@processes $suite:expr, $role:tt, [$($range:tt)+] ops of $($rest:tt)+) => {
        $crate::suite!(@operations $suite, $role, (1), [$($range)+] ops of $($rest)+)
    };
    (@processes $suite:expr, $role:tt, [$($read:tt)*] $next:tt $($rest:tt)*) => {
        $crate::suite!(@processes $suite, $role, [$($read)* $next] $($rest)*)
    };
    (@operations $suite:expr, $role:tt, ($($number:tt)+), [$($range:tt)+] ops of $op:expr $(, $($rest:tt)*)?) => {
        $crate::suite!(
            @role $suite.role_at(
                {
                    // The location is made of the user's word alone, so it is the line of the role.
                    #[allow(non_upper_case_globals)]
                    const $role: &$crate::suite::Here = &$crate::suite::Here;
                    $role
                },
                stringify!($role),
                $($number)+,
                $($range)+,
                $op,
            ),
            $($($rest)*)?
        )
    };
    (@operations $suite:expr, $role:tt, ($($number:tt)+), [$($read:tt)*] , $($rest:tt)*) => { $crate::suite!(@refused $role) };
    (@operations $suite:expr, $role:tt, ($($number:tt)+), [$($read:tt)*] $next:tt $($rest:tt)*) => {
        $crate::suite!(@operations $suite, $role, ($($number)+), [$($read)* $next] $($rest)*)
    };
    (@$rule:ident $suite:expr, $role:tt, $($read:tt)*) => { $crate::suite!(@refused $role) };
    (@refused $role:tt) => {
        compile_error!(concat!(
            "suite!: the role `", stringify!($role), "` is written `", stringify!($role), ": 1..=4 ops of strategy,` or `",
            stringify!($role), ": 2 processes, 1..=4 ops of strategy,`"
        ))
    };
    ($($other:tt)*) => {
        compile_error!("suite!: expected `name: Structure<_>, role: 1..=4 ops of strategy,`");
    };
}

/// Tests that see the steps of code that is not written for `Memory`. Without instrumentation they
/// are ignored, with the reason.
#[cfg(forkcheck_instrumented)]
#[doc(hidden)]
#[macro_export]
macro_rules! __code_tests {
    ([$($attributes:tt)*] $structure:ty) => {
        $crate::__code_test!([$($attributes)*] stepped, $crate::engine::SteppedCode, $structure);
        $crate::__code_test!([$($attributes)*] kills, $crate::engine::KillsCode, $structure);
    };
}
#[cfg(not(forkcheck_instrumented))]
#[doc(hidden)]
#[macro_export]
macro_rules! __code_tests {
    ([$($attributes:tt)*] $structure:ty) => {
        $crate::__code_test!(
            [$($attributes)* #[ignore = "run: cargo forkcheck test"]] stepped, $crate::engine::SteppedCode, $structure
        );
        $crate::__code_test!(
            [$($attributes)* #[ignore = "run: cargo forkcheck test"]] kills, $crate::engine::KillsCode, $structure
        );
    };
}
#[doc(hidden)]
#[macro_export]
macro_rules! __code_test {
    ([$($attributes:tt)*] $name:ident, $engine:ty, $structure:ty) => {
        #[test]
        $($attributes)*
        fn $name() {
            $crate::probe!();
            suite().test::<$engine, $structure>()
        }
    };
}

/// Notes whether accesses of the calling crate arrive. [`suite!`](crate::suite!) does it before each
/// test. A program that names [`SteppedCode`](crate::engine::SteppedCode) or
/// [`KillsCode`](crate::engine::KillsCode) to a [`Suite`](crate::Suite) calls it first: without it they
/// are `UNAVAILABLE`.
///
/// ```
/// forkcheck::probe!(); // here nothing arrives: this is not built by cargo forkcheck
/// ```
#[macro_export]
macro_rules! probe {
    () => {
        $crate::engine::probe(|atomic, plain| {
            atomic.store(1, $crate::memory::Ordering::Relaxed);
            *plain = 1;
        })
    };
}

#[cfg(feature = "loom")]
#[doc(hidden)]
#[macro_export]
macro_rules! __loom_test {
    ($(#[$attribute:meta])* $structure:ident) => {
        #[test]
        $(#[$attribute])*
        fn loom() {
            suite().test::<$crate::engine::loom::Loom, $structure<$crate::engine::loom::LoomMemory>>()
        }
    };
}
#[cfg(not(feature = "loom"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __loom_test {
    ($($all:tt)*) => {};
}

/// Returns the location of the expression that is coerced.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Here;

impl std::ops::Deref for Here {
    type Target = std::panic::Location<'static>;
    #[track_caller]
    fn deref(&self) -> &Self::Target {
        std::panic::Location::caller()
    }
}
