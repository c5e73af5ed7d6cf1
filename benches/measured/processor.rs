//! Processor time: on a machine with other work, it says more than time.

use std::time::Duration;

/// Returns the processor time that this process and its descendants have used so far, from `/proc/PID/task/*/schedstat`;
/// that of descendants that have ended counts from `/proc/PID/stat`, in hundredths of a second.
pub(crate) fn used() -> Duration {
    let mut processes = vec![std::process::id()];
    let mut used = Duration::ZERO;
    while let Some(process) = processes.pop() {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        for thread in threads(process) {
            let [running, children] = ["schedstat", "children"]
                .map(|file| text(&format!("/proc/{process}/task/{thread}/{file}")));
            let running = running.split(' ').next();
            let running = running.and_then(|nanoseconds| nanoseconds.parse().ok());
            used += Duration::from_nanos(running.unwrap_or(0));
            processes.extend(
                children
                    .split_whitespace()
                    .map_while(|id| id.parse::<u32>().ok()),
            );
        }
        // Behind the name in brackets: state, then 12 fields, then those of ended children.
        let stat = text(&format!("/proc/{process}/stat"));
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ended = fields.skip(13).take(2);
        let ended = ended.map_while(|ticks| ticks.parse::<u64>().ok());
        used += Duration::from_millis(10 * ended.sum::<u64>());
    }
    used
}

fn threads(process: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{process}/task"));
    let entries = entries.into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
