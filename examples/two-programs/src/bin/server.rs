//! Creates the page, does the jobs that come through it, and reports its progress.

use forkcheck::Region;
use forkcheck::region::Layout;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering::Release;
use two_programs::{Page, Place, STOP, place};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layout = Layout::of::<Page>();
    let region = match place()? {
        Place::Named(name) => {
            let region = Region::create(&name, layout)?;
            println!("ready");
            region
        }
        Place::Socket(path) => {
            let region = Region::memfd(layout)?;
            let listener = UnixListener::bind(path)?;
            println!("ready");
            region.send(&listener.accept()?.0)?;
            region
        }
    };
    let page: &Page = region.get(0)?;
    let (mut statistics, mut seen) = (page.statistics.writer(), [0, 0]);
    loop {
        match page.jobs.pop() {
            Some(STOP) => return Ok(()), // the name goes with the region
            Some(job) => {
                seen = [seen[0] + 1, seen[1] + job];
                statistics.write(seen);
                page.done.store(seen[0], Release);
            }
            None => std::thread::yield_now(),
        }
    }
}
