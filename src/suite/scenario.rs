//! The macro `scenario!`.

use crate::spec::Run;
use proptest::strategy::Just;

/// The operations of a role of a scenario.
#[doc(hidden)]
pub fn run(role: &str) -> Just<Run> {
    Just(Run::of(role))
}

/// Defines a test without a spec: each process runs a body once, with assertions in it, on a
/// structure that they share. `suite!` is for drawn operations, whose results a spec judges.
///
/// ```
/// # use forkcheck::prelude::*;
/// /// A value, and a flag that says that it is there.
/// struct Handover<M: Memory> { ready: M::AtomicU32, value: M::AtomicU64 }
///
/// forkcheck::scenario! {
///     handover: Handover<_>,
///     new: Handover { ready: Atomic::new(0), value: Atomic::new(0) },
///     sender: |handover| {
///         handover.value.store(7, Ordering::Relaxed);
///         handover.ready.store(1, Ordering::Release);          // with Relaxed, `loom` fails
///     },
///     receiver: 2 processes, |handover| {
///         if handover.ready.load(Ordering::Acquire) == 1 {
///             assert_eq!(handover.value.load(Ordering::Relaxed), 7);
///         }
///     },
///     finally: |handover| {
///         assert_eq!(handover.value.load(Ordering::Relaxed), 7);
///     },
///     with: .without("kills", "a sender that is killed sends nothing"),
/// }
/// # fn main() {}
/// ```
///
/// It defines the tests that `suite!` does: `handover::processes`, `stepped`, `kills` and `loom`. A
/// failed assertion is a finding ([`Panic`](crate::check::Kind::Panic)) with the steps that led to
/// it, which is shrunk, saved and replayed like any other; so are a deadlock, a data race, an end
/// of a process.
///
/// The structure needs no trait. With `<_>` it is generic over its memory, its first parameter. As in
/// [`suite!`](crate::suite!), it may be a path with more parameters (`crate::ring::Ring<_, u64, 3>`);
/// for another order, define a type: `type Page<M> = SeqLock<u64, M>;`. Bodies may name the memory:
/// `M::spin_loop()`.
///
/// Without `<_>` it is code that is not written over [`Memory`](crate::Memory): over std's atomics, a
/// published crate, C. `processes` checks it as it is; `stepped` and `kills` run in builds of `cargo
/// forkcheck`, and are ignored elsewhere.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// forkcheck::scenario! {
///     sum: AtomicU64,
///     new: AtomicU64::new(0),
///     adder: 2 processes, |sum| { sum.fetch_add(1, Ordering::Relaxed); },
///     finally: |sum| { assert_eq!(sum.load(Ordering::Relaxed), 2); },
///     with: .without("kills", "an adder that is killed adds nothing"),
/// }
/// # fn main() {}
/// ```
///
/// A form that the macro does not accept is a compiler error at the macro, which says what is expected. So is a parameter that is
/// neither one word nor number nor block, which needs a type (`type Pair<M> = Cells<M, [u64; 2]>;`), and a second `finally`.
///
/// `always: |structure| { ... },` is the invariant: `stepped` and `kills` run its assertions after each step that changes the
/// structure. Where one fails, the finding ([`InvariantViolated`](crate::check::Kind::InvariantViolated)) ends with that step.
/// `processes`, `loom` and `cargo forkcheck` do not check it, and say so. Its accesses are not steps. It may not write, and may not
/// ask which processes are alive.
///
/// ```
/// # use forkcheck::prelude::*;
/// /// Two counters; the second follows the first.
/// struct Pair<M: Memory> { first: M::AtomicU32, second: M::AtomicU32 }
///
/// forkcheck::scenario! {
///     pair: Pair<_>,
///     new: Pair { first: Atomic::new(0), second: Atomic::new(0) },
///     adder: 2 processes, |pair| {
///         pair.first.fetch_add(1, Ordering::Relaxed);
///         pair.second.fetch_add(1, Ordering::Relaxed);
///     },
///     always: |pair| {
///         assert!(pair.second.load(Ordering::Relaxed) <= pair.first.load(Ordering::Relaxed));
///     },
/// }
/// # fn main() {}
/// ```
///
/// `finally` runs once all processes are done, in each execution in which none of them is stuck,
/// died or panicked. It sees the state that they left, including that of a process that `kills`
/// killed. It takes no steps of its own. The number of processes in `2 processes` is one word,
/// number or block. A process that waits indefinitely is a finding.
#[macro_export]
macro_rules! scenario {
    // The structure is named in a module of its own, so a path from here begins one module further up.
    ($(#[$attribute:meta])* $name:ident: self::$($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::scenario!(@new [$(#[$attribute])*] $name (super::$($structure)::+) [$(, $parameter)*] $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: super::$($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::scenario!(@new [$(#[$attribute])*] $name (super::super::$($structure)::+) [$(, $parameter)*] $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: $($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::scenario!(@new [$(#[$attribute])*] $name ($($structure)::+) [$(, $parameter)*] $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: ::$($structure:ident)::+ <_ $(, $parameter:tt)* $(,)?>, $($rest:tt)+) => {
        $crate::scenario!(@new [$(#[$attribute])*] $name (::$($structure)::+) [$(, $parameter)*] $($rest)+);
    };
    ($(#[$attribute:meta])* $name:ident: $(::)? $($structure:ident)::+ <_ $($rest:tt)*) => {
        compile_error!(concat!(
            "scenario!: in `", stringify!($($structure)::+), "<_ ...>` each parameter after the memory is one word, number or \
            block, and then come `,` and `new: expression,`; name any other structure by a type: `type Short<M> = ",
            stringify!($($structure)::+), "<M, ...>;`, and write `Short<_>`"
        ));
    };
    ($(#[$attribute:meta])* $name:ident: $structure:ty, $($rest:tt)+) => {
        $crate::scenario!(@new [$(#[$attribute])*] $name ($structure) on_hardware $($rest)+);
    };
    (@new $attributes:tt $name:ident $structure:tt $more:tt new: $new:expr, $($rest:tt)+) => {
        $crate::scenario!(@read $attributes $name $structure $more ($new) [] [] [] [] $($rest)+);
    };
    (@new $attributes:tt $name:ident $structure:tt $more:tt $($rest:tt)*) => {
        compile_error!(concat!(
            "scenario!: expected `new: expression, role: |structure| { ... },`, and there is `", stringify!($($rest)*), "`"
        ));
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt $roles:tt [] $finally:tt $with:tt
        always: |$at:ident| $body:block $(, $($rest:tt)*)?) => {
        $crate::scenario!(@read $attributes $name $structure $more $new $roles [$at, $body] $finally $with $($($rest)*)?);
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt $roles:tt $always:tt $finally:tt $with:tt
        always: $($rest:tt)*) => {
        compile_error!("scenario!: `always: |structure| { ... },` stands once, and runs in no process of its own");
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt $roles:tt $always:tt [] $with:tt
        finally: |$at:ident| $body:block $(, $($rest:tt)*)?) => {
        $crate::scenario!(@read $attributes $name $structure $more $new $roles $always [$at, $body] $with $($($rest)*)?);
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt $roles:tt $always:tt $finally:tt $with:tt
        finally: $($rest:tt)*) => {
        compile_error!("scenario!: `finally: |structure| { ... },` stands once, and runs in no process of its own");
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt $roles:tt $always:tt $finally:tt [$($with:tt)*]
        with: $(.$method:tt $arguments:tt)+ $(, $($rest:tt)*)?) => {
        $crate::scenario!(
            @read $attributes $name $structure $more $new $roles $always $finally [$($with)* $(.$method $arguments)+]
            $($($rest)*)?
        );
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt [$($roles:tt)*] $always:tt $finally:tt $with:tt
        $role:ident: |$at:ident| $body:block $(, $($rest:tt)*)?) => {
        $crate::scenario!(
            @read $attributes $name $structure $more $new [$($roles)* ($role, 1, $at, $body)] $always $finally $with
            $($($rest)*)?
        );
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt [$($roles:tt)*] $always:tt $finally:tt $with:tt
        $role:ident: $number:tt processes, |$at:ident| $body:block $(, $($rest:tt)*)?) => {
        $crate::scenario!(
            @read $attributes $name $structure $more $new [$($roles)* ($role, $number, $at, $body)] $always $finally $with
            $($($rest)*)?
        );
    };
    (@read $attributes:tt $name:ident ($structure:ty) on_hardware $new:tt [$($roles:tt)+] $always:tt $finally:tt $with:tt) => {
        $crate::scenario!(
            @define $name [@on_hardware $attributes $name, __Scenario,] [] [] $crate::memory::Hardware, ($structure)
            $new [$($roles)+] $always $finally $with
        );
    };
    (@read $attributes:tt $name:ident ($($structure:tt)+) [$($more:tt)*] $new:tt [$($roles:tt)+] $always:tt $finally:tt
        $with:tt) => {
        $crate::scenario!(
            @define $name [@on_each_engine $attributes $name, (__Scenario) [],] [<M: $crate::Memory>] [<M>] M,
            ($($structure)+<M $($more)*>) $new [$($roles)+] $always $finally $with
        );
    };
    (@read $attributes:tt $name:ident $structure:tt $more:tt $new:tt $roles:tt $always:tt $finally:tt $with:tt $($rest:tt)*) => {
        compile_error!(concat!(
            "scenario!: expected `role: |structure| { ... },` or `role: 2 processes, |structure| { ... },`, at last `always: ",
            "|structure| { ... },`, `finally: |structure| { ... },` and `with: .setting(value),`, and there is `",
            stringify!($($rest)*), "`"
        ));
    };
    (@define $name:ident [$($tests:tt)+] [$($generics:tt)*] [$($parameters:tt)*] $memory:ty, ($structure:ty) ($new:expr)
        [$(($role:ident, $number:tt, $at:ident, $body:block))+] [$($each:ident, $always:block)?] $finally:tt [$($with:tt)*]) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            pub(super) struct __Scenario $($generics)* ($structure);

            impl $($generics)* $crate::Structure for __Scenario $($parameters)* {
                type Memory = $memory;
                type Spec = $crate::spec::Assertions;
                $(
                    const INVARIANT: Option<fn(&Self)> = Some(|scenario| {
                        let $each = &scenario.0;
                        $always
                    });
                )?
                fn new(_: &()) -> Self {
                    __Scenario($new)
                }
                fn apply(&self, run: &$crate::spec::Run) {
                    $(
                        if run.is(stringify!($role)) {
                            let $at = &self.0;
                            $body
                        }
                    )+
                }
            }

            $crate::scenario!(@finally [$($generics)*] [$($parameters)*] $finally);

            $crate::suite!(
                $($tests)+
                $($role: $number processes, 1..=1 ops of $crate::suite::run(stringify!($role)),)+
                with: .cases(1) $($with)*,
            );
        }
    };
    (@finally $generics:tt $parameters:tt []) => {};
    (@finally [$($generics:tt)*] [$($parameters:tt)*] [$at:ident, $body:block]) => {
        impl $($generics)* Drop for __Scenario $($parameters)* {
            fn drop(&mut self) {
                let $at = &self.0;
                $body
            }
        }
    };
    ($($other:tt)*) => {
        compile_error!("scenario!: expected `name: Structure<_>, new: expression, role: |structure| { ... },`");
    };
}
