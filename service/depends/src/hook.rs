//! What is done when a request is over: hooks, in the reverse of the order in which they came.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::Code;

use crate::Error;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler answered with status OK; of a stream, the whole stream did. The caller has not been told yet: a hook
    /// that fails now turns the answer into an error.
    Success,
    /// The caller is told this code.
    Failure(Code),
    /// Nobody waits for the answer any more: the client went away, or the deadline has passed.
    Cancelled,
    /// The handler panicked.
    Panicked,
}

impl Outcome {
    /// Whether what the request did is to stay.
    pub fn is_success(self) -> bool {
        self == Self::Success
    }
}

type Run = Box<dyn FnOnce(Outcome) -> Running + Send>;
type Running = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// What one dependency has to do at the end.
pub(crate) struct Hook {
    /// Whose hook it is, for the log.
    name: &'static str,
    run: Run,
}

impl Hook {
    pub(crate) fn new<F, R>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(Outcome) -> R + Send + 'static,
        R: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self { name, run: Box::new(|outcome| Box::pin(run(outcome))) }
    }

    /// Runs it, for at most `limit`. A panic is a failure like any other: other hooks still have to run.
    pub(crate) async fn run(self, outcome: Outcome, limit: Duration) -> Result<(), Error> {
        let Self { name, run } = self;
        let caught = Caught(Box::pin(async move { run(outcome).await }));
        let result = match tokio::time::timeout(limit, caught).await {
            Ok(result) => result,
            Err(_) => Err(Error::late()),
        };
        result.map_err(|error| error.of(name).log("what a dependency does at the end of a request failed"))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hook({})", self.name)
    }
}

/// A future whose panics are errors.
pub(crate) struct Caught<T>(pub(crate) Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>);

impl<T> Future for Caught<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic the future is not polled again, so that nobody sees what it left half done.
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(Error::panicked())))
    }
}
