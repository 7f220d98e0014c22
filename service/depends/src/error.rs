//! Why a dependency cannot be had, and what the caller is told of it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tonic::{Code, Status};

/// Why a dependency cannot be had.
///
/// Made by `?` from any error. A [`Status`] among them is the word of whoever wrote the dependency to the caller, and
/// reaches the caller as it is. Everything else is nobody's business but the operator's: the caller is told
/// `INTERNAL` and the name of the dependency, and the log what happened.
///
/// It is no [`std::error::Error`] itself, because `?` could not be for all errors then; the status it becomes has one as
/// its source.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    cause: Cause,
    /// The dependencies that failed because of it, the one that was asked for first in front.
    path: Vec<&'static str>,
    logged: bool,
}

/// What happened.
#[derive(Debug, Clone, thiserror::Error)]
enum Cause {
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Status),
    #[error("{0}")]
    Failed(Arc<dyn std::error::Error + Send + Sync>),
    #[error("the dependencies form a circle: {0}")]
    Cycle(String),
    #[error("nobody provides it")]
    Missing,
    #[error("it needs a request, and is asked for outside of one")]
    NoRequest,
    #[error("the request is over")]
    Over,
    #[error("the service has no DependsLayer around it")]
    NoLayer,
    #[error("it panicked")]
    Panicked,
    #[error("it took too long to end")]
    Late,
}

impl Error {
    fn new(cause: Cause) -> Self {
        Self(Box::new(Inner { cause, path: Vec::new(), logged: false }))
    }

    pub(crate) fn cycle(path: &[&'static str]) -> Self {
        let names: Vec<String> = path.iter().map(|name| short(name)).collect();
        Self::new(Cause::Cycle(names.join(" -> ")))
    }

    pub(crate) fn missing(name: &'static str) -> Self {
        Self::new(Cause::Missing).of(name)
    }

    pub(crate) fn no_request() -> Self {
        Self::new(Cause::NoRequest)
    }

    pub(crate) fn over() -> Self {
        Self::new(Cause::Over)
    }

    pub(crate) fn no_layer() -> Self {
        Self::new(Cause::NoLayer)
    }

    pub(crate) fn panicked() -> Self {
        Self::new(Cause::Panicked)
    }

    pub(crate) fn late() -> Self {
        Self::new(Cause::Late)
    }

    /// The same error, as that of the dependency `name`, which it keeps from being resolved.
    pub(crate) fn of(mut self, name: &'static str) -> Self {
        if self.0.path.first() != Some(&name) {
            self.0.path.insert(0, name);
        }
        self
    }

    /// Says it to the log, once, unless the author of a dependency meant it for the caller.
    pub(crate) fn log(mut self, event: &str) -> Self {
        if !self.0.logged && !matches!(self.0.cause, Cause::Status(_)) {
            self.0.logged = true;
            tracing::warn!(error = %self, "{event}");
        }
        self
    }

    /// The dependency that failed, and those that failed with it: `Accounts -> Session -> Pool`, where `Accounts` asked
    /// for `Session`, that for `Pool`, and that failed. Empty if it comes from no dependency.
    pub fn path(&self) -> String {
        let names: Vec<String> = self.0.path.iter().map(|name| short(name)).collect();
        names.join(" -> ")
    }

    /// The code that the caller is given.
    pub fn code(&self) -> Code {
        match &self.0.cause {
            Cause::Status(status) => status.code(),
            Cause::Late => Code::DeadlineExceeded,
            _ => Code::Internal,
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        match (&error as &dyn Any).downcast_ref::<Status>() {
            Some(status) => Self::new(Cause::Status(status.clone())),
            None => Self::new(Cause::Failed(Arc::new(error))),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if let Cause::Status(status) = error.0.cause {
            return status;
        }
        let message = match (&error.0.cause, error.0.path.last()) {
            // What a program said of its own inside is for its operator.
            (Cause::Failed(_), Some(name)) => format!("the dependency {} failed", short(name)),
            (Cause::Failed(_), None) => "a dependency failed".to_owned(),
            (Cause::Cycle(_) | Cause::NoLayer, _) | (_, None) => error.0.cause.to_string(),
            (cause, Some(name)) => format!("the dependency {}: {cause}", short(name)),
        };
        let mut status = Status::new(error.code(), message);
        status.set_source(Arc::new(Source(error)));
        status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.path.as_slice() {
            [] => write!(formatter, "{}", self.0.cause),
            _ => write!(formatter, "{}: {}", self.path(), self.0.cause),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Error({self})")
    }
}

/// The error as the source of a status.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Source(Error);

/// The name of a type without the modules it is in: `Session<Sqlite>` for `app::db::Session<sqlx::Sqlite>`.
pub(crate) fn short(name: &str) -> String {
    let mut shortened = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        // A type inside of a function has `{{closure}}` or `{impl#0}` in its path.
        let end = rest.find(|letter: char| !(letter.is_alphanumeric() || "_:{}#".contains(letter)));
        let (path, tail) = rest.split_at(end.unwrap_or(rest.len()));
        shortened.push_str(path.rsplit("::").next().unwrap_or(path));
        let separator = tail.chars().next().map_or(0, char::len_utf8);
        shortened.push_str(&tail[..separator]);
        rest = &tail[separator..];
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_without_their_modules() {
        for (name, expected) in [
            ("app::Session", "Session"),
            ("Session", "Session"),
            ("app::Session<sqlx::Sqlite, (a::B, &'static [c::D])>", "Session<Sqlite, (B, &'static [D])>"),
            ("app::run::{{closure}}::Session", "Session"),
            ("", ""),
        ] {
            assert_eq!(short(name), expected);
        }
    }

    #[test]
    fn a_status_reaches_the_caller_as_it_is() {
        let mut status = Status::with_details(Code::NotFound, "no such room", bytes::Bytes::from_static(b"why"));
        status.metadata_mut().insert("x-hint", tonic::metadata::MetadataValue::from_static("look upstairs"));
        let told = Status::from(Error::from(status).of("app::Room"));
        assert_eq!((told.code(), told.message(), told.details()), (Code::NotFound, "no such room", &b"why"[..]));
        assert_eq!(told.metadata().get("x-hint").unwrap(), "look upstairs");
    }

    #[test]
    fn any_other_error_is_named_to_the_caller_and_told_to_the_log() {
        let error = Error::from(std::io::Error::other("password wrong")).of("app::Pool").of("app::Session");
        assert_eq!(error.to_string(), "Session -> Pool: password wrong");
        let told = Status::from(error);
        assert_eq!((told.code(), told.message()), (Code::Internal, "the dependency Pool failed"));
        let source = std::error::Error::source(&told).unwrap();
        assert_eq!(source.to_string(), "Session -> Pool: password wrong");
    }
}
