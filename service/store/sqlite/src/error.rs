//! Turns what sqlx and SQLite say into the store's own error. The only file that knows SQLite's result codes.

use sabir_store::{StoreError, StoreErrorKind};

/// Primary result codes, the low byte of an extended one. Source: <https://www.sqlite.org/rescode.html>
pub(crate) const READONLY: i32 = 8;
pub(crate) const CANTOPEN: i32 = 14;
pub(crate) const NOTADB: i32 = 26;
const ERROR: i32 = 1;
const CORRUPT: i32 = 11;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
/// The extended result code of a value that another row has where each must have its own.
const CONSTRAINT_UNIQUE: &str = "2067";

/// SQLite's primary result code, if the trouble came from SQLite.
pub(crate) fn result_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// The store's error for a failed action, such as "writing usage rows".
pub(crate) fn store_error(action: &str, error: &sqlx::Error) -> StoreError {
    let unique = error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == CONSTRAINT_UNIQUE);
    let kind = match (result_code(error), error) {
        _ if unique => StoreErrorKind::Taken,
        (Some(CONSTRAINT | MISMATCH), _) => StoreErrorKind::Constraint,
        (Some(CORRUPT | NOTADB), _) => StoreErrorKind::Corrupt,
        // At run time this is a missing table or column: the queries themselves are checked when they are built.
        (Some(ERROR), _) => StoreErrorKind::Schema,
        (None, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, format!("{action}: {error}"))
}
