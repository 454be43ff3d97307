//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use crate::app::{App, Start};
use crate::config::{Config, Overrides};
use crate::error::{Error, Result};
use crate::{telemetry, web};

/// Keeps prerecorded video on air from one small server.
#[derive(Parser)]
#[command(name = "jadwalstream", version, about)]
struct Cli {
    /// Folder of all data; the current one if absent.
    #[arg(long, global = true, env = "JADWAL_HOME", default_value = ".")]
    home: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve pages and keep streams on air.
    Serve(Serve),
    /// Print every route.
    Routes {
        /// As one JSON value.
        #[arg(long)]
        json: bool,
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

/// Runs a command; exit 0 done, 1 failed, 2 wrong use, 3 done with things skipped.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) => {
            // A reader that is gone needs no message.
            let _ = wrong.print();
            return ExitCode::from(u8::try_from(wrong.exit_code()).unwrap_or(2));
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
        match self.command {
            Command::Serve(serve) => serve.run(&self.home),
            Command::Routes { json } => {
                print_routes(json);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Serve {
    fn run(self, home: &std::path::Path) -> Result<ExitCode> {
        let overrides = Overrides { listen: self.listen, public_url: self.public_url };
        let config = Config::load(home, environment, &overrides)?;
        telemetry::start(&config.log, environment("JADWAL_LOG_FORMAT").as_deref() == Some("json"));
        let start = Start {
            no_demo: self.no_demo,
            admin_password: environment("JADWAL_ADMIN_PASSWORD")
                .filter(|given| !given.is_empty())
                .map(SecretString::from),
            pages: true,
        };
        actix_web::rt::System::new().block_on(async move {
            let app = App::build(config, start).await?;
            let (address, password) = (app.address(), app.first_password.clone());
            app.run_until(stop_signal()?, move || {
                if let Some(password) = password {
                    println!("admin password: {password}");
                }
                if let Some(address) = address {
                    println!("listening on http://{address}");
                }
                // Only tells systemd, where there is one.
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
            })
            .await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Resolves at SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn print_routes(as_json: bool) {
    if as_json {
        let routes: Vec<_> = web::routes()
            .map(|route| json!({"method": route.method, "path": route.path, "access": route.access}))
            .collect();
        println!("{}", serde_json::Value::from(routes));
    } else {
        for route in web::routes() {
            println!("{:<7} {:<9} {}", route.method, format!("{:?}", route.access).to_lowercase(), route.path);
        }
    }
}
