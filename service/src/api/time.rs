//! Times as the contract has them.

use prost_types::Timestamp;

/// Microseconds since the Unix epoch as a timestamp.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_the_microseconds_of_its_time() {
        assert_eq!(timestamp(1_790_000_000_000_001), Timestamp { seconds: 1_790_000_000, nanos: 1_000 });
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
    }
}
