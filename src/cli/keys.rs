//! `jadwalstream keys`.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::console::Console;
use super::say;
use crate::error::Result;

/// Exit code where the old key stays.
const KEPT: u8 = 3;

/// The keys that seal secrets.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// Make a new master key and seal every secret anew; then the old key goes. What was cut off is finished. Exit 0:
    /// the old key is gone; 3: it stays, and what for is listed.
    Rotate {
        /// Drop the old key though texts carry its id that do not open. Whatever of them is a secret is lost for good.
        #[arg(long)]
        discard_unopened: bool,
    },
}

impl Keys {
    /// Does it.
    pub async fn run(self, console: &Console, as_json: bool) -> Result<ExitCode> {
        let Keys::Rotate { discard_unopened } = self;
        let how = json!({"discard_unopened": discard_unopened});
        let done = console.call(Method::POST, "/keys/rotate", Some(&how)).await?;
        let is_kept = done["old_key_kept"].as_bool().unwrap_or(true);
        if as_json {
            say(&done.to_string());
        } else {
            tell(&done, is_kept);
        }
        Ok(if is_kept { ExitCode::from(KEPT) } else { ExitCode::SUCCESS })
    }
}

fn tell(done: &Value, is_kept: bool) {
    let listed = |name: &str| done[name].as_array().cloned().unwrap_or_default();
    let (unopened, left) = (listed("unopened"), listed("left"));
    let text = |place: &Value| place.as_str().unwrap_or_default().to_owned();
    let key = done["key"].as_str().unwrap_or_default();
    say(&format!("{} secrets of {} libraries are sealed with {key} now", done["resealed"], done["libraries"]));
    for place in &unopened {
        say(&format!("looks sealed with the old key and does not open: {}", text(place)));
    }
    for place in &left {
        say(&format!("could not be gone through: {}", text(place)));
    }
    if !is_kept {
        say("the old key is gone; keep it beside backups from before");
        return;
    }
    say(&format!("the old key stays, for {} texts and {} places", unopened.len(), left.len()));
    if !left.is_empty() {
        say("the log says why a place could not be gone through; put it right, or restore it, and run this again");
    }
    if !unopened.is_empty() {
        say(
            "somebody may have typed such a text: change or delete what it stands in and run this again; where you are \
             sure that none of them is a secret (acts on record cannot be changed), run it with --discard-unopened",
        );
    }
}
