//! Times as the contract has them.

use prost_types::Timestamp;
use tonic::Status;

use crate::error::field_status;

/// Microseconds since the Unix epoch as a timestamp.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// A timestamp as microseconds since the Unix epoch; what is finer is left out.
///
/// # Errors
/// It is beyond what a timestamp may be, the years 1 to 9999.
pub(crate) fn micros(field: &str, time: Timestamp) -> Result<i64, Status> {
    let valid = (-62_135_596_800..=253_402_300_799).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    match valid {
        true => Ok(time.seconds * 1_000_000 + i64::from(time.nanos / 1_000)),
        false => Err(field_status(field, "is no timestamp")),
    }
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
