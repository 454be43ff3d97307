//! The command line. Every command but `serve` and `routes` is a request of the operator's API: to the running server
//! over the home's own socket or, where none runs, to one that lives as long as the command.

mod console;
mod keys;
mod migrate;
mod schedule;
mod status;
mod user;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use crate::app::{App, Start, Streams};
use crate::config::{Config, Overrides};
use crate::error::{Error, Result};
use crate::{telemetry, web};
use console::Console;

/// Keeps prerecorded video on air from one small server.
#[derive(Parser)]
#[command(name = "jadwalstream", version, about)]
struct Cli {
    /// Folder of all data; the current one if absent.
    #[arg(long, global = true, env = "JADWAL_HOME", default_value = ".")]
    home: PathBuf,
    /// Print one JSON value.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve pages and keep streams on air.
    Serve(Serve),
    /// Print every route.
    Routes,
    /// Make, show, change and delete users.
    #[command(subcommand)]
    User(user::User),
    /// Take schedules in from a file, or write them to one.
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Show what is on air, what comes next, disk and memory.
    Status,
    /// Take streams off air.
    Stop(status::Stop),
    /// Move in: what the folder of the old program holds becomes libraries here. Without --apply it is only told.
    Migrate(migrate::Migrate),
    /// The keys that seal secrets.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Hold rows against bytes, ledgers against the disk, audit records against their chains.
    Verify {
        /// Read every byte and compare its hash.
        #[arg(long)]
        deep: bool,
    },
}

#[derive(Args)]
struct Serve {
    /// Address and port of the pages.
    #[arg(long)]
    listen: Option<String>,
    /// The address people type, if it differs.
    #[arg(long)]
    public_url: Option<String>,
    /// Make no demo account on the first start.
    #[arg(long)]
    no_demo: bool,
}

/// Exit code of a command that was used wrongly.
const WRONG_USE: u8 = 2;

/// Runs a command; exit 0 done, 1 failed, 2 wrong use, 3 done with things skipped.
pub fn run() -> ExitCode {
    // What is made from here on is the owner's alone: the socket, rows, uploads, logs of streams.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    // Every HTTP client of the program speaks TLS by ring; one that was chosen before stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) => {
            // A reader that is gone needs no message.
            let _ = wrong.print();
            return ExitCode::from(u8::try_from(wrong.exit_code()).unwrap_or(WRONG_USE));
        }
    };
    match cli.run() {
        Ok(code) => code,
        Err(Error::Internal(cause)) => {
            eprintln!("error: {cause:#}");
            ExitCode::FAILURE
        }
        Err(Error::Invalid(fields)) => {
            for field in fields {
                eprintln!("error: {}: {}", field.field, field.message);
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {}", error.message());
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(self) -> Result<ExitCode> {
        let Cli { home, json, command } = self;
        match command {
            Command::Serve(serve) => serve.run(&home),
            Command::Routes => {
                print_routes(json);
                Ok(ExitCode::SUCCESS)
            }
            Command::User(command) => {
                // Only this one makes a home: a command in the wrong folder must not.
                let makes_home = command.makes_home();
                with_console(&home, makes_home, async move |console| command.run(&console, json).await)
            }
            Command::Schedule(command) => {
                with_console(&home, false, async move |console| command.run(console, json).await)
            }
            Command::Status => with_console(&home, false, async move |console| status::status(&console, json).await),
            Command::Verify { deep } => {
                with_console(&home, false, async move |console| status::verify(&console, deep, json).await)
            }
            Command::Keys(command) => {
                with_console(&home, false, async move |console| command.run(&console, json).await)
            }
            Command::Migrate(migrate) => migrate.run(&home, json),
            Command::Stop(stop) => with_console(&home, false, async move |console| stop.run(&console, json).await),
        }
    }
}

/// Runs a command with a way to the server.
fn with_console(
    home: &Path,
    makes_home: bool,
    command: impl AsyncFnOnce(Console) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let config = Config::load(home, environment, &Overrides::default())?;
    // Nobody reads the log of a command; what goes wrong is its answer.
    telemetry::start_for_command();
    actix_web::rt::System::new().block_on(async move {
        let (console, server) = Console::open(config, makes_home).await?;
        let outcome = command(console).await;
        if let Some(server) = server {
            server.end().await?;
        }
        outcome
    })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn admin_password() -> Option<SecretString> {
    environment("JADWAL_ADMIN_PASSWORD").filter(|given| !given.is_empty()).map(SecretString::from)
}

/// Prints a line; a reader that is gone is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Serve {
    fn run(self, home: &Path) -> Result<ExitCode> {
        let overrides = Overrides { listen: self.listen, public_url: self.public_url };
        let config = Config::load(home, environment, &overrides)?;
        telemetry::start(&config.log, environment("JADWAL_LOG_FORMAT").as_deref() == Some("json"));
        let start = Start { no_demo: self.no_demo, admin_password: admin_password(), pages: true };
        actix_web::rt::System::new().block_on(async move {
            let app = App::build(config, start).await?;
            let (address, password) = (app.address(), app.first_password.clone());
            app.run_until(stop_signal()?, move || {
                greet(password.as_deref(), address);
                // Only tells systemd, where there is one.
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
            })
            .await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// What a start says. The lines are the same for people and programs; at a terminal they stand apart from the log, with
/// a word on what to do with them.
fn greet(password: Option<&str>, address: Option<SocketAddr>) {
    let with_words = std::io::stdout().is_terminal();
    let words = |text: &str| {
        if with_words {
            say(text);
        }
    };
    words("");
    if let Some(password) = password {
        words("This is the first start. Log in as admin with this password, which is shown only now:");
        say(&format!("admin password: {password}"));
        words("");
    }
    if let Some(address) = address {
        say(&format!("listening on http://{address}"));
    }
    words("Ctrl-C here ends the server and its streams.");
    words("");
}

/// Resolves at SIGTERM, which lets streams go on, or at SIGINT, which ends them: who presses Ctrl-C at a terminal wants
/// the whole thing to end.
fn stop_signal() -> Result<impl Future<Output = Streams>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => Streams::GoOn,
            _ = interrupt.recv() => Streams::End,
        }
    })
}

fn print_routes(as_json: bool) {
    if as_json {
        let routes: Vec<_> = web::routes()
            .map(|route| json!({"method": route.method, "path": route.path, "access": route.access}))
            .collect();
        say(&serde_json::Value::from(routes).to_string());
    } else {
        for route in web::routes() {
            let access = json!(route.access);
            let access = access.as_str().unwrap_or_default();
            say(&format!("{:<7} {access:<9} {}", route.method, route.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_fit_together() {
        super::Cli::command().debug_assert();
    }
}
