//! The end of a request, which comes exactly once: in order, with an outcome, or because everything was dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::Error;
use crate::application::Application;
use crate::hook::{Hook, Outcome};
use crate::scope::Scope;

type Running = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// What is owed to a request: its hooks. If it is dropped before they have run, they run on a task.
pub(crate) struct Ending {
    application: Arc<Application>,
    scope: Arc<Scope>,
    state: State,
}

enum State {
    Open,
    Running(Running),
    Over,
}

impl Ending {
    pub(crate) fn new(application: Arc<Application>, scope: Arc<Scope>) -> Self {
        Self { application, scope, state: State::Open }
    }

    /// Whether nobody can have hooks run any more, and nobody has.
    pub(crate) fn is_needless(&self) -> bool {
        // Besides this, only the request's extensions know the scope; they are gone when the handler has let go of them.
        Arc::strong_count(&self.scope) == 1 && self.scope.hooks().is_empty()
    }

    /// Runs the hooks. The outcome is that of the first call.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, outcome: Outcome) -> Poll<Result<(), Error>> {
        loop {
            match &mut self.state {
                State::Open => {
                    let hooks = self.scope.hooks().end(outcome);
                    if hooks.is_empty() {
                        self.state = State::Over;
                    } else {
                        self.state = State::Running(Box::pin(run(hooks, outcome, self.application.end_within)));
                    }
                }
                State::Running(running) => {
                    let result = ready!(running.as_mut().poll(context));
                    self.state = State::Over;
                    return Poll::Ready(result);
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let running = match std::mem::replace(&mut self.state, State::Over) {
            State::Over => return,
            State::Running(running) => running,
            State::Open => {
                let outcome = if std::thread::panicking() { Outcome::Panicked } else { Outcome::Cancelled };
                let hooks = self.scope.hooks().end(outcome);
                if hooks.is_empty() {
                    return;
                }
                Box::pin(run(hooks, outcome, self.application.end_within))
            }
        };
        // Each hook has logged its failure.
        self.application.spawn(async move { drop(running.await) });
    }
}

/// Runs hooks, the last first. The first failure makes the outcome of those that come after.
///
/// # Errors
/// The first failure, if there was a success to spoil.
pub(crate) async fn run(mut hooks: Vec<Hook>, mut outcome: Outcome, limit: Duration) -> Result<(), Error> {
    let mut result = Ok(());
    while let Some(hook) = hooks.pop() {
        if let Err(error) = hook.run(outcome, limit).await
            && outcome.is_success()
        {
            outcome = Outcome::Failure(error.code());
            result = Err(error);
        }
    }
    result
}
