#![doc = include_str!("../README.md")]

mod application;
mod body;
mod context;
mod deadline;
mod dependency;
mod ending;
mod error;
mod flight;
mod head;
mod hook;
mod layer;
mod request;
mod scope;
mod waits;

pub use application::{Builder, Dependencies};
pub use context::Context;
pub use dependency::Dependency;
pub use error::Error;
pub use head::Head;
pub use hook::Outcome;
pub use layer::{Depends, DependsLayer, ResponseFuture};
pub use request::RequestExt;
