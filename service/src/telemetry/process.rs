//! What the process itself takes of the machine, from `/proc`. On systems without it, nothing is said.

use std::fs;

use super::catalogue;
use super::family::{Family, Value};

/// How many ticks of `/proc/self/stat` make a second: what Linux shows to programs, on every architecture of ours.
const TICKS: f64 = 100.0;

/// What can be found out.
pub(crate) fn read() -> Vec<Family> {
    let cpu = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat));
    let memory = fs::read_to_string("/proc/self/status").ok().and_then(|status| resident_bytes(&status));
    let files = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64);
    let single = |metric, value| Family::single(metric, value);
    let cpu = cpu.map(|seconds| single(&catalogue::CPU, Value::Real(seconds)));
    let memory = memory.map(|bytes| single(&catalogue::MEMORY, Value::Whole(bytes)));
    let files = files.map(|files| single(&catalogue::FILES, Value::Whole(files)));
    cpu.into_iter().chain(memory).chain(files).collect()
}

/// The 14th and 15th field; the second is a name in brackets that may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_beside_names_that_hold_anything() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 2400 0 0 0 250 50 0 0 20 0 4 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(resident_bytes("Name:\tsabir\nVmRSS:\t   2048 kB\nThreads:\t4\n"), Some(2 << 20));
        assert_eq!(cpu_seconds("nothing"), None);
        assert_eq!(resident_bytes("nothing"), None);
    }
}
