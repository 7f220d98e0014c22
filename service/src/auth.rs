//! Who calls, and what they may do.
//!
//! Identity comes from the head of a request alone, before its body is read. What comes out is a [`Principal`] in the
//! request's extensions, the same for every protocol.

mod password;
mod principal;
mod refusal;
mod scope;

pub(crate) use password::{PasswordError, Passwords};
pub(crate) use principal::fits;
pub(crate) use principal::{Identity, Principal};
pub(crate) use refusal::Refusal;
pub(crate) use scope::{Scope, Scopes};
