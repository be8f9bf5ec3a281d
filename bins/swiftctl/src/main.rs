//! The command line client of SwiftServe: it parses, asks a node, prints, and exits.
//!
//! Every command is a module below `command`; what they share is how a node is found (`target`), how it is asked
//! (`client`), how answers are shown (`output`, `text`), and how failures end (`error`).

mod api;
mod cli;
mod client;
mod command;
mod error;
mod output;
mod target;
mod text;

use std::process::ExitCode;

use clap::Parser;

use crate::{cli::Cli, error::Error};

fn main() -> ExitCode {
    let done = runtime().and_then(|runtime| {
        let done = runtime.block_on(cli::run(Cli::parse()));
        // A read of the standard input that never ends must not keep the program from ending.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::from(error.exit_code())
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Error::Failed(format!("cannot start: {error}")))
}
