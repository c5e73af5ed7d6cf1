//! Opens the page that the server made, sends it a hundred jobs, and prints the results.

use forkcheck::Region;
use forkcheck::region::Layout;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Acquire;
use two_programs::{Page, Place, STOP, place};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layout = Layout::of::<Page>();
    let region = match place()? {
        Place::Named(name) => Region::open(&name, layout)?,
        Place::Socket(path) => Region::receive(&UnixStream::connect(path)?, layout)?,
    };
    let page: &Page = region.get(0)?;
    let send = |job| {
        while page.jobs.push(job).is_err() {
            std::thread::yield_now();
        }
    };
    (1..=100).for_each(send);
    while page.done.load(Acquire) < 100 {
        std::thread::yield_now();
    }
    let [count, sum] = page.statistics.read()?;
    println!("{count} jobs, sum {sum}");
    send(STOP);
    Ok(())
}
