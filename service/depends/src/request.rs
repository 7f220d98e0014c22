//! How a handler asks for its dependencies.

use std::future::Future;
use std::sync::Arc;

use tonic::{Request, Status};

use crate::head::Head;
use crate::{Context, Dependency, Error};

/// Dependencies of a request.
pub trait RequestExt {
    /// The request as its dependencies see it. To be kept where the request itself is taken apart, and by streams that
    /// ask for dependencies while they run.
    ///
    /// # Errors
    /// When there is no [`DependsLayer`](crate::DependsLayer) around the service.
    fn context(&self) -> Result<Context, Error>;

    /// A dependency of this request, resolved once however often it is asked for.
    ///
    /// # Errors
    /// What the caller is to be told: the status with which a dependency failed, or `INTERNAL` with its name.
    fn depends<T: Dependency>(&self) -> impl Future<Output = Result<Arc<T>, Status>> + Send + use<Self, T> {
        let context = self.context();
        async move { Ok(context?.get::<T>().await?) }
    }
}

impl<M> RequestExt for Request<M> {
    fn context(&self) -> Result<Context, Error> {
        let context = self.extensions().get::<Context>().ok_or_else(Error::no_layer)?;
        if let Some(scope) = &context.scope {
            scope.head.get_or_init(|| {
                let mut extensions = self.extensions().clone();
                // The request would hold itself.
                extensions.remove::<Context>();
                Head { arrival: scope.arrival.clone(), metadata: self.metadata().clone(), extensions }
            });
        }
        Ok(context.clone())
    }
}
