//! `jadwalstream status`, `stop` and `verify`.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{console::Console, say};
use crate::error::{Error, Result};
use crate::text::{Locale, Message};
use crate::web::format;

/// What is taken off air.
#[derive(Args)]
pub(super) struct Stop {
    /// Everything, of all tenants.
    #[arg(long, required_unless_present = "stream", conflicts_with = "stream")]
    all: bool,
    /// Id or exact title of a stream that is on air, as `status` shows them.
    stream: Option<String>,
}

impl Stop {
    /// Does it; waits until it is off.
    pub async fn run(self, console: &Console, as_json: bool) -> Result<ExitCode> {
        let answer = match &self.stream {
            None => console.call(Method::POST, "/stop", Some(&json!({"all": true}))).await?,
            Some(named) => {
                let id = find(console, named).await?;
                let missing = |error| match error {
                    Error::NotFound => Error::Conflict(Message::new("console-no-stream").with("id", id.to_string())),
                    error => error,
                };
                console.call(Method::POST, "/stop", Some(&json!({ "stream": id }))).await.map_err(missing)?
            }
        };
        if as_json {
            say(&answer.to_string());
        } else {
            say(&format!("taken off air: {}", answer["stopped"]));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The stream on air that is meant: by id, or by a title that only one of them has.
async fn find(console: &Console, named: &str) -> Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(named) {
        return Ok(id);
    }
    let status = console.get("/status").await?;
    let on_air = status["on_air"].as_array().into_iter().flatten();
    let found: Vec<&Value> = on_air.filter(|stream| stream["title"] == named).collect();
    match found.as_slice() {
        [] => Err(Error::Conflict(Message::new("console-no-title").with("title", named))),
        [only] => Uuid::parse_str(text(only, "stream_id")).map_err(|cause| Error::Internal(cause.into())),
        many => {
            let list = many.iter().map(|one| format!("\n  {}  {}", text(one, "stream_id"), text(one, "tenant")));
            let message = Message::new("console-many-titles").with("title", named);
            Err(Error::Conflict(message.with("list", list.collect::<String>())))
        }
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or("–")
}

fn share(value: &Value) -> String {
    let bytes = |field: &str| format::bytes(Locale::En, value[field].as_f64().unwrap_or_default());
    format!("{} of {} used", bytes("used"), bytes("total"))
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
    let zone = TimeZone::get(text(&status, "time_zone")).unwrap_or(TimeZone::UTC);
    let local = |value: &Value, field: &str| match text(value, field).parse() {
        Ok(at) => format::Moment::new(at, &zone, Locale::En).text,
        Err(_) => "–".to_owned(),
    };
    say(&format!("on air: {}", on_air.len()));
    for stream in &on_air {
        let (id, tenant, state) = (text(stream, "stream_id"), text(stream, "tenant"), text(stream, "state"));
        let rate = match stream["bitrate"].as_f64() {
            Some(bits) if bits > 0.0 => format::bitrate(Locale::En, bits),
            _ => "–".to_owned(),
        };
        let (title, since) = (text(stream, "title"), local(stream, "since"));
        say(&format!("  {id}  {tenant:<16} {state:<10} {rate:<12} since {since}  {title}"));
    }
    let next = list("next");
    say(if next.is_empty() { "next: nothing is planned" } else { "next:" });
    for due in &next {
        say(&format!("  {:<24} {:<16} {}", local(due, "at"), text(due, "tenant"), text(due, "title")));
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
