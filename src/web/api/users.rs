//! The users of the box, for operators.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{List, ListQuery, Moment, created, given, no_content, shown};
use crate::auth::{OperatorScope, Role, Tenant, User, UserChange, UserName, UserOrder};
use crate::error::{Error, Result};
use crate::tenancy::{MemberChange, NewMember, Plan, Tenancy};
use crate::text::Message;
use crate::web::{Access, FreshOperator, IfMatch, Json, Operator, Route, Server};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/users", access: Access::Operator, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/users", access: Access::FreshOperator, handler: || web::to(create) },
    Route { method: "GET", path: "/api/v1/users/{name}", access: Access::Operator, handler: || web::to(show) },
    Route { method: "PATCH", path: "/api/v1/users/{name}", access: Access::FreshOperator, handler: || web::to(change) },
    Route {
        method: "DELETE",
        path: "/api/v1/users/{name}",
        access: Access::FreshOperator,
        handler: || web::to(remove),
    },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, remove))]
pub struct Document;

/// A user as operators see them.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct Shown {
    /// UUIDv7.
    id: Uuid,
    username: String,
    role: Role,
    /// Whose library they use.
    tenant: String,
    /// The tenant, too.
    owner: String,
    plan: Plan,
    disabled: bool,
    /// Bytes that the tenant uses.
    storage_used: u64,
    /// Bytes that the tenant may use.
    storage_limit: u64,
    /// Streams of the tenant that are to be on air.
    on_air: usize,
    /// When they last used the box.
    last_seen: Option<Moment>,
    created_by: String,
    created_at: Moment,
    updated_at: Moment,
    /// Number for `If-Match`.
    version: u64,
}

impl Shown {
    async fn read(
        tenancy: &Tenancy,
        operator: &OperatorScope,
        user: User,
        seen: Option<jiff::Timestamp>,
    ) -> Result<Shown> {
        let account = tenancy.account(operator, &user.tenant).await;
        // The library of a user who is just being removed may be gone before them.
        let account = match account {
            Err(Error::NotFound) => None,
            account => Some(account?),
        };
        Ok(Shown {
            id: user.id,
            username: user.name.to_string(),
            role: user.role,
            tenant: user.tenant.to_string(),
            owner: user.tenant.to_string(),
            plan: account.as_ref().map(|account| account.usage.plan).unwrap_or_default(),
            disabled: !user.may_log_in(),
            storage_used: account.as_ref().map_or(0, |account| account.usage.used()),
            storage_limit: account.as_ref().map_or(0, |account| account.limit),
            on_air: tenancy.on_air(operator, &user.tenant).await?,
            last_seen: seen.map(Moment::from),
            created_by: user.created_by,
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
            version: user.version,
        })
    }
}

/// A name in an address: one that cannot be a user's is nobody's.
fn named(path: &str) -> Result<UserName> {
    UserName::parse(path).map_err(|_| Error::NotFound)
}

/// List users
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(ListQuery), responses((status = 200, body = List<Shown>)))]
async fn list(server: web::Data<Server>, operator: Operator, query: ListQuery) -> Result<HttpResponse> {
    let (order, turned) = query.order(&["username", "created_at"])?;
    let order = if order == "username" { UserOrder::Name } else { UserOrder::Created };
    let found = server.accounts.list(&operator.0, query.q, (order, turned), query.cursor, query.limit).await?;
    let mut items = Vec::with_capacity(found.users.len());
    for (user, seen) in found.users {
        items.push(Shown::read(&server.tenancy, &operator.0, user, seen).await?);
    }
    Ok(shown(&List { items, next: found.next, total: found.total }, None))
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
struct New {
    /// `[a-z0-9][a-z0-9_-]{1,31}`; never changes.
    username: String,
    /// At least 8 characters, at most 72 bytes.
    password: String,
    /// `user` where absent.
    role: Option<Role>,
    /// A tenant to join; one of the user's own name is made where absent.
    tenant: Option<String>,
    /// `premium`, for admins `enterprise`, where absent.
    plan: Option<Plan>,
    /// Bytes; the plan's where absent.
    storage_limit: Option<u64>,
}

/// Make a user
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = New, responses(
    (status = 201, body = Shown),
    (status = 409, description = "The name is taken"),
    (status = 422, description = "The name, the password or the tenant cannot be used"),
))]
async fn create(server: web::Data<Server>, operator: FreshOperator, body: Json<New>) -> Result<HttpResponse> {
    let new = body.0;
    let tenant = new.tenant.as_deref().map(|tenant| {
        Tenant::parse(tenant).map_err(|_| Error::field("tenant", Message::new("tenant-unknown").with("name", tenant)))
    });
    let new = NewMember {
        name: UserName::parse(&new.username)?,
        role: new.role.unwrap_or(Role::User),
        tenant: tenant.transpose()?,
        password: new.password.into(),
        plan: new.plan,
        storage_limit: new.storage_limit,
    };
    let user = server.tenancy.create(&operator.0, new).await?;
    let body = Shown::read(&server.tenancy, &operator.0, user, None).await?;
    Ok(created(&format!("/api/v1/users/{}", body.username), &body, Some(body.version)))
}

/// Show a user
#[utoipa::path(get, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)), responses(
    (status = 200, body = Shown),
    (status = 404, description = "Nobody has this name"),
))]
async fn show(server: web::Data<Server>, operator: Operator, name: web::Path<String>) -> Result<HttpResponse> {
    let (user, seen) = server.accounts.get(&operator.0, named(&name)?).await?;
    let body = Shown::read(&server.tenancy, &operator.0, user, seen).await?;
    Ok(shown(&body, Some(body.version)))
}

/// What is to be changed; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = UserChange)]
#[serde(deny_unknown_fields)]
struct Change {
    role: Option<Role>,
    plan: Option<Plan>,
    /// Bytes; null returns to the plan's.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    storage_limit: Option<Option<u64>>,
    /// Locks out, at once, or lets in again.
    disabled: Option<bool>,
    /// With `disabled`: also takes the tenant's streams off air, and answers when they are. Otherwise they go on.
    #[serde(default)]
    stop_streams: bool,
    /// Sets a new password.
    password: Option<String>,
}

/// Change a user; their logins end if role, lock or password change
///
/// A user who is disabled leaves what is on air there: see `on_air` and `stop_streams`. Schedules of a tenant whose
/// every user is disabled start nothing.
#[utoipa::path(patch, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)), request_body = Change, responses(
    (status = 200, body = Shown),
    (status = 404, description = "Nobody has this name"),
    (status = 409, description = "The last admin stays one"),
    (status = 412, description = "`If-Match` names an older version"),
))]
async fn change(
    server: web::Data<Server>,
    operator: FreshOperator,
    name: web::Path<String>,
    expected: IfMatch,
    body: Json<Change>,
) -> Result<HttpResponse> {
    let Change { role, plan, storage_limit, disabled, stop_streams, password } = body.0;
    let user = UserChange { role, disabled, password };
    let change = MemberChange { user, plan, storage_limit, stop_streams, was: None };
    let name = named(&name)?;
    server.tenancy.change(&operator.0, name.clone(), change, expected.0).await?;
    let (user, seen) = server.accounts.get(&operator.0, name).await?;
    let body = Shown::read(&server.tenancy, &operator.0, user, seen).await?;
    Ok(shown(&body, Some(body.version)))
}

/// Remove a user, and their library where nobody else uses it
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)), responses(
    (status = 204),
    (status = 404, description = "Nobody has this name"),
    (status = 409, description = "The last admin, or oneself"),
))]
async fn remove(server: web::Data<Server>, operator: FreshOperator, name: web::Path<String>) -> Result<HttpResponse> {
    server.tenancy.remove(&operator.0, named(&name)?).await?;
    Ok(no_content())
}
