//! `jadwalstream user …`.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{WRONG_USE, console::Console, say};
use crate::auth::random_token;
use crate::error::{Error, Result};
use crate::text::{Locale, Message};
use crate::web::format;

/// What is done with users.
#[derive(Subcommand)]
pub(super) enum User {
    /// Make a user, with a library of their own unless a tenant is named.
    Add(Add),
    /// List all users.
    List,
    /// Show a user and what their library uses.
    Show(Name),
    /// Lock a user out, at once.
    Disable {
        /// Login name.
        name: String,
        /// Also take the streams of their library off air; they go on otherwise.
        #[arg(long)]
        stop_streams: bool,
    },
    /// Let a user in again.
    Enable(Name),
    /// Delete a user and, where nobody else uses it, their library.
    Delete {
        /// Login name.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Set a new password; without --password-stdin one is made and printed.
    Password {
        /// Login name.
        name: String,
        #[command(flatten)]
        password: PasswordSource,
    },
}

#[derive(Args)]
pub(super) struct Name {
    /// Login name.
    name: String,
}

#[derive(Args)]
pub(super) struct PasswordSource {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
pub(super) struct Add {
    /// Login name: a–z, 0–9, - and _.
    name: String,
    /// What they may do.
    #[arg(long, value_enum, default_value = "user")]
    role: Role,
    /// An existing library to join.
    #[arg(long)]
    tenant: Option<String>,
    /// What the library may use; premium, for admins enterprise, if absent.
    #[arg(long, value_enum)]
    plan: Option<Plan>,
    #[command(flatten)]
    password: PasswordSource,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    User,
    Demo,
    Admin,
}

#[derive(Clone, Copy, ValueEnum)]
enum Plan {
    Free,
    Premium,
    Enterprise,
}

/// A value as it is written on the command line and in the API alike.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl PasswordSource {
    /// The password, and whether it was made here and so must be shown.
    fn get(&self) -> Result<(String, bool)> {
        if !self.password_stdin {
            return Ok((random_token()?[..20].to_owned(), true));
        }
        let mut given = String::new();
        // More than any password that is taken; the server says so.
        std::io::stdin().take(4096).read_to_string(&mut given)?;
        Ok((given.lines().next().unwrap_or_default().to_owned(), false))
    }
}

/// A name as it may stand in an address; a wrong one then gets the server's own answer.
fn address(name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/users/{}", name.replace('+', "%20"))
}

/// What the command line says where the server has nobody of a name.
fn unknown(name: &str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotFound => Error::Conflict(Message::new("console-no-user").with("name", name)),
        error => error,
    }
}

async fn get(console: &Console, name: &str) -> Result<Value> {
    console.get(&address(name)).await.map_err(unknown(name))
}

async fn change(console: &Console, name: &str, body: &Value) -> Result<Value> {
    console.call(Method::PATCH, &address(name), Some(body)).await.map_err(unknown(name))
}

impl User {
    /// Whether the command may make the home it works on.
    pub fn makes_home(&self) -> bool {
        matches!(self, User::Add(_))
    }

    /// Does it.
    pub async fn run(self, console: &Console, as_json: bool) -> Result<ExitCode> {
        match self {
            User::Add(add) => add.run(console, as_json).await?,
            User::List => list(console, as_json).await?,
            User::Show(Name { name }) => show(console, &name, as_json).await?,
            User::Disable { name, stop_streams } => disable(console, &name, stop_streams, as_json).await?,
            User::Enable(Name { name }) => {
                let user = change(console, &name, &json!({"disabled": false})).await?;
                tell(user, None, as_json, &format!("{name} may log in again"));
            }
            User::Delete { name, yes } => return delete(console, &name, yes, as_json).await,
            User::Password { name, password } => {
                let (password, made) = password.get()?;
                let body = json!({"password": password});
                let user = change(console, &name, &body).await?;
                tell(user, made.then_some(&password), as_json, &format!("{name} has a new password; all logins ended"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a user that was made or changed, and a password that was made here.
fn tell(mut user: Value, password: Option<&String>, as_json: bool, line: &str) {
    if as_json {
        if let Some(password) = password {
            user["password"] = json!(password);
        }
        say(&user.to_string());
    } else {
        say(line);
        if let Some(password) = password {
            say(&format!("password: {password}"));
        }
    }
}

impl Add {
    async fn run(self, console: &Console, as_json: bool) -> Result<()> {
        let (password, made) = self.password.get()?;
        let mut body = json!({"username": self.name, "password": password, "role": word(self.role)});
        if let Some(tenant) = &self.tenant {
            body["tenant"] = json!(tenant);
        }
        if let Some(plan) = self.plan {
            body["plan"] = json!(word(plan));
        }
        let user = console.call(Method::POST, "/users", Some(&body)).await?;
        tell(user, made.then_some(&password), as_json, &format!("{} is made", self.name));
        Ok(())
    }
}

async fn all(console: &Console) -> Result<Vec<Value>> {
    let mut users = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = console.get(&format!("/users?limit=200{cursor}")).await?;
        users.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(users),
        }
    }
}

fn text<'v>(user: &'v Value, field: &str) -> &'v str {
    user[field].as_str().unwrap_or("–")
}

fn storage(user: &Value) -> String {
    let bytes = |field: &str| format::bytes(Locale::En, user[field].as_f64().unwrap_or_default());
    format!("{} of {}", bytes("storage_used"), bytes("storage_limit"))
}

async fn list(console: &Console, as_json: bool) -> Result<()> {
    let users = all(console).await?;
    if as_json {
        say(&Value::from(users).to_string());
        return Ok(());
    }
    for user in &users {
        let mark = if user["disabled"] == true { "  disabled" } else { "" };
        let (name, role, tenant) = (text(user, "username"), text(user, "role"), text(user, "tenant"));
        say(&format!("{name:<24} {role:<6} {tenant:<24} {:<11} {}{mark}", text(user, "plan"), storage(user)));
    }
    Ok(())
}

async fn show(console: &Console, name: &str, as_json: bool) -> Result<()> {
    let mut user = get(console, name).await?;
    let usage = console.get(&format!("/usage/{}", text(&user, "tenant"))).await.map_err(unknown(name))?;
    if as_json {
        user["usage"] = usage;
        say(&user.to_string());
        return Ok(());
    }
    for field in ["username", "role", "tenant", "plan", "created_at", "created_by", "last_seen"] {
        say(&format!("{field:<12} {}", text(&user, field)));
    }
    say(&format!("{:<12} {}", "disabled", user["disabled"]));
    say(&format!("{:<12} {}", "storage", storage(&user)));
    for (kind, bytes) in usage["storage"]["by_kind"].as_object().into_iter().flatten() {
        say(&format!("  {kind:<10} {}", format::bytes(Locale::En, bytes.as_f64().unwrap_or_default())));
    }
    Ok(())
}

async fn disable(console: &Console, name: &str, stop_streams: bool, as_json: bool) -> Result<()> {
    let user = change(console, name, &json!({"disabled": true, "stop_streams": stop_streams})).await?;
    let mut line = format!("{name} is locked out");
    match user["on_air"].as_u64().unwrap_or_default() {
        0 if stop_streams => line += "; nothing of their library is on air",
        0 => {}
        count => {
            let streams = if count == 1 { "stream stays" } else { "streams stay" };
            line += &format!("; {count} {streams} on air (--stop-streams takes them off)");
        }
    }
    tell(user, None, as_json, &line);
    Ok(())
}

async fn delete(console: &Console, name: &str, yes: bool, as_json: bool) -> Result<ExitCode> {
    let user = get(console, name).await?;
    let tenant = text(&user, "tenant").to_owned();
    let others = all(console).await?.iter().any(|other| other["tenant"] == user["tenant"] && other["username"] != name);
    let usage = console.get(&format!("/usage/{tenant}")).await.unwrap_or_default();
    let files = if others { 0 } else { usage["files"].as_u64().unwrap_or_default() };
    let bytes = if others { 0 } else { usage["storage"]["used"].as_u64().unwrap_or_default() };
    let lost = match others {
        true => format!("the library {tenant} stays, others use it"),
        false => format!("{files} files, {}", format::bytes(Locale::En, bytes as f64)),
    };
    if !yes {
        if !std::io::stdin().is_terminal() {
            eprintln!("error: this deletes {name} for good ({lost}); add --yes to say that you mean it");
            return Ok(ExitCode::from(WRONG_USE));
        }
        eprint!("This deletes {name} for good ({lost}). Type the name to go on: ");
        let mut typed = String::new();
        std::io::stdin().read_line(&mut typed)?;
        if typed.trim() != name {
            return Err(Error::Conflict(Message::new("console-not-confirmed")));
        }
    }
    console.call(Method::DELETE, &address(name), None).await.map_err(unknown(name))?;
    if as_json {
        say(&json!({"deleted": name, "files": files, "bytes": bytes}).to_string());
    } else {
        say(&format!("{name} is deleted: {lost}"));
    }
    Ok(ExitCode::SUCCESS)
}
