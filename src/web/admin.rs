//! Running the box: its users, what they may use, and the record of everything.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::audit::{ExportQuery, file};
use super::audit_page::{self, AuditQuery, ROWS};
use super::settings::usage;
use super::{Access, Form, FreshOperator, Operator, Page, Query, Route, Server};
use crate::auth::{Identity, OperatorScope, Role, User, UserChange, UserName, UserOrder};
use crate::error::{Error, FieldError, Result};
use crate::library::Video;
use crate::live::LiveStream;
use crate::schedule::Schedule;
use crate::store::rows::Record as _;
use crate::tenancy::{Account, MemberChange, NewMember, Plan, Usage, Whose};
use crate::text::Message;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/admin/users", access: Access::Operator, handler: || web::to(list) },
    Route { method: "POST", path: "/admin/users", access: Access::FreshOperator, handler: || web::to(create) },
    Route { method: "GET", path: "/admin/users/new", access: Access::FreshOperator, handler: || web::to(new) },
    Route { method: "GET", path: "/admin/users/{name}", access: Access::FreshOperator, handler: || web::to(show) },
    Route { method: "POST", path: "/admin/users/{name}", access: Access::FreshOperator, handler: || web::to(change) },
    Route {
        method: "POST",
        path: "/admin/users/{name}/password",
        access: Access::FreshOperator,
        handler: || web::to(password),
    },
    Route {
        method: "POST",
        path: "/admin/users/{name}/delete",
        access: Access::FreshOperator,
        handler: || web::to(delete),
    },
    Route { method: "GET", path: "/admin/audit", access: Access::Operator, handler: || web::to(audit) },
    Route { method: "GET", path: "/admin/audit/export", access: Access::Operator, handler: || web::to(export) },
];

/// Users a page.
const USERS: usize = 25;
const GIB: f64 = (1_u64 << 30) as f64;

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    q: String,
    sort: Option<String>,
    cursor: Option<String>,
}

async fn list(
    page: Page,
    operator: Operator,
    server: web::Data<Server>,
    query: Query<ListQuery>,
) -> Result<HttpResponse> {
    let ListQuery { q, sort, cursor } = query.0;
    let newest = sort.as_deref() == Some("newest");
    let order = if newest { (UserOrder::Created, true) } else { (UserOrder::Name, false) };
    let search = q.trim().chars().take(200).collect();
    let found = server.accounts.list(&operator.0, search, order, cursor.filter(|at| !at.is_empty()), USERS).await?;
    let mut items = Vec::with_capacity(found.users.len());
    for (user, seen) in found.users {
        let account = account(&server, &operator.0, &user).await?;
        items.push(json!({
            "name": user.name,
            "tenant": user.tenant,
            "role": user.role,
            "disabled": !user.may_log_in(),
            "storage": {"used": account.usage.used(), "limit": account.limit, "percent": account.percent()},
            "on_air": server.tenancy.on_air(&operator.0, &user.tenant).await?,
            "last_seen": seen.map(|seen| page.moment(seen)),
        }));
    }
    let sort = if newest { "newest" } else { "name" };
    let next = found.next.map(|cursor| {
        let pairs = [("q", q.as_str()), ("sort", sort), ("cursor", &cursor)];
        format!("/admin/users?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    });
    let list = json!({"q": q, "sort": sort, "total": found.total, "prev": null, "next": next, "items": items});
    page.render("users", "admin/users.html", json!({ "list": list })).await
}

/// The ledger of a user's tenant; an empty one while that is being removed.
async fn account(server: &Server, operator: &OperatorScope, user: &User) -> Result<Account> {
    match server.tenancy.account(operator, &user.tenant).await {
        Err(Error::NotFound) => Ok(Account { usage: crate::tenancy::Usage::default(), limit: 0 }),
        account => account,
    }
}

fn plans() -> Vec<&'static str> {
    Plan::ALL.iter().map(|plan| plan.code()).collect()
}

async fn new(page: Page, _operator: FreshOperator) -> Result<HttpResponse> {
    let form = json!({"username": "", "role": "user", "plan": "premium", "quota": ""});
    let context = json!({"form": form, "errors": {}, "plans": plans()});
    page.render("users", "admin/user_new.html", context).await
}

/// Gibibytes as they are typed; nothing means as the plan says.
fn quota(typed: &str) -> Result<Option<u64>> {
    let typed = typed.trim().replace(',', ".");
    if typed.is_empty() {
        return Ok(None);
    }
    let amount = typed.parse::<f64>().ok().filter(|amount| (0.0..=1e6).contains(amount));
    let amount = amount.ok_or_else(|| Error::field("quota", Message::new("quota-expected")))?;
    Ok(Some((amount * GIB).round() as u64))
}

/// A limit as it is typed.
fn typed_quota(limit: Option<u64>) -> String {
    limit.map_or_else(String::new, |limit| (limit as f64 / GIB).to_string())
}

fn need<T>(field: &str, found: Option<T>) -> Result<T> {
    found.ok_or_else(|| Error::Malformed(Message::new("error-form").with("cause", field.to_owned())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    username: String,
    password: String,
    role: String,
    plan: String,
    #[serde(default)]
    quota: String,
}

impl New {
    fn read(self) -> Result<NewMember> {
        let (name, limit) = (UserName::parse(self.username.trim()), quota(&self.quota));
        let mut wrong: Vec<FieldError> = Vec::new();
        for refused in [name.as_ref().err(), limit.as_ref().err()].into_iter().flatten() {
            if let Error::Invalid(fields) = refused {
                wrong.extend(fields.iter().cloned());
            }
        }
        if let Err(Error::Invalid(fields)) = crate::auth::acceptable_password(&self.password) {
            wrong.extend(fields);
        }
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        Ok(NewMember {
            name: name?,
            role: need("role", Role::parse(&self.role))?,
            tenant: None,
            password: self.password.into(),
            plan: Some(need("plan", Plan::parse(&self.plan))?),
            storage_limit: limit?,
        })
    }
}

async fn create(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    form: Form<New>,
) -> Result<HttpResponse> {
    let made = match form.value.read() {
        Ok(new) => server.tenancy.create(&operator.0, new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(user) => {
            let told = Message::new("user-created").with("name", user.name.as_str());
            Ok(page.see_other(&format!("/admin/users/{}", user.name), "ok", Some(told)))
        }
        Err(error @ Error::Malformed(_)) => Err(error),
        Err(error) => {
            let context = json!({"plans": plans()});
            page.refuse("users", "admin/user_new.html", context, &form.typed, error).await
        }
    }
}

fn named(path: &str) -> Result<UserName> {
    UserName::parse(path).map_err(|_| Error::NotFound)
}

/// The version of a user and of what their tenant may use, which lies elsewhere.
fn version_of(user: &User, usage: &Usage) -> String {
    let limit = usage.own_limit.map(|limit| limit.to_string()).unwrap_or_default();
    format!("{}.{}.{limit}", user.version, usage.plan.code())
}

/// What [`version_of`] wrote. What is none of ours is a version that does not match.
fn version_from(shown: &str) -> (Option<u64>, Option<(Plan, Option<u64>)>) {
    let read = || {
        let mut parts = shown.splitn(3, '.');
        let (version, plan, limit) = (parts.next()?.parse().ok()?, Plan::parse(parts.next()?)?, parts.next()?);
        let limit = if limit.is_empty() { None } else { Some(limit.parse().ok()?) };
        Some((version, (plan, limit)))
    };
    read().map_or((Some(u64::MAX), None), |(version, was)| (Some(version), Some(was)))
}

async fn context(page: &Page, operator: &OperatorScope, server: &Server, name: UserName) -> Result<Value> {
    let (user, seen) = server.accounts.get(operator, name).await?;
    let account = account(server, operator, &user).await?;
    let members = server.accounts.members(operator, user.tenant.clone()).await?;
    let [videos, streams, schedules] = server.tenancy.holdings(operator, &user.tenant, KINDS).await?;
    Ok(json!({
        "user": {
            "name": user.name,
            "tenant": user.tenant,
            "role": user.role,
            "disabled": !user.may_log_in(),
            "is_self": operator.actor().name() == user.name.as_str(),
            "is_shared": members.len() > 1,
            "created": page.moment(user.created_at),
            "last_seen": seen.map(|seen| page.moment(seen)),
            "on_air": server.tenancy.on_air(operator, &user.tenant).await?,
            "videos": videos,
            "streams": streams,
            "schedules": schedules,
        },
        "usage": usage(&account),
        "plans": plans(),
        "form": {
            "version": version_of(&user, &account.usage),
            "role": user.role,
            "plan": account.usage.plan.code(),
            "quota": typed_quota(account.usage.own_limit),
            "disabled": user.disabled,
            "stop_streams": false,
        },
        "errors": {},
    }))
}

/// What a person would miss, by kind of row.
const KINDS: [&str; 3] = [Video::KIND, LiveStream::KIND, Schedule::KIND];

async fn show(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    name: web::Path<String>,
) -> Result<HttpResponse> {
    let context = context(&page, &operator.0, &server, named(&name)?).await?;
    page.render("users", "admin/user.html", context).await
}

/// To the user's page with what was done, or the page again with what is wrong.
async fn answer(
    page: Page,
    operator: &OperatorScope,
    server: &Server,
    name: UserName,
    done: Result<Message>,
    typed: Option<Value>,
) -> Result<HttpResponse> {
    match done {
        Ok(told) => Ok(page.see_other(&format!("/admin/users/{name}"), "ok", Some(told))),
        Err(error @ (Error::NotFound | Error::Malformed(_))) => Err(error),
        Err(error) => {
            let mut context = context(&page, operator, server, name).await?;
            if let Some(mut typed) = typed {
                // Who is told of another's change may save over it.
                if matches!(error, Error::Stale) {
                    typed["version"] = context["form"]["version"].take();
                }
                context["form"] = typed;
            }
            page.refuse_filled("users", "admin/user.html", context, error).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    role: String,
    plan: String,
    #[serde(default)]
    quota: String,
    disabled: Option<String>,
    stop_streams: Option<String>,
}

async fn change(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    name: web::Path<String>,
    form: Form<Change>,
) -> Result<HttpResponse> {
    let name = named(&name)?;
    let (expected, was) = form.version.as_deref().map_or((None, None), version_from);
    let typed_version = form.version;
    let Change { role, plan, quota: limit, disabled, stop_streams } = form.value;
    let (disabled, stop_streams) = (disabled.is_some(), stop_streams.is_some());
    let typed = json!({
        "version": typed_version, "role": role, "plan": plan, "quota": limit, "disabled": disabled,
        "stop_streams": stop_streams,
    });
    let (role, plan) = (need("role", Role::parse(&role))?, need("plan", Plan::parse(&plan))?);
    let done = match quota(&limit) {
        Ok(limit) => {
            let user = UserChange { role: Some(role), disabled: Some(disabled), password: None };
            let change = MemberChange { user, plan: Some(plan), storage_limit: Some(limit), stop_streams, was };
            server.tenancy.change(&operator.0, name.clone(), change, expected).await
        }
        Err(error) => Err(error),
    };
    let told = match done {
        Ok(user) if disabled => match server.tenancy.on_air(&operator.0, &user.tenant).await? {
            0 => Ok(Message::new("user-changed")),
            count => Ok(Message::new("user-disabled-on-air").with("count", count)),
        },
        done => done.map(|_| Message::new("user-changed")),
    };
    answer(page, &operator.0, &server, name, told, Some(typed)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
}

async fn password(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    name: web::Path<String>,
    form: Form<NewPassword>,
) -> Result<HttpResponse> {
    let name = named(&name)?;
    let change = UserChange { password: Some(form.value.password), ..UserChange::default() };
    let change = MemberChange { user: change, ..MemberChange::default() };
    let done = server.tenancy.change(&operator.0, name.clone(), change, None).await;
    let done = done.map(|_| Message::new("user-password-set"));
    answer(page, &operator.0, &server, name, done, None).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    name: String,
}

async fn delete(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    name: web::Path<String>,
    form: Form<Delete>,
) -> Result<HttpResponse> {
    let name = named(&name)?;
    if form.value.name.trim() != name.as_str() {
        let wrong = Error::field("name", Message::new("user-delete-differs").with("name", name.as_str()));
        return answer(page, &operator.0, &server, name, Err(wrong), None).await;
    }
    match server.tenancy.remove(&operator.0, name.clone()).await {
        Ok(removed) => {
            let size = super::format::bytes(page.locale(), removed.bytes as f64);
            let told = Message::new("user-removed").with("name", name.as_str()).with("files", removed.files);
            Ok(page.see_other("/admin/users", "ok", Some(told.with("size", size))))
        }
        Err(error) => answer(page, &operator.0, &server, name, Err(error), None).await,
    }
}

async fn audit(
    page: Page,
    operator: Operator,
    server: web::Data<Server>,
    query: Query<AuditQuery>,
) -> Result<HttpResponse> {
    let query = query.0;
    let whose = Whose::parse(query.tenant.as_deref())?;
    let found = server.tenancy.audit(&operator.0, &whose, query.cursor(), ROWS, query.filter()).await?;
    let context = audit_page::context(&page, "all", "/admin/audit", &query, found);
    page.render("audit", "settings/audit.html", context).await
}

async fn export(me: Identity, server: web::Data<Server>, query: Query<ExportQuery>) -> Result<HttpResponse> {
    file(&server, &me, &query.0).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gibibytes_are_read_as_people_type_them() {
        assert_eq!(quota("1.5").unwrap(), Some(3 << 29));
        assert_eq!(quota(" 0,5 ").unwrap(), Some(1 << 29));
        assert_eq!(quota("").unwrap(), None);
        for bad in ["-1", "x", "1e99", "NaN", "inf"] {
            assert!(quota(bad).is_err(), "{bad}");
        }
        assert_eq!(typed_quota(Some(3 << 29)), "1.5");
    }
}
