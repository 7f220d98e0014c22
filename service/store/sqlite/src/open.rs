//! Opens the database file: creates it if need be, brings its schema up to date, and says in plain words what is wrong
//! when that fails. It must not know any table.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sabir_store::{StoreError, StoreErrorKind};
use sqlx::{
    ConnectOptions,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    SqliteStore,
    error::{CANTOPEN, NOTADB, READONLY, result_code, store_error},
};

/// Every schema there ever was, oldest first. Released files are never edited: a database remembers their checksums.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// How to use the file. [`Default`] is meant for production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many connections may read at once. They are opened when they are needed.
    pub readers: u32,
    /// How long a statement waits while another process holds the file.
    pub busy_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { readers: 4, busy_timeout: Duration::from_secs(5) }
    }
}

/// Opens a database: `location` is a path, or a URL `sqlite:PATH` as in `DATABASE_URL`.
///
/// A new file can be read by its owner alone. Migrations that are missing are applied.
///
/// # Errors
/// `Unavailable` if the file cannot be made, opened or written, `Corrupt` if it is no SQLite database, `Schema` if it
/// belongs to a newer or an altered version of Sabir. The message names the path and the way out.
pub async fn open(location: &str, config: Config) -> Result<SqliteStore, StoreError> {
    let options = connect_options(location)?
        .busy_timeout(config.busy_timeout)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let path = options.get_filename().to_owned();
    create_private(&path)?;

    let pool = || SqlitePoolOptions::new().acquire_timeout(config.busy_timeout * 2).test_before_acquire(false);
    let writer = pool()
        // The one connection stays: closing it would run a checkpoint, and it has nothing to be refreshed for.
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone().journal_mode(SqliteJournalMode::Wal))
        .await
        .map_err(|error| open_error(&path, &error))?;
    if let Err(error) = MIGRATIONS.run(&writer).await {
        writer.close().await;
        return Err(migrate_error(&path, &error));
    }
    let readers = pool().max_connections(config.readers.max(1)).connect_lazy_with(options.read_only(true));
    tracing::debug!(path = %path.display(), "database is open");
    Ok(SqliteStore { writer, readers })
}

fn connect_options(location: &str) -> Result<SqliteConnectOptions, StoreError> {
    let unusable = |reason: &str| {
        // Only the scheme: another database's URL may hold a password.
        let scheme = location.split_once(':').map_or(location, |(scheme, _)| scheme);
        let message = format!("the database `{scheme}...` cannot be used: {reason}; give a path or `sqlite:PATH`");
        StoreError::new(StoreErrorKind::Unavailable, message)
    };
    if location.is_empty() || location.contains(":memory:") || location.contains("mode=memory") {
        // Every connection would see a database of its own.
        return Err(unusable("it names no file"));
    }
    if location.starts_with("sqlite:") {
        return SqliteConnectOptions::from_str(location).map_err(|error| unusable(&error.to_string()));
    }
    if location.contains("://") {
        return Err(unusable("only SQLite is supported"));
    }
    Ok(SqliteConnectOptions::new().filename(location))
}

/// Creates the file if there is none. SQLite would do so too, but readable by everyone where the umask allows; the
/// files it puts beside this one get the same permissions.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let reason = match options.open(path) {
        Ok(_created) => return Ok(()),
        Err(_) if path.is_dir() => "it is a folder; name a file in it".to_owned(),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("the folder {} does not exist; create it or choose another place", folder(path).display())
        }
        Err(error) => format!(
            "{error}; the folder {} must be writable for the user the service runs as, or choose another place",
            folder(path).display()
        ),
    };
    Err(unavailable(path, &reason))
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn unavailable(path: &Path, reason: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, format!("cannot open the database {}: {reason}", path.display()))
}

fn open_error(path: &Path, error: &sqlx::Error) -> StoreError {
    match result_code(error) {
        Some(NOTADB) => {
            let message = format!(
                "{} is not an SQLite database; nothing was changed in it; move it away or choose another place",
                path.display()
            );
            StoreError::new(StoreErrorKind::Corrupt, message)
        }
        Some(READONLY | CANTOPEN) => unavailable(
            path,
            &format!(
                "{error}; the file and the folder {} must be writable for the user the service runs as, or choose \
                 another place",
                folder(path).display()
            ),
        ),
        _ => store_error(&format!("opening the database {}", path.display()), error),
    }
}

fn migrate_error(path: &Path, error: &MigrateError) -> StoreError {
    let path_text = path.display();
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => open_error(path, error),
        MigrateError::VersionMissing(version) => {
            let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
            let message = format!(
                "{path_text} was written by a newer version of Sabir (schema {version}; this version knows up to \
                 {known}); run that version, or choose another place"
            );
            StoreError::new(StoreErrorKind::Schema, message)
        }
        other => {
            let message = format!(
                "{path_text} does not have the schema this version of Sabir expects ({other}); restore a backup, or \
                 choose another place"
            );
            StoreError::new(StoreErrorKind::Schema, message)
        }
    }
}
