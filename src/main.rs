//! The program: hidden subcommands that must come before everything else, then the command line.

use std::process::ExitCode;

use jadwalstream::live::{keeper, launch};
use jadwalstream::media::cage;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    match arguments.nth(1).as_deref().and_then(|name| name.to_str()) {
        Some(cage::SUBCOMMAND) => cage::enter(arguments),
        Some(keeper::SUBCOMMAND) => keeper::main(arguments),
        Some(launch::SUBCOMMAND) => launch::main(arguments),
        _ => jadwalstream::cli::run(),
    }
}
