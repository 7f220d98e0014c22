//! The gRPC services: messages in, messages out, nothing decided here.

mod act;
mod audit;
mod auth;
mod budgets;
mod chat;
mod clients;
mod grant;
mod keys;
mod limits;
mod models;
mod paging;
mod prices;
mod reach;
mod requests;
mod teams;
mod time;
mod usage;
mod users;

pub(crate) use act::act;
pub(crate) use audit::AuditLogApi;
pub(crate) use auth::AuthApi;
pub(crate) use budgets::BudgetsApi;
pub(crate) use chat::ChatApi;
pub(crate) use clients::ClientsApi;
pub(crate) use keys::KeysApi;
pub(crate) use limits::LimitsApi;
pub(crate) use models::ModelsApi;
pub(crate) use prices::PricesApi;
pub(crate) use reach::Reach;
pub(crate) use requests::RequestLogApi;
pub(crate) use teams::TeamsApi;
pub(crate) use usage::UsageApi;
pub(crate) use users::UsersApi;
