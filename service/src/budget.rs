//! Budgets in money: a call reserves the most it can cost before it asks anybody, and is charged what it really cost
//! whichever way it ends.
//!
//! Nothing here waits for the database while there is room: a replica leases parts of a budget and spends them by itself
//! (`line`, `account`), and a task in the background (`keeper`) reports what was spent and fetches more. Only where a
//! budget is nearly spent, or is used for the first time, calls wait for that task. It knows principals and prices; what
//! a chat is, it does not.

mod account;
mod book;
mod config;
#[cfg(test)]
mod fixture;
mod keeper;
mod line;
mod price;
mod prices;
mod reservation;
mod table;

pub(crate) use book::{Asked, Budgets};
pub use config::{Config, PricesConfig, Unpriced};
pub(crate) use price::{TokenCount, dollars, nanos};
pub use prices::PricesError;
pub(crate) use prices::{Prices, table_of};
pub(crate) use reservation::{Denied, Reservation, Standing};
pub(crate) use table::{Change, Entry, PriceTable};
