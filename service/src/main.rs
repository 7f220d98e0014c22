//! The `sabir` program: reads the command line, builds the runtime the command needs, runs it.

use std::process::ExitCode;

use clap::Parser;
use sabir::cli::{
    Cli, Command, audit, budgets, chat, clients, config, health, keys, limits, migrate, models, openapi, prices,
    report, requests, serve, teams, usage, users,
};

/// Many small, short-lived allocations from many threads are what this program makes; this allocator is made for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    report(match Cli::parse().command {
        Command::Serve(arguments) => serve::main(arguments),
        Command::Health(arguments) => health::main(arguments),
        Command::Config(arguments) => config::main(arguments),
        Command::Migrate(arguments) => migrate::main(arguments),
        Command::Chat(arguments) => chat::main(arguments),
        Command::Models(arguments) => models::main(arguments),
        Command::Requests(arguments) => requests::main(arguments),
        Command::Budgets(arguments) => budgets::main(arguments),
        Command::Limits(arguments) => limits::main(arguments),
        Command::Prices(arguments) => prices::main(arguments),
        Command::Keys(arguments) => keys::main(arguments),
        Command::Clients(arguments) => clients::main(arguments),
        Command::Usage(arguments) => usage::main(arguments),
        Command::Teams(arguments) => teams::main(arguments),
        Command::Audit(arguments) => audit::main(arguments),
        Command::Users(arguments) => users::main(arguments),
        Command::Openapi(arguments) => openapi::main(&arguments),
    })
}
