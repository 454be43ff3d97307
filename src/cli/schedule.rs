//! `jadwalstream schedule import` and `export`: as a user, by their own password. The operator's console opens nobody's
//! library; who imports for a user has that user's word for it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{WRONG_USE, console::Console, environment, say};
use crate::error::{Error, Result};
use crate::schedule::sheet::Column;
use crate::text::Message;

/// Done, with rows that were left out.
const SKIPPED: u8 = 3;

/// Schedules from and to files.
#[derive(Subcommand)]
pub(super) enum Schedule {
    /// Take schedules in from a workbook (xlsx, xls, ods) or a CSV file; all good rows, in one commit.
    Import(Import),
    /// Write all schedules to a file that can be imported again.
    Export(Export),
}

#[derive(Args)]
struct Login {
    /// Whose library; their password comes by --password-stdin or JADWAL_PASSWORD.
    #[arg(long)]
    user: String,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
pub(super) struct Import {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    login: Login,
    /// Only say what would become of each row.
    #[arg(long)]
    dry_run: bool,
    /// Zone of rows that name none; the user's own, or Asia/Jakarta for files of the old program, if absent.
    #[arg(long)]
    time_zone: Option<String>,
    /// Dates like 03/04/2027 have the day first.
    #[arg(long, conflicts_with = "month_first")]
    day_first: bool,
    /// Dates like 03/04/2027 have the month first.
    #[arg(long)]
    month_first: bool,
    /// Which sheet, from 1; the one with the most known heads if absent.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    sheet: Option<u16>,
    #[arg(long, value_name = "LETTERS=COLUMN", help = map_help())]
    map: Vec<String>,
    /// An answer to a question of --dry-run, like video:intro=ID; a title or a file name will do for the id where it
    /// means one choice only. May be given more than once.
    #[arg(long, value_name = "QUESTION:FOUND=ID")]
    answer: Vec<String>,
}

/// What is said of `--map`.
fn map_help() -> String {
    let known = Column::all().map(Column::name).collect::<Vec<_>>().join(", ");
    let text = "What a column holds, like C=videos; C= leaves it out. May be given more than once.";
    format!("{text} Known are: {known}; and what a head may be called in English or Indonesian, like judul")
}

#[derive(Args)]
pub(super) struct Export {
    /// Where to write it; .xlsx or .csv.
    file: PathBuf,
    #[command(flatten)]
    login: Login,
}

impl Login {
    /// Logs in and gives the console the user's token; `false` where there is no password.
    async fn open(&self, console: &mut Console) -> Result<bool> {
        let password = if self.password_stdin {
            let mut given = String::new();
            // More than any password that is taken; the server says so.
            std::io::stdin().take(4096).read_to_string(&mut given)?;
            given.lines().next().unwrap_or_default().to_owned()
        } else {
            environment("JADWAL_PASSWORD").unwrap_or_default()
        };
        if password.is_empty() {
            eprintln!("error: give the password of {} by --password-stdin or JADWAL_PASSWORD", self.user);
            return Ok(false);
        }
        let asked = json!({"username": self.user, "password": password});
        let pair = console.call(Method::POST, "/auth/login", Some(&asked)).await?;
        console.act_as(pair["access_token"].as_str().unwrap_or_default());
        Ok(true)
    }
}

impl Schedule {
    pub async fn run(self, mut console: Console, as_json: bool) -> Result<ExitCode> {
        let login = match &self {
            Schedule::Import(import) => &import.login,
            Schedule::Export(export) => &export.login,
        };
        if !login.open(&mut console).await? {
            return Ok(ExitCode::from(WRONG_USE));
        }
        let outcome = match self {
            Schedule::Import(import) => import.run(&console, as_json).await,
            Schedule::Export(export) => export.run(&console, as_json).await,
        };
        let ended = console.call(Method::POST, "/auth/logout", Some(&json!({}))).await;
        let code = outcome?;
        ended.map(|_| code)
    }
}

/// Reads a file; one that is not there is the user's to know.
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| {
        let message = Message::new("console-file").with("file", path.display().to_string());
        Error::Conflict(message.with("why", cause.to_string()))
    })
}

impl Import {
    /// What is said about the file besides itself; `None` where it makes no sense.
    fn choices(&self) -> Option<Value> {
        let mut choices = json!({});
        if let Some(zone) = &self.time_zone {
            choices["time_zone"] = json!(zone);
        }
        if self.day_first || self.month_first {
            choices["day_order"] = json!(if self.day_first { "day_first" } else { "month_first" });
        }
        if let Some(sheet) = self.sheet {
            choices["table"] = json!(sheet - 1);
        }
        let mut columns = BTreeMap::new();
        for pair in &self.map {
            let (letters, column) = pair.split_once('=')?;
            columns.insert(letters, Some(column).filter(|column| !column.is_empty()));
        }
        if !columns.is_empty() {
            choices["columns"] = json!(columns);
        }
        let mut answers = Vec::new();
        for answer in &self.answer {
            let (question, rest) = answer.split_once(':')?;
            let (found, choice) = rest.rsplit_once('=')?;
            answers.push(json!({"question": question, "found": found, "choice": choice}));
        }
        if !answers.is_empty() {
            choices["answers"] = json!(answers);
        }
        Some(choices)
    }

    async fn run(self, console: &Console, as_json: bool) -> Result<ExitCode> {
        let Some(choices) = self.choices() else {
            eprintln!("error: --map is LETTERS=COLUMN, --answer is QUESTION:FOUND=ID");
            return Ok(ExitCode::from(WRONG_USE));
        };
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let query: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let mut plan = console.upload(&format!("/schedules/imports?name={query}"), read(&self.file)?).await?;
        let address = format!("/schedules/imports/{}", plan["id"].as_str().unwrap_or_default());
        if choices.as_object().is_some_and(|choices| !choices.is_empty()) {
            plan = console.call(Method::PATCH, &address, Some(&choices)).await?;
        }
        let count = |fate: &str| plan["counts"][fate].as_u64().unwrap_or(0);
        let left: u64 = ["ask", "bad", "foreign"].into_iter().map(count).sum();
        let code = if left > 0 { ExitCode::from(SKIPPED) } else { ExitCode::SUCCESS };
        if !as_json {
            tell(&plan);
        }
        if self.dry_run {
            console.call(Method::DELETE, &address, None).await?;
            if as_json {
                say(&plan.to_string());
            }
            return Ok(code);
        }
        let done = console.call(Method::POST, &format!("{address}/take"), Some(&json!({}))).await?;
        if as_json {
            plan["imported"] = done;
            say(&plan.to_string());
            return Ok(code);
        }
        let number = |field: &str| done[field].as_u64().unwrap_or(0);
        say(&format!(
            "imported: {} new, {} changed, {} as they were, {} left out; {} new streams",
            number("created"),
            number("changed"),
            number("same"),
            number("skipped"),
            number("streams"),
        ));
        Ok(code)
    }
}

/// Says what would become of each row.
fn tell(plan: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for column in list(&plan["columns"]).iter().filter(|column| column["column"].is_null()) {
        say(&format!(
            "column {} “{}” is not known and is left out; say what it holds with --map {0}=…",
            text(&column["letters"]),
            text(&column["head"])
        ));
    }
    for row in list(&plan["rows"]) {
        let at = format!("{} {}", text(&row["starts_at"]), text(&row["time_zone"]));
        say(&format!("row {:<5} {:<8} {}  {}", row["row"], text(&row["verdict"]), at.trim(), text(&row["title"])));
        for problem in list(&row["problems"]) {
            let place = format!("{} {}", text(&problem["letters"]), text(&problem["head"]));
            say(&format!("          {}: {}", place.trim(), text(&problem["message"])));
        }
        for change in list(&row["differences"]) {
            let line = |value: &Value| text(value).replace('\n', "; ");
            let (from, to) = (line(&change["from"]), line(&change["to"]));
            say(&format!("          {}: “{from}” becomes “{to}”", text(&change["column"])));
        }
    }
    for ask in list(&plan["questions"]).iter().filter(|ask| ask["answer"].is_null()) {
        let (question, found) = (text(&ask["question"]), text(&ask["found"]));
        let asked = match (question.as_str(), found.as_str()) {
            ("owner", found) => format!("rows belong to “{found}”: do they come in as yours"),
            (question, "") => format!("which {question} do rows mean that name none"),
            (question, found) => format!("which {question} is “{found}”"),
        };
        let open = if ask["needed"] == json!(false) && question != "owner" { ", or leave it open" } else { "" };
        say(&format!("{asked} ({} rows)? Answer with --answer{open}", ask["rows"]));
        for option in list(&ask["options"]) {
            let answer = format!("{question}:{found}={}", text(&option["id"]));
            say(&format!("          \"{answer}\"  {}", text(&option["title"])));
        }
        if let Some(more) = ask["more"].as_u64().filter(|more| *more > 0) {
            say(&format!("          and {more} more, by title or file name"));
        }
    }
    if plan["asks_day_order"] == json!(true) {
        say("dates can be read two ways: say --day-first or --month-first");
    }
}

impl Export {
    async fn run(self, console: &Console, as_json: bool) -> Result<ExitCode> {
        let format = match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => "csv",
            Some("xlsx") => "xlsx",
            _ => {
                eprintln!("error: the file has to end with .xlsx or .csv");
                return Ok(ExitCode::from(WRONG_USE));
            }
        };
        let bytes = console.fetch(&format!("/schedules/export?format={format}")).await?;
        std::fs::write(&self.file, &bytes)?;
        if as_json {
            say(&json!({"file": self.file, "bytes": bytes.len()}).to_string());
        } else {
            say(&format!("written: {}", self.file.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
