//! The article's first program: parent and child share one integer.

use forkcheck::{Error, Region, process};
use std::sync::atomic::{AtomicI32, Ordering};

fn main() -> Result<(), Error> {
    let region = Region::anonymous(size_of::<AtomicI32>())?;
    let an_int: &AtomicI32 = region.get(0)?;
    process::run(|| {
        println!("Child setting anInt to 1");
        an_int.store(1, Ordering::Relaxed);
    })?;
    println!("anInt is {} in parent", an_int.load(Ordering::Relaxed));
    Ok(())
}
