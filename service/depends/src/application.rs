//! What all requests share: values, singletons, what stands in for what, and the tasks that end cancelled requests.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tower_layer::Layer;

use crate::dependency::{Dependency, Key, Make, Value};
use crate::ending::run;
use crate::flight::Flights;
use crate::hook::Outcome;
use crate::scope::Hooks;
use crate::{Context, Depends, DependsLayer, Error};

/// How long a hook may take at the end of a request, unless the builder is told otherwise.
const END_WITHIN: Duration = Duration::from_secs(30);

/// What all requests of an application share. Clones are the same.
#[derive(Debug, Clone)]
pub struct Dependencies(pub(crate) Arc<Application>);

/// Says what all requests share.
#[derive(Debug)]
pub struct Builder {
    provided: HashMap<TypeId, Provided>,
    end_within: Duration,
}

/// Where a dependency comes from, if not from its own `resolve` at each request.
#[derive(Default)]
struct Provided {
    value: Option<Value>,
    make: Option<Make>,
    singleton: bool,
}

/// The shared part of [`Dependencies`].
#[derive(Debug)]
pub(crate) struct Application {
    provided: HashMap<TypeId, Provided>,
    pub(crate) flights: Flights,
    /// What singletons do when the application ends.
    pub(crate) hooks: Hooks,
    pub(crate) end_within: Duration,
    tasks: TaskTracker,
    /// Where tasks run that are begun outside of a runtime.
    runtime: OnceLock<Handle>,
}

/// Where a dependency comes from.
pub(crate) enum Source {
    /// It is here.
    Value(Value),
    /// It is the application's, and made by its own `resolve` or in another way.
    Application(Option<Make>),
    /// It is the request's, and made by its own `resolve` or in another way.
    Request(Option<Make>),
}

impl Dependencies {
    /// With nothing yet.
    pub fn builder() -> Builder {
        Builder { provided: HashMap::new(), end_within: END_WITHIN }
    }

    /// The layer that gives them to every request.
    pub fn layer(&self) -> DependsLayer {
        DependsLayer::new(self.clone())
    }

    /// The layer around `service`, such as tonic's `Routes` or the gRPC services behind a transcoder.
    pub fn serve<S>(&self, service: S) -> Depends<S> {
        self.layer().layer(service)
    }

    /// A dependency of the application: one that has been given to the builder, or whatever needs no request. To resolve
    /// singletons at the start, so that what is wrong is known before the first request.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn get<T: Dependency>(&self) -> Result<Arc<T>, Error> {
        Context::of_application(self).get::<T>().await
    }

    /// Waits until every request that was cancelled has been ended by its dependencies, and then ends the singletons,
    /// last resolved first. To be called when no more requests come; what they still ask for is an error.
    ///
    /// # Errors
    /// The first that a singleton's hook answers; the others run all the same.
    pub async fn close(&self) -> Result<(), Error> {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        run(self.0.hooks.end(Outcome::Success), Outcome::Success, self.0.end_within).await
    }
}

impl Builder {
    /// A value that is there already: [`Context::value`] has it, and if `T` is a [`Dependency`], it stands for it.
    pub fn value<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.shared(Arc::new(value))
    }

    /// The same for a value that others share.
    pub fn shared<T: Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.provide::<T>().value = Some(value);
        self
    }

    /// Has `T` resolved once for the application, when it is first asked for. It may ask for values and for what needs no
    /// request, which is then resolved for the application as well.
    pub fn singleton<T: Dependency>(mut self) -> Self {
        self.provide::<T>().singleton = true;
        self
    }

    /// Has `T` resolved by this function instead of its own `resolve`: for tests, or because the type cannot know how.
    /// A value given by [`Builder::value`] goes first.
    ///
    /// ```
    /// # use depends::{Dependencies, Dependency, Error};
    /// # struct CurrentUser(String);
    /// # impl Dependency for CurrentUser {}
    /// let dependencies = Dependencies::builder()
    ///     .resolve_with(|_context| async { Ok(CurrentUser("alice".to_owned())) })
    ///     .build();
    /// ```
    pub fn resolve_with<T, F, R>(mut self, resolve: F) -> Self
    where
        T: Dependency,
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.provide::<T>().make = Some(Arc::new(move |context| {
            let resolving = resolve(context);
            Box::pin(async move { resolving.await.map(|value| Arc::new(value) as Value) })
        }));
        self
    }

    /// How long a hook may take at the end of a request before it is given up; 30 seconds if nothing is said.
    pub fn end_within(mut self, limit: Duration) -> Self {
        self.end_within = limit;
        self
    }

    /// All of it.
    pub fn build(self) -> Dependencies {
        Dependencies(Arc::new(Application {
            provided: self.provided,
            flights: Flights::default(),
            hooks: Hooks::default(),
            end_within: self.end_within,
            tasks: TaskTracker::new(),
            runtime: OnceLock::new(),
        }))
    }

    fn provide<T: 'static>(&mut self) -> &mut Provided {
        self.provided.entry(TypeId::of::<T>()).or_default()
    }
}

impl Application {
    /// Where a dependency comes from.
    pub(crate) fn source(&self, key: Key) -> Source {
        match self.provided.get(&key.id()) {
            Some(Provided { value: Some(value), .. }) => Source::Value(Arc::clone(value)),
            Some(Provided { singleton: true, make, .. }) => Source::Application(make.clone()),
            Some(Provided { make, .. }) => Source::Request(make.clone()),
            None => Source::Request(None),
        }
    }

    /// A value that is there already.
    pub(crate) fn value(&self, key: Key) -> Option<Value> {
        self.provided.get(&key.id())?.value.clone()
    }

    /// Notes the runtime that this is called in.
    pub(crate) fn note_runtime(&self) {
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            // Another request may have been faster.
            let _ = self.runtime.set(runtime);
        }
    }

    /// Runs what ends a request to its end, though nobody waits for it but [`Dependencies::close`].
    pub(crate) fn spawn(&self, ending: impl Future<Output = ()> + Send + 'static) {
        match Handle::try_current().ok().as_ref().or(self.runtime.get()) {
            Some(runtime) => drop(self.tasks.spawn_on(ending, runtime)),
            None => {
                tracing::warn!("a request ended outside of a runtime; what its dependencies do at the end is left out")
            }
        }
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, make) = (self.value.is_some(), self.make.is_some());
        write!(formatter, "Provided {{ value: {value}, make: {make}, singleton: {} }}", self.singleton)
    }
}
