//! The gRPC services: messages in, messages out, nothing decided here.

mod auth;
mod budgets;
mod chat;
mod models;
mod paging;
mod prices;
mod time;

pub(crate) use auth::AuthApi;
pub(crate) use budgets::BudgetsApi;
pub(crate) use chat::ChatApi;
pub(crate) use models::ModelsApi;
pub(crate) use prices::PricesApi;
