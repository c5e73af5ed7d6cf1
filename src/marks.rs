//! Macros that mark points in the code of a structure.
#![allow(
    unsafe_code,
    reason = "each mark is a static in a section of the program: see `reached`"
)]

/// Marks a point in the code of a structure that executions should reach: a branch for a full ring,
/// a retry, a recovery. An `ok` lists the labels that no execution of the check reached, and with
/// `FORKCHECK_REQUIRE_REACHED=1` it fails for them.
///
/// A check lists labels of the module in which the structure is defined, and of each other module
/// of which it reached one. [`Suite::unreached`](crate::Suite::unreached) excuses a label that a
/// suite cannot reach. Outside of a check a mark is one relaxed load; without the feature `harness`
/// it is nothing.
///
#[cfg_attr(feature = "harness", doc = "```")]
#[cfg_attr(not(feature = "harness"), doc = "```ignore")]
/// use forkcheck::prelude::*;
/// use forkcheck::spec::{Queue, QueueOp, QueueRet};
///
/// /// A mailbox of one place.
/// struct Mailbox<M: Memory>(M::AtomicU64);
///
/// impl<M: Memory> Structure for Mailbox<M> {
///     type Memory = M;
///     type Spec = Queue<u64>;
///     fn new(_: &usize) -> Self { Mailbox(Atomic::new(0)) }
///     fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
///         match op {
///             QueueOp::Push(item) => {
///                 let put = self.0.compare_exchange(0, *item, Ordering::AcqRel, Ordering::Acquire);
///                 if put.is_err() {
///                     forkcheck::reached!("full");
///                     return QueueRet::Full;
///                 }
///                 QueueRet::Pushed
///             }
///             QueueOp::Pop => match self.0.swap(0, Ordering::AcqRel) {
///                 0 => QueueRet::Empty,
///                 item => {
///                     forkcheck::reached!("taken");
///                     QueueRet::Popped(item)
///                 }
///             },
///         }
///     }
/// }
///
/// let suite = |pushes| Suite::new(forkcheck::site!(), "mailbox")
///     .setup(Just(1))
///     .role("sender", 1, pushes, (1u64..9).prop_map(QueueOp::Push))
///     .role("receiver", 1, 1..=1, Just(QueueOp::Pop))
///     .cases(4)
///     .regressions(None);
/// use forkcheck::engine::Stepped;
/// let one = suite(1..=1);
/// let report = one.report_data(&one.check::<Stepped, Mailbox<_>>()?);
/// assert!(report.not_reached[0].starts_with("\"full\""));
/// let two = suite(2..=2);
/// let report = two.report_data(&two.check::<Stepped, Mailbox<_>>()?);
/// assert!(report.not_reached.is_empty());
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[macro_export]
macro_rules! reached {
    ($label:literal $(,)?) => {
        $crate::__mark!(true, $label, false)
    };
}

/// Marks a condition that should be true in some execution, though not in each: the ring was full,
/// two retries were needed. Where the condition is true, it acts as [`reached!`](crate::reached!).
/// The condition is evaluated in checks alone, so it must not change anything.
///
/// ```
/// let (pushed, popped) = (7, 7);
/// forkcheck::sometimes!(pushed == popped, "empty");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $label:literal $(,)?) => {
        $crate::__mark!($condition, $label, true)
    };
}

#[cfg(feature = "harness")]
#[doc(hidden)]
#[macro_export]
macro_rules! __mark {
    ($condition:expr, $label:literal, $is_conditional:literal) => {{
        #[used]
        #[unsafe(link_section = "forkcheck_marks")]
        static MARK: $crate::reached::Mark = $crate::reached::Mark {
            label: $label,
            module: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            is_conditional: $is_conditional,
        };
        if $crate::reached::is_checked() && $condition {
            $crate::reached::note(&MARK);
        }
    }};
}
#[cfg(not(feature = "harness"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __mark {
    ($condition:expr, $label:literal, $is_conditional:literal) => {
        if false {
            let _: bool = $condition;
        }
    };
}
