//! The gRPC services: messages in, messages out, nothing decided here.

mod chat;
mod models;

pub(crate) use chat::ChatApi;
pub(crate) use models::ModelsApi;
