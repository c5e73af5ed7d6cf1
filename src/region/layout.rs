//! Several values in one region: its length, and the place of each.
#![allow(unsafe_code, reason = "layout! makes a Resident of residents")]

use crate::memory::Resident;

/// The length of a region in bytes and, where a type says it, its content.
///
/// A number of bytes is a layout; [`Layout::of`] is that of a type. Two programs that share a
/// region by its name both give one, and opening compares them.
///
/// ```
/// use forkcheck::region::Layout;
/// use std::sync::atomic::AtomicU64;
/// assert_eq!(Layout::of::<[AtomicU64; 4]>().len(), 32);
/// assert_eq!(Layout::from(32).len(), 32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    len: usize,
    align: usize,
    /// Zero: only the length is known.
    shape: u64,
}

impl Layout {
    /// Returns the layout of a type.
    pub const fn of<T: Resident>() -> Self {
        Self {
            len: size_of::<T>(),
            align: align_of::<T>(),
            shape: T::SHAPE,
        }
    }

    /// Returns the length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "no caller needs it")]
    pub const fn len(self) -> usize {
        self.len
    }

    pub(super) const fn align(self) -> usize {
        self.align
    }

    pub(super) const fn shape(self) -> u64 {
        self.shape
    }
}

impl From<usize> for Layout {
    fn from(len: usize) -> Self {
        Self {
            len,
            align: 1,
            shape: 0,
        }
    }
}

/// Defines a structure of several values that lives in one region: `repr(C)`, with fields that are
/// all [`Resident`](crate::memory::Resident), which the compiler checks. Put each word that
/// different processes write into a [`Line`](crate::memory::Line) of its own. A crate that forbids
/// unsafe code may use it.
///
/// ```
/// use forkcheck::{Region, memory::Line, process, publish::SeqLock, region::Layout};
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// forkcheck::layout! {
///     /// What a worker tells.
///     pub struct Statistics {
///         pub requests: Line<AtomicU64>,
///         pub load: Line<SeqLock<[f64; 3]>>,
///     }
/// }
///
/// let region = Region::anonymous(size_of::<Statistics>())?;
/// let page: &Statistics = region.get(0)?;
/// process::run(|| {
///     page.requests.fetch_add(1, Relaxed);
///     page.load.writer().write([0.5, 0.25, 0.125]);
/// })?;
/// assert_eq!(page.requests.load(Relaxed), 1);
/// assert_eq!(page.load.read(), Ok([0.5, 0.25, 0.125]));
/// # Ok::<(), forkcheck::Error>(())
/// ```
/// The compiler refuses plain data, which another process may write at any time:
/// ```compile_fail
/// forkcheck::layout! {
///     pub struct Wrong { pub number: u64 }
/// }
/// ```
#[macro_export]
macro_rules! layout {
    ($(#[$about:meta])* $vis:vis struct $Name:ident { $($(#[$told:meta])* $seen:vis $field:ident: $Type:ty),+ $(,)? }) => {
        $(#[$about])*
        #[repr(C)]
        $vis struct $Name { $($(#[$told])* $seen $field: $Type),+ }

        // SAFETY: each field is a Resident, and between them is padding that is never read, so all
        // four clauses hold.
        unsafe impl $crate::memory::Resident for $Name {
            const SHAPE: u64 = $crate::memory::shape(
                concat!($(stringify!($field), ","),+),
                &[$(<$Type as $crate::memory::Resident>::SHAPE, ::core::mem::offset_of!($Name, $field) as u64),+],
            );
        }
    };
}
