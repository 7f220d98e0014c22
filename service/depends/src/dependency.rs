//! What a dependency is, and how one is told from another. How it is resolved once, and when, is the context's business.

use std::any::{Any, TypeId, type_name};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{Context, Error};

/// A type that can be had for a request.
///
/// ```
/// use depends::{Context, Dependency, Error};
/// use tonic::Status;
///
/// struct CurrentUser(String);
///
/// impl Dependency for CurrentUser {
///     async fn resolve(context: &Context) -> Result<Self, Error> {
///         let name = context.head()?.metadata().get("x-user").and_then(|name| name.to_str().ok());
///         Ok(Self(name.ok_or_else(|| Status::unauthenticated("who are you?"))?.to_owned()))
///     }
/// }
/// ```
pub trait Dependency: Send + Sync + Sized + 'static {
    /// Makes the value. Called at most once for each request, or once for the application if it is a singleton, unless
    /// whoever asked first goes away in the middle: then the next one that waits begins anew.
    ///
    /// A type without a `resolve` of its own has to be given to the [`Builder`](crate::Builder).
    ///
    /// # Errors
    /// A [`Status`](tonic::Status) is what the caller is told; any other error is for the log, and the caller is told
    /// which dependency failed.
    fn resolve(context: &Context) -> impl Future<Output = Result<Self, Error>> + Send {
        let _ = context;
        async { Err(Error::missing(type_name::<Self>())) }
    }
}

/// A resolved value whose type is known by its [`Key`].
pub(crate) type Value = Arc<dyn Any + Send + Sync>;

/// A value on its way.
pub(crate) type Making = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send>>;

/// Begins to make a value.
pub(crate) type Make = Arc<dyn Fn(Context) -> Making + Send + Sync>;

/// Which dependency it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    id: TypeId,
    /// The path of the type, for people.
    pub(crate) name: &'static str,
}

impl Key {
    /// The key of a type.
    pub(crate) fn of<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }

    /// The key for tables.
    pub(crate) fn id(self) -> TypeId {
        self.id
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// Resolves a `T`, its type forgotten. Boxed, so that types which ask for each other in a circle compile, and can be told
/// of it when they run.
pub(crate) fn make<T: Dependency>(context: Context) -> Making {
    Box::pin(async move { T::resolve(&context).await.map(|value| Arc::new(value) as Value) })
}

/// The value as what its key says it is.
pub(crate) fn downcast<T: Send + Sync + 'static>(value: Value) -> Result<Arc<T>, Error> {
    // Values are only ever put where the key of their type leads.
    value.downcast().map_err(|_| Error::missing(type_name::<T>()))
}
