//! What the process takes of its machine, as Linux tells it.

use std::{
    fmt, fs, io,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::page::Page;

/// The process now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    resident_bytes: u64,
    cpu_seconds: f64,
    open_fds: u64,
    started_s: f64,
}

impl Process {
    /// Looks at `/proc/self`. Blocks for a moment.
    pub(super) fn look(started: SystemTime) -> io::Result<Self> {
        let statm = fs::read_to_string("/proc/self/statm")?;
        let pages = number(&statm, 1).ok_or_else(|| unread("statm"))?;
        let stat = fs::read_to_string("/proc/self/stat")?;
        // The program's name, in brackets, may have spaces and brackets in it.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = number(rest, 11).zip(number(rest, 12)).map(|(user, system)| user + system);
        let ticks = ticks.ok_or_else(|| unread("stat"))?;
        // The one that is open for looking is not counted.
        let open_fds = (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1);
        Ok(Self {
            resident_bytes: pages.saturating_mul(rustix::param::page_size() as u64),
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            open_fds,
            started_s: started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        })
    }
}

fn number(text: &str, at: usize) -> Option<u64> {
    text.split_ascii_whitespace().nth(at)?.parse().ok()
}

fn unread(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/self/{name} is not as Linux writes it"))
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.gauge("process_resident_memory_bytes", "Memory of the process", self.resident_bytes)?;
        page.counter("process_cpu_seconds", "Processor time of the process", self.cpu_seconds)?;
        page.gauge("process_open_fds", "Open file descriptors", self.open_fds)?;
        page.gauge("process_start_time_seconds", "When the node started, since 1970", self.started_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_open_files() {
        let process = Process::look(SystemTime::now()).unwrap();
        assert!(process.resident_bytes > 1 << 20 && process.open_fds >= 3 && process.started_s > 1e9);
        assert!(process.cpu_seconds >= 0.0);
    }
}
