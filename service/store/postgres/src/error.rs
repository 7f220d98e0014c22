//! Turns what sqlx and Postgres say into the store's own error. The only file that knows Postgres' error codes.

use sabir_store::{StoreError, StoreErrorKind};

/// The store's error for a failed action, such as "writing usage rows".
pub(crate) fn store_error(action: &str, error: &sqlx::Error) -> StoreError {
    StoreError::new(kind(error), format!("{action}: {error}"))
}

/// Whether rows were to go into a partition that has just lost its claim to them: their statement was waiting while a
/// partition for their month was made. It finds that one the next time. Other checks have a name.
pub(crate) fn is_misdirected(error: &sqlx::Error) -> bool {
    // check_violation
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some("23514") && error.constraint().is_none())
}

/// What kind of trouble it is. Codes and classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn kind(error: &sqlx::Error) -> StoreErrorKind {
    if matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) {
        return StoreErrorKind::Corrupt;
    }
    let Some(code) = error.as_database_error().and_then(|error| error.code()) else {
        // No answer from the server: it is away, or all connections are taken.
        return StoreErrorKind::Unavailable;
    };
    if is_misdirected(error) {
        return StoreErrorKind::Unavailable;
    }
    match (&*code, code.get(..2)) {
        // unique_violation
        ("23505", _) => StoreErrorKind::Taken,
        // Data that does not fit, and integrity constraints.
        (_, Some("22" | "23")) => StoreErrorKind::Constraint,
        // data_corrupted, index_corrupted
        ("XX001" | "XX002", _) => StoreErrorKind::Corrupt,
        // undefined_table, undefined_column, undefined_function, and a schema that is not there. The queries themselves are
        // checked when they are built.
        ("42P01" | "42703" | "42883" | "3F000", _) => StoreErrorKind::Schema,
        // Shutting down, read-only, out of connections, memory or disk, deadlocks, timeouts: it may work later.
        _ => StoreErrorKind::Unavailable,
    }
}
