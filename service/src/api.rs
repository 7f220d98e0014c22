//! The gRPC services: messages in, messages out, nothing decided here.

mod auth;
mod chat;
mod models;

pub(crate) use auth::AuthApi;
pub(crate) use chat::ChatApi;
pub(crate) use models::ModelsApi;
