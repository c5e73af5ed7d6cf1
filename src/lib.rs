//! forkcheck checks the memory that processes share.

pub mod memory;
pub mod process;
pub mod publish;
pub mod region;

mod error;

pub use error::Error;
pub use region::Region;
