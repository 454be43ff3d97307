//! The log: one line an event on standard error, JSON where a machine reads it. Never a secret.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts the log at `level`; under systemd (which adds times of its own) or with `JADWAL_LOG_FORMAT=json` the
/// form changes. A second call changes nothing.
pub fn start(level: &str, json: bool) {
    begin(level, "warn", json);
}

/// Starts the log of a command, whose answer says what goes wrong. How the server that runs for it ends is nobody's matter.
pub fn start_for_command() {
    begin("error", "off", false);
}

fn begin(level: &str, server: &str, json: bool) {
    // What actix calls errors of a connection are strangers' broken requests: anybody could fill the log with them.
    let filter = EnvFilter::try_new(format!("{level},actix_server={server},actix_http::h1=off"));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A line that finds the disk full is lost. Telling so on the same standard error would panic.
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(colours);
    // A log that was started before stays.
    let _ = if json { log.json().try_init() } else { log.try_init() };
}
