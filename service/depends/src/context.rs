//! What a dependency is given to resolve itself with: the request, the other dependencies, and a place for what it has to
//! do at the end.

use std::future::Future;
use std::sync::Arc;

use crate::Error;
use crate::application::{Application, Dependencies, Source};
use crate::dependency::{Dependency, Key, Make, Value, downcast, make};
use crate::head::Head;
use crate::hook::{Hook, Outcome};
use crate::scope::Scope;

/// What the log is told of errors that are no business of the caller.
const FAILED: &str = "a dependency failed";

/// One request, as its dependencies see it; or the application, as its singletons do. Clones are the same.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) application: Arc<Application>,
    /// None for what is resolved for the application.
    pub(crate) scope: Option<Arc<Scope>>,
    /// The dependency that is being resolved with it; none for a handler.
    asker: Option<Key>,
}

impl Context {
    pub(crate) fn of_request(application: Arc<Application>, scope: Arc<Scope>) -> Self {
        Self { application, scope: Some(scope), asker: None }
    }

    pub(crate) fn of_application(dependencies: &Dependencies) -> Self {
        Self { application: Arc::clone(&dependencies.0), scope: None, asker: None }
    }

    /// Another dependency. It is resolved once for each request, however many ask for it and at whatever time; each of
    /// them is given the same value, or the same error.
    ///
    /// # Errors
    /// Why it cannot be had; a circle of dependencies is an error that names the way round.
    pub async fn get<T: Dependency>(&self) -> Result<Arc<T>, Error> {
        let key = Key::of::<T>();
        let value = match self.application.source(key) {
            Source::Value(value) => value,
            Source::Application(given) => self.resolve_for_application(key, given, make::<T>).await?,
            Source::Request(given) => match &self.scope {
                Some(scope) => self.resolve(scope, key, given, make::<T>).await?,
                None => self.resolve_for_application(key, given, make::<T>).await?,
            },
        };
        downcast(value)
    }

    /// A value that the builder was given, of any type.
    ///
    /// # Errors
    /// When there is none of this type.
    pub fn value<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, Error> {
        let key = Key::of::<T>();
        downcast(self.application.value(key).ok_or_else(|| Error::missing(key.name))?)
    }

    /// What the request says besides its message.
    ///
    /// # Errors
    /// For a singleton, which belongs to no request.
    pub fn head(&self) -> Result<&Head, Error> {
        self.scope.as_ref().and_then(|scope| scope.head.get()).ok_or_else(Error::no_request)
    }

    /// Has something done when the request is over, or for a singleton, when the application is: on success, on error, and
    /// when nobody waits for the answer any more. What comes last is done first, one after the other.
    ///
    /// On success the status of the answer waits for it, and an error turns the answer into that error; those that come
    /// after are told so. In all other cases an error is for the log. If the request is over already, it is done at once.
    pub fn on_end<F, R>(&self, hook: F)
    where
        F: FnOnce(Outcome) -> R + Send + 'static,
        R: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let hook = Hook::new(self.asker.map_or("handler", |asker| asker.name), hook);
        let hooks = self.scope.as_ref().map_or(&self.application.hooks, |scope| scope.hooks());
        if let Err((hook, outcome)) = hooks.add(hook) {
            // What is begun after a success can no longer be part of it.
            let outcome = if outcome.is_success() && self.scope.is_some() { Outcome::Cancelled } else { outcome };
            let limit = self.application.end_within;
            // The hook has logged its failure.
            self.application.spawn(async move { drop(hook.run(outcome, limit).await) });
        }
    }

    /// Resolves it for the request, or waits for whoever does.
    async fn resolve(
        &self,
        scope: &Arc<Scope>,
        key: Key,
        given: Option<Make>,
        own: fn(Self) -> crate::dependency::Making,
    ) -> Result<Value, Error> {
        let slot = scope.slot(key);
        if let Some(resolved) = slot.get() {
            return resolved.clone();
        }
        let _waiting = scope.wait(self.asker, key)?;
        let resolved = slot.get_or_init(|| async {
            if scope.hooks().ended() {
                return Err(Error::over().of(key.name));
            }
            let context = Self { asker: Some(key), ..self.clone() };
            let making = given.map_or_else(|| own(context.clone()), |given| given(context.clone()));
            making.await.map_err(|error| error.of(key.name).log(FAILED))
        });
        resolved.await.clone()
    }

    /// Resolves it for the application, or waits for whoever does.
    async fn resolve_for_application(
        &self,
        key: Key,
        given: Option<Make>,
        own: fn(Self) -> crate::dependency::Making,
    ) -> Result<Value, Error> {
        let flights = &self.application.flights;
        if let Some(value) = flights.landed(key) {
            return Ok(value);
        }
        // A request's dependency is waited for by no singleton, so that it can close no circle.
        let asker = self.asker.filter(|_| self.scope.is_none());
        let make = || {
            let context = Self { application: Arc::clone(&self.application), scope: None, asker: Some(key) };
            let making = given.map_or_else(|| own(context.clone()), |given| given(context.clone()));
            Box::pin(async move { making.await.map_err(|error| error.of(key.name).log(FAILED)) }) as _
        };
        flights.join(asker, key, make).await
    }
}
