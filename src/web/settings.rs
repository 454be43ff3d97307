//! One's own profile, password, logins and record.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::audit::{ExportQuery, file};
use super::audit_page::{self, AuditQuery};
use super::{Access, Form, Page, Query, Route, Server};
use crate::auth::{Identity, Preferences, SessionInfo, Theme};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::tenancy::{Account, Kind};
use crate::text::{Locale, Message};

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/settings", access: Access::Read, handler: || web::to(show) },
    Route { method: "POST", path: "/settings/profile", access: Access::Write, handler: || web::to(profile) },
    Route { method: "POST", path: "/settings/password", access: Access::Write, handler: || web::to(password) },
    Route { method: "POST", path: "/settings/sessions/end-all", access: Access::Write, handler: || web::to(end_all) },
    Route { method: "POST", path: "/settings/sessions/{id}/end", access: Access::Write, handler: || web::to(end) },
    Route { method: "GET", path: "/settings/audit", access: Access::Read, handler: || web::to(audit) },
    Route { method: "GET", path: "/settings/audit/export", access: Access::Read, handler: || web::to(export) },
];

const TEMPLATE: &str = "settings/index.html";

/// A library's storage by kind, as the pages show it.
pub(super) fn usage(account: &Account) -> Value {
    let percent = |bytes: u64| (bytes as f64 * 1000.0 / account.limit.max(1) as f64).round().min(1000.0) / 10.0;
    let kinds = Kind::ALL.map(|kind| {
        let bytes = account.usage.of(kind).bytes;
        json!({ "kind": kind.code(), "bytes": bytes, "percent": percent(bytes) })
    });
    json!({
        "limit": account.limit,
        "used": account.usage.used(),
        "reserved": account.usage.reserved,
        "percent": percent(account.usage.used()),
        "by_kind": kinds,
    })
}

/// `Firefox on Linux`, from what a browser calls itself.
fn device(session: &SessionInfo) -> String {
    let agent = session.agent.as_str();
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map_or("", |(_, name)| *name)
    };
    // Each browser names those it descends from, so the youngest is looked for first.
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        ("", _) if agent.is_empty() => if session.api { "API" } else { "?" }.to_owned(),
        ("", _) => agent.chars().take(60).collect(),
        (browser, "") => browser.to_owned(),
        (browser, system) => format!("{browser} · {system}"),
    }
}

async fn context(page: &Page, me: &Identity, server: &Server, library: &Library) -> Result<Value> {
    let is_demo = me.write_scope().is_err();
    let sessions = server.accounts.sessions(me).await?;
    // Strangers share the demo account: none learns of another's address.
    let shown = sessions.into_iter().filter(|session| session.current || !is_demo);
    let sessions: Vec<Value> = shown
        .map(|session| {
            json!({
                "id": session.id,
                "current": session.current,
                "device": device(&session),
                "address": session.address.map_or_else(|| "–".to_owned(), |address| address.to_string()),
                "since": page.moment(session.created_at),
                "last_seen": page.moment(session.last_seen),
            })
        })
        .collect();
    let account = server.tenancy.own_account(library.scope()).await?;
    let zones = crate::clock::zone_names();
    Ok(json!({
        "form": {
            "version": me.user.version.to_string(),
            "time_zone": page.zone_name(),
            "locale": page.locale().code(),
            "theme": me.user.theme.map_or("auto", Theme::code),
        },
        "errors": {},
        "zones": zones,
        "sessions": sessions,
        "usage": usage(&account),
        "plan": account.usage.plan.code(),
    }))
}

async fn show(page: Page, me: Identity, server: web::Data<Server>, library: Library) -> Result<HttpResponse> {
    let context = context(&page, &me, &server, &library).await?;
    page.render("settings", TEMPLATE, context).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    time_zone: String,
    locale: String,
    theme: String,
}

async fn profile(
    page: Page,
    me: Identity,
    server: web::Data<Server>,
    library: Library,
    form: Form<Profile>,
) -> Result<HttpResponse> {
    let expected = form.row_version();
    let Profile { time_zone, locale, theme } = form.value;
    let change = match Locale::parse(&locale) {
        None => Err(Error::field("locale", Message::new("locale-unknown"))),
        Some(locale) => Ok(Preferences {
            time_zone: Some(time_zone.trim().to_owned()),
            locale: Some(locale),
            theme: Some(Theme::parse(&theme)),
        }),
    };
    let outcome = match change {
        Ok(change) => server.accounts.prefer(&me, change, expected).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => Ok(page.see_other("/settings", "ok", Some(Message::new("settings-saved")))),
        Err(error) => {
            let context = context(&page, &me, &server, &library).await?;
            page.refuse("settings", TEMPLATE, context, &form.typed, error).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    current_password: String,
    password: String,
    repeat: String,
}

async fn password(
    page: Page,
    me: Identity,
    server: web::Data<Server>,
    library: Library,
    form: Form<NewPassword>,
) -> Result<HttpResponse> {
    let NewPassword { current_password, password, repeat } = form.value;
    let outcome = if password == repeat {
        server.accounts.change_password(&me, current_password, password).await
    } else {
        Err(Error::field("repeat", Message::new("password-differs")))
    };
    match outcome {
        Ok(()) => Ok(page.see_other("/settings", "ok", Some(Message::new("password-changed")))),
        Err(error) => {
            let context = context(&page, &me, &server, &library).await?;
            page.refuse_filled("settings", TEMPLATE, context, error).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn end(
    page: Page,
    me: Identity,
    server: web::Data<Server>,
    id: web::Path<Uuid>,
    _form: Form<Nothing>,
) -> Result<HttpResponse> {
    server.accounts.end_session(&me, *id).await?;
    Ok(page.see_other("/settings", "ok", Some(Message::new("session-ended"))))
}

async fn end_all(page: Page, me: Identity, server: web::Data<Server>, _form: Form<Nothing>) -> Result<HttpResponse> {
    server.accounts.end_every_session(&me).await?;
    Ok(page.see_other("/login", "ok", Some(Message::new("logged-out-everywhere"))))
}

async fn audit(page: Page, me: Identity, server: web::Data<Server>, query: Query<AuditQuery>) -> Result<HttpResponse> {
    let found = audit_page::own(&server, &me, &query.0).await?;
    let context = audit_page::context(&page, "own", "/settings/audit", &query.0, found);
    page.render("settings", "settings/audit.html", context).await
}

async fn export(me: Identity, server: web::Data<Server>, query: Query<ExportQuery>) -> Result<HttpResponse> {
    file(&server, &me, &query.0).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_in_a_few_words() {
        let told = |agent: &str| {
            device(&SessionInfo {
                id: Uuid::nil(),
                api: false,
                created_at: jiff::Timestamp::UNIX_EPOCH,
                last_seen: jiff::Timestamp::UNIX_EPOCH,
                address: None,
                agent: agent.to_owned(),
                current: false,
            })
        };
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0";
        assert_eq!(told(edge), "Edge · Windows");
        assert_eq!(told("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox · Linux");
        assert_eq!(told("curl/8.1"), "curl/8.1");
    }
}
