//! Claims about real clients: OpenAI's SDKs, gRPC in Python, grpcurl and buf work with the server as their users expect.
//!
//! The claims themselves are made in each client's own language, beside this file; here the server, its upstream's scripts
//! and the client are brought together. `scripts/install-clients` installs what is called.

mod command_line;
mod contract;
mod local;
pub(crate) mod process;
mod scripted;
mod stubs;
