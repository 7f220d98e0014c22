//! Claims about the transcoder as a whole, through its front door. A file for each part of it; `support` is shared.

mod binding;
mod cancellation;
mod encodings;
mod limits;
mod metadata;
pub(crate) mod notes;
mod parameters;
mod protocols;
mod routes;
mod streams;
pub(crate) mod support;
mod updates;
mod uploads;
mod validation;
