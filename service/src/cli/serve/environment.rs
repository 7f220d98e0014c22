//! Settings that libraries read from the environment alone, once, before the program's first line.
//!
//! Where the caller has not set them, the program sets them and starts itself anew in the same process, so that process
//! id, file descriptors and signals stay what they were. It knows the variables and nothing of what is served.

use std::env;
use std::ffi::OsString;
use std::process::Command;

/// How long freed memory is kept before it goes back to the system, in milliseconds. With mimalloc's own 10 ms every
/// chunk of a slow stream pays for pages that were given back since the last one.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10000");

/// The threads of the local model: all processors but one, so that serving goes on beside it. By themselves they would
/// take every processor, and they wait by spinning.
const MODEL_THREADS: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// Returns when the environment is as it should be, or cannot be made so.
pub(super) fn prepare() {
    let missing = missing(|name| env::var_os(name).is_some(), available());
    if missing.is_empty() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut command = Command::new(program);
    command.args(env::args_os().skip(1)).envs(missing);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;

        if let Some(name) = env::args_os().next() {
            command.arg0(name);
        }
        // Comes back only when it fails, and then the program is merely a little slower.
        let _ = command.exec();
    }
}

fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The variables that nobody has set, and their values here.
fn missing(is_set: impl Fn(&str) -> bool, processors: usize) -> Vec<(&'static str, OsString)> {
    let mut missing = Vec::new();
    if !is_set(PURGE_DELAY.0) {
        missing.push((PURGE_DELAY.0, PURGE_DELAY.1.into()));
    }
    if !MODEL_THREADS.into_iter().any(&is_set) {
        missing.push((MODEL_THREADS[0], processors.saturating_sub(1).max(1).to_string().into()));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_set_is_left_alone() {
        assert!(missing(|_| true, 8).is_empty());
        let only_rayon = missing(|name| name == "RAYON_NUM_THREADS", 8);
        assert_eq!(only_rayon, [("MIMALLOC_PURGE_DELAY", OsString::from("10000"))]);
    }

    #[test]
    fn one_processor_is_left_to_serving_where_there_are_several() {
        for (processors, threads) in [(1, "1"), (2, "1"), (8, "7")] {
            assert_eq!(missing(|name| name == PURGE_DELAY.0, processors), [("CANDLE_NUM_THREADS", threads.into())]);
        }
    }

    #[test]
    fn a_prepared_environment_is_not_prepared_again() {
        let first = missing(|_| false, 4);
        assert!(missing(|name| first.iter().any(|(set, _)| *set == name), 4).is_empty());
    }
}
