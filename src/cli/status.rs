//! `jadwalstream status`, `stop` and `verify`.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{console::Console, say};
use crate::error::Result;
use crate::text::Locale;
use crate::web::format;

/// What is taken off air.
#[derive(Args)]
pub(super) struct Stop {
    /// Everything, of all tenants.
    #[arg(long, required_unless_present = "stream", conflicts_with = "stream")]
    all: bool,
    /// Id of a stream, as `status` shows it.
    stream: Option<Uuid>,
}

impl Stop {
    /// Does it; waits until it is off.
    pub async fn run(self, console: &Console, as_json: bool) -> Result<ExitCode> {
        let body = match self.stream {
            Some(stream) => json!({ "stream": stream }),
            None => json!({"all": true}),
        };
        let answer = console.call(Method::POST, "/stop", Some(&body)).await?;
        if as_json {
            say(&answer.to_string());
        } else {
            say(&format!("taken off air: {}", answer["stopped"]));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or("–")
}

fn share(value: &Value) -> String {
    let bytes = |field: &str| format::bytes(Locale::En, value[field].as_f64().unwrap_or_default());
    format!("{} of {}", bytes("used"), bytes("total"))
}

/// Shows what is on air, what comes next, and how full the box is.
pub(super) async fn status(console: &Console, as_json: bool) -> Result<ExitCode> {
    let status = console.get("/status").await?;
    if as_json {
        say(&status.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let list = |field: &str| status[field].as_array().cloned().unwrap_or_default();
    let on_air = list("on_air");
    say(&format!("on air: {}", on_air.len()));
    for stream in &on_air {
        let rate = format::bitrate(Locale::En, stream["bitrate"].as_f64().unwrap_or_default());
        let (id, tenant, state) = (text(stream, "stream_id"), text(stream, "tenant"), text(stream, "state"));
        say(&format!("  {id}  {tenant:<16} {state:<10} {rate:<14} since {}", text(stream, "since")));
    }
    let next = list("next");
    say(if next.is_empty() { "next: nothing is planned" } else { "next:" });
    for due in &next {
        say(&format!("  {}  {:<16} {}", text(due, "at"), text(due, "tenant"), text(due, "title")));
    }
    let rate = |field: &str| format::bitrate(Locale::En, status["uplink"][field].as_f64().unwrap_or_default());
    say(&format!("disk: {}", share(&status["disk"])));
    say(&format!("memory: {}", share(&status["memory"])));
    say(&format!("processor: {} %", status["cpu"]));
    say(&format!("uplink: {} of {}", rate("used"), rate("total")));
    Ok(ExitCode::SUCCESS)
}

/// Holds rows against bytes; exit 1 where something is wrong.
pub(super) async fn verify(console: &Console, deep: bool, as_json: bool) -> Result<ExitCode> {
    let answer = console.call(Method::POST, "/verify", Some(&json!({ "deep": deep }))).await?;
    let findings = answer["findings"].as_array().cloned().unwrap_or_default();
    if as_json {
        say(&answer.to_string());
    } else {
        for finding in &findings {
            let (tenant, fault) = (text(finding, "tenant"), text(finding, "fault"));
            say(&format!("{tenant:<16} {fault:<10} {}  {}", text(finding, "object"), text(finding, "detail")));
        }
        say(&match findings.len() {
            0 => "everything is in order".to_owned(),
            count => format!("findings: {count}"),
        });
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
