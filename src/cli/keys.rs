//! `jadwalstream keys`.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::console::Console;
use super::say;
use crate::error::Result;

/// Exit code where something was left.
const LEFT: u8 = 3;

/// The keys that seal secrets.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// Make a new master key and seal every secret anew; then the old key goes. What was cut off is finished.
    Rotate,
}

impl Keys {
    /// Does it.
    pub async fn run(self, console: &Console, as_json: bool) -> Result<ExitCode> {
        let Keys::Rotate = self;
        let done = console.call(Method::POST, "/keys/rotate", Some(&json!({}))).await?;
        let listed = |name: &str| done[name].as_array().cloned().unwrap_or_default();
        let (unopened, left) = (listed("unopened"), listed("left"));
        if as_json {
            say(&done.to_string());
        } else {
            let key = done["key"].as_str().unwrap_or_default();
            say(&format!("{} secrets of {} libraries are sealed with {key} now", done["resealed"], done["libraries"]));
            let text = |place: &Value| place.as_str().unwrap_or_default().to_owned();
            for place in &unopened {
                say(&format!("no key opens {}", text(place)));
            }
            for place in &left {
                say(&format!("could not be gone through: {}", text(place)));
            }
            say(match left.is_empty() {
                true => "the old key is gone; keep it beside backups from before",
                false => "the old key stays: run this again",
            });
        }
        Ok(if unopened.is_empty() && left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LEFT) })
    }
}
