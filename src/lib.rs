//! forkcheck checks the memory that processes share.

#[cfg(feature = "harness")]
pub mod case;
#[cfg(feature = "harness")]
pub mod check;
pub mod memory;
pub mod process;
pub mod publish;
pub mod region;
#[cfg(feature = "harness")]
pub mod subject;

mod error;

pub use error::Error;
pub use region::Region;
