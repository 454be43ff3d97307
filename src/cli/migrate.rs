//! `jadwalstream migrate`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::console::{Console, tell_password};
use super::{environment, say};
use crate::config::{Config, Overrides};
use crate::error::{Error, Result};
use crate::format;
use crate::legacy::report::What;
use crate::telemetry;
use crate::text::{Locale, Message};

/// Exit code where something was skipped.
const SKIPPED: u8 = 3;

#[derive(Args)]
pub(super) struct Migrate {
    /// Folder of the old program.
    #[arg(long, value_name = "DIR", required_unless_present = "rollback")]
    from: Option<PathBuf>,
    /// Whose becomes what names nobody.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    owner: String,
    /// Do it.
    #[arg(long)]
    apply: bool,
    /// Remove a video, picture or token of the old folder once it is in a library here, read again and compared.
    #[arg(long = "move", requires = "apply")]
    remove_sources: bool,
    /// Only these kinds.
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Take back what earlier runs brought, from this folder or from all: nothing that was changed since, and no file that
    /// is not where it came from any more.
    #[arg(long, conflicts_with_all = ["remove_sources", "only"])]
    rollback: bool,
    /// IANA zone of the old program's times.
    #[arg(long, value_name = "ZONE", default_value = crate::legacy::TIME_ZONE)]
    time_zone: String,
    /// Write everything that is told into a JSON file too.
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Users,
    Thumbnails,
    Videos,
    Photos,
    Generated,
    Collections,
    Channels,
    StreamKeys,
    Streams,
    Schedules,
    Runs,
    Notices,
    Samples,
}

impl Kind {
    fn what(self) -> What {
        match self {
            Kind::Users => What::User,
            Kind::Thumbnails => What::Thumbnail,
            Kind::Videos => What::Video,
            Kind::Photos => What::Photo,
            Kind::Generated => What::Generated,
            Kind::Collections => What::Collection,
            Kind::Channels => What::Channel,
            Kind::StreamKeys => What::StreamKey,
            Kind::Streams => What::Stream,
            Kind::Schedules => What::Schedule,
            Kind::Runs => What::Run,
            Kind::Notices => What::Notice,
            Kind::Samples => What::Sample,
        }
    }
}

/// A report as it grows: one JSON object, its items as they come.
struct Report {
    out: Box<dyn std::io::Write>,
    from: Value,
    any: bool,
}

impl Report {
    fn to(out: impl std::io::Write + 'static, from: &Value) -> Report {
        Report { out: Box::new(BufWriter::new(out)), from: from.clone(), any: false }
    }

    /// What stands before the next item. What is refused at once has no report.
    fn begin(&mut self) -> Result<()> {
        let from = &self.from;
        match std::mem::replace(&mut self.any, true) {
            true => Ok(write!(self.out, ",")?),
            false => Ok(write!(self.out, "{{\"from\":{from},\"items\":[")?),
        }
    }

    fn item(&mut self, item: &Value) -> Result<()> {
        self.begin()?;
        Ok(write!(self.out, "\n{item}")?)
    }

    fn end(mut self, summary: &Value) -> Result<()> {
        if !self.any {
            self.begin()?;
        }
        write!(self.out, "\n]")?;
        for (name, value) in summary.as_object().into_iter().flatten() {
            write!(self.out, ",\n\"{name}\":{value}")?;
        }
        writeln!(self.out, "}}")?;
        Ok(self.out.flush()?)
    }
}

/// The password that was made up for a new home's admin: told once it is clear that no old one takes its place.
struct FirstPassword(Option<String>);

impl FirstPassword {
    /// People come first: after them it holds.
    fn hear(&mut self, item: &Value) {
        match item["kind"].as_str() {
            Some("user") if item["owner"] == "admin" && item["fate"] == "imported" => self.0 = None,
            Some("user" | "sample" | "database") => {}
            _ => self.tell(),
        }
    }

    fn tell(&mut self) {
        if let Some(password) = self.0.take() {
            tell_password(&password);
        }
    }
}

impl Migrate {
    pub fn run(self, home: &Path, as_json: bool) -> Result<ExitCode> {
        let mut config = Config::load(home, environment, &Overrides::default())?;
        telemetry::start_for_command();
        let has_home = config.data().join("platform.redb").exists();
        if self.rollback && !has_home {
            let message = Message::new("home-missing").with("home", config.home.display().to_string());
            return Err(Error::Conflict(message));
        }
        if let Some(from) = self.from.as_deref().filter(|from| !self.rollback && !from.is_dir()) {
            let message = Message::new("migrate-no-folder").with("folder", from.display().to_string());
            return Err(Error::Conflict(
                message.with("cause", std::io::Error::from(std::io::ErrorKind::NotFound).to_string()),
            ));
        }
        // A plan makes nothing, not even a home: it is rehearsed on one that goes with it.
        let rehearsal = match self.apply || has_home {
            true => None,
            false => Some(tempfile::Builder::new().prefix("jadwalstream-plan-").tempdir()?),
        };
        if let Some(stage) = &rehearsal {
            config.home = stage.path().to_owned();
        }
        actix_web::rt::System::new().block_on(async move {
            let (console, server) = match rehearsal {
                Some(_) => Console::rehearse(config).await?,
                None => Console::open_untold(config, self.apply).await?,
            };
            let first_password = server.as_ref().and_then(|server| server.first_password.clone());
            let outcome = self.tell(&console, FirstPassword(first_password), as_json).await;
            if let Some(server) = server {
                server.end().await?;
            }
            outcome
        })
    }

    fn body(&self) -> Result<Value> {
        let from = self.from.as_deref().map(|from| std::fs::canonicalize(from).or_else(|_| std::path::absolute(from)));
        let from = from.transpose()?;
        let only: Vec<&str> = self.only.iter().map(|kind| kind.what().code()).collect();
        Ok(json!({
            "from": from, "owner": self.owner, "apply": self.apply, "move": self.remove_sources, "only": only,
            "rollback": self.rollback, "time_zone": self.time_zone,
        }))
    }

    async fn tell(&self, console: &Console, mut first_password: FirstPassword, as_json: bool) -> Result<ExitCode> {
        let body = self.body()?;
        let mut reports = Vec::new();
        if let Some(path) = &self.report {
            let file = File::create(path).map_err(|cause| {
                let message = Message::new("migrate-report-failed").with("file", path.display().to_string());
                Error::Conflict(message.with("cause", cause.to_string()))
            })?;
            reports.push(Report::to(file, &body["from"]));
        }
        if as_json {
            reports.push(Report::to(std::io::stdout(), &body["from"]));
        }
        let bar = bar();
        let (mut summary, mut failed) = (Value::Null, None);
        let each = |line: &[u8]| {
            let mut line: Value = serde_json::from_slice(line)?;
            if let Some(item) = line.get("item") {
                bar.suspend(|| first_password.hear(item));
                reports.iter_mut().try_for_each(|report| report.item(item))?;
                if !as_json {
                    bar.suspend(|| say(&described(item, self.apply || self.rollback)));
                }
            } else if let Some(progress) = line.get("progress") {
                show(&bar, progress);
            } else if line.get("summary").is_some() {
                summary = line["summary"].take();
            } else if let Some(error) = line["error"].as_str() {
                failed = Some(error.to_owned());
            }
            Ok(())
        };
        let read = console.lines("/migrations", &body, each).await;
        bar.finish_and_clear();
        first_password.tell();
        let failed = match (read, failed) {
            (Err(cause), _) => Some(cause),
            (_, Some(told)) => Some(Error::Upstream(Message::new("console-refused").with("told", told))),
            _ if summary.is_null() => Some(Error::Upstream(Message::new("migrate-broke-off"))),
            _ => None,
        };
        if let Some(cause) = failed {
            for report in reports.into_iter().filter(|report| report.any) {
                report.end(&json!({"error": cause.message().to_string()}))?;
            }
            return Err(cause);
        }
        for report in reports {
            report.end(&summary)?;
        }
        if !as_json {
            self.totals(&summary);
        }
        Ok(code(&summary["all"]))
    }

    fn totals(&self, summary: &Value) {
        let number = |count: &Value, name: &str| count[name].as_u64().unwrap_or_default();
        let size = |bytes: u64| format::bytes(Locale::En, bytes as f64);
        let come = if self.rollback { "removed" } else { "imported" };
        if self.rollback && ["removed", "skipped"].iter().all(|name| number(&summary["all"], name) == 0) {
            say("Nothing is here that came from an old home, so there is nothing to take back.");
            return;
        }
        let head = if self.apply || self.rollback { come } else { "to import" };
        say("");
        say(&format!("{:<12} {head:>10} {:>10} {:>10} {:>10} {:>12}", "", "present", "skipped", "unneeded", "size"));
        for (kind, count) in summary["totals"].as_object().into_iter().flatten() {
            let [came, present, skipped, unneeded] =
                [come, "present", "skipped", "unneeded"].map(|name| number(count, name));
            let bytes = Some(number(count, "bytes")).filter(|bytes| *bytes > 0).map(size).unwrap_or_default();
            let line = format!("{kind:<12} {came:>10} {present:>10} {skipped:>10} {unneeded:>10} {bytes:>12}");
            say(line.trim_end());
        }
        say("");
        if !self.apply && !self.rollback {
            let needed = size(summary["disk_needed"].as_u64().unwrap_or_default());
            say(&format!("Disk needed: {needed}. Nothing was changed; --apply does it."));
        }
    }
}

/// 0 all well, 3 something was skipped, 1 nothing was done.
fn code(all: &Value) -> ExitCode {
    let number = |name: &str| all[name].as_u64().unwrap_or_default();
    let done = number("imported") + number("present") + number("removed");
    match (done, number("skipped")) {
        (0, 0) if number("unneeded") == 0 => ExitCode::FAILURE,
        (_, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::FAILURE,
        _ => ExitCode::from(SKIPPED),
    }
}

/// At a terminal only; what is piped gets plain lines.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {percent}%  {msg}  {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn show(bar: &ProgressBar, progress: &Value) {
    let number = |name: &str| progress[name].as_u64().unwrap_or_default();
    // Rows take time too: a file counts by its bytes, and each thing a little more.
    const EACH: u64 = 64 << 10;
    bar.set_length(number("of_bytes") + number("of") * EACH);
    bar.set_position(number("bytes") + number("done") * EACH);
    bar.set_message(format!("{} of {} files and rows", number("done"), number("of")));
}

/// A line of the report.
fn described(item: &Value, applied: bool) -> String {
    let text = |name: &str| item[name].as_str();
    let fate = match (text("fate").unwrap_or_default(), applied) {
        ("imported", false) => "to import",
        (fate, _) => fate,
    };
    let mut line = format!("{fate:<9} {:<10}", text("kind").unwrap_or_default());
    let row = text("database").map(|database| format!("{database} row {}", text("row").unwrap_or_default()));
    let owner = text("owner").filter(|owner| Some(*owner) != text("title"));
    for part in [row.as_deref(), text("file"), owner].into_iter().flatten() {
        line += &format!("  {part}");
    }
    if let Some(title) = text("title") {
        line += &format!("  “{title}”");
    }
    if let Some(becomes) = text("becomes") {
        line += &format!(" → {becomes}");
    }
    if let Some(reason) = item["reason"]["message"].as_str() {
        line += &format!(": {reason}");
    }
    // Names are somebody else's words: none of them moves the cursor of a terminal.
    line.replace(char::is_control, "\u{fffd}")
}
