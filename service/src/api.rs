//! The gRPC services: messages in, messages out, nothing decided here.

mod auth;
mod budgets;
mod chat;
mod limits;
mod models;
mod paging;
mod prices;
mod reach;
mod requests;
mod time;

pub(crate) use auth::AuthApi;
pub(crate) use budgets::BudgetsApi;
pub(crate) use chat::ChatApi;
pub(crate) use limits::LimitsApi;
pub(crate) use models::ModelsApi;
pub(crate) use prices::PricesApi;
pub(crate) use requests::RequestLogApi;
