//! The door: the only room that knows actix and tera. [`ROUTES`] is the whole surface; what is not in it does not
//! exist, and a test walks it.

mod admin;
mod admit;
pub mod api;
pub mod assets;
mod audit_page;
mod channel;
mod confirm;
mod connections;
mod dashboard;
mod extract;
mod failure;
mod feed;
pub use crate::format;
mod health;
mod history;
mod jobs;
mod live_events;
pub mod metrics;
mod moving;
mod notices;
mod page;
mod pager;
mod present;
mod schedule;
mod serve;
mod session;
mod settings;
mod stream;
mod thumbnail;
mod upload;
mod video;
mod words;
mod youtube;

use std::collections::BTreeMap;

use actix_web::{http::Method, web};
use serde::Serialize;

pub use connections::Connections;
pub(crate) use connections::KEEP_ALIVE;
pub(crate) use extract::Console;
pub use extract::{Address, Form, FreshOperator, IfMatch, Json, Operator, Query};
pub use failure::finish;
pub use live_events::LiveEvents;
pub use page::{Page, Pages};

use crate::audit::Refusals;
use crate::auth::{Accounts, FreshOperatorScope, Throttle};
use crate::foundation::Foundation;
use crate::host::Host;
use crate::keys::Keys;
use crate::legacy::MovingIn;
use crate::live::Engine;
use crate::notify::Notices;
use crate::oauth::Grants;
use crate::schedule::agenda::Agenda;
use crate::tenancy::Tenancy;
use crate::youtube::Youtube;

/// Who may call a route at all. The handler's own arguments ([`crate::library::Library`],
/// [`crate::library::Editor`], [`Operator`], [`FreshOperator`]) carry the proof; this is checked before its body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody logged in, demo users too.
    Read,
    /// Users and admins.
    Write,
    /// Admins.
    Operator,
    /// Admins who typed their password a moment ago.
    #[serde(rename = "operator")]
    FreshOperator,
    /// Admins, and programs on the box itself.
    #[serde(rename = "operator")]
    OperatorOrBox,
}

/// One address of the surface.
pub struct Route {
    /// `GET`, `POST`, `PATCH`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Makes the actix route.
    pub handler: fn() -> actix_web::Route,
}

/// The whole surface, a list a room.
pub const ROUTES: &[&[Route]] = &[
    assets::ROUTES,
    session::ROUTES,
    confirm::ROUTES,
    settings::ROUTES,
    notices::ROUTES,
    channel::ROUTES,
    admin::ROUTES,
    moving::ROUTES,
    health::ROUTES,
    metrics::ROUTES,
    dashboard::ROUTES,
    stream::ROUTES,
    schedule::ROUTES,
    schedule::FILES,
    history::ROUTES,
    youtube::ROUTES,
    api::ROUTES,
    api::audit::ROUTES,
    api::auth::ROUTES,
    api::usage::ROUTES,
    api::users::ROUTES,
    api::verify::ROUTES,
    api::streams::ROUTES,
    api::stream_keys::ROUTES,
    api::broadcasts::ROUTES,
    api::youtube_uploads::ROUTES,
    api::overlay::ROUTES,
    api::schedules::ROUTES,
    api::imports::ROUTES,
    api::feed::ROUTES,
    feed::ROUTES,
    api::calendar::ROUTES,
    api::runs::ROUTES,
    api::jobs::ROUTES,
    api::migrations::ROUTES,
    api::notices::ROUTES,
    api::channels::ROUTES,
    api::keys::ROUTES,
    api::status::ROUTES,
    video::ROUTES,
    jobs::ROUTES,
    thumbnail::ROUTES,
    api::videos::ROUTES,
    api::thumbnails::ROUTES,
];

/// What the door needs; one for all workers.
pub struct Server {
    /// The domain rooms' ground.
    pub foundation: Foundation,
    /// People and sessions.
    pub accounts: Accounts,
    /// Tenants and what they use.
    pub tenancy: Tenancy,
    /// Templates.
    pub pages: Pages,
    /// Requests by address.
    pub requests: Throttle,
    /// Requests of demo users, by address.
    pub demo_requests: Throttle,
    /// Changes, by tenant.
    pub writes: Throttle,
    /// Where refusals are recorded.
    pub refusals: Refusals,
    /// What was answered so far.
    pub metrics: metrics::Metrics,
    /// How the box is doing.
    pub host: Host,
    /// Who is connected.
    pub connections: Connections,
    /// Pages and programs that are told of changes.
    pub live_events: LiveEvents,
    /// What is on air over all tenants, for operators.
    pub engine: Engine,
    /// What is due over all tenants, for operators.
    pub agenda: Agenda,
    /// Where people want to be told.
    pub notices: Notices,
    /// Accounts elsewhere.
    pub grants: Grants,
    /// Keys, broadcasts and uploads of channels.
    pub youtube: Youtube,
    /// The master key.
    pub keys: Keys,
    /// Brings old homes in.
    pub moving_in: MovingIn,
    /// The proof of whoever comes by the home's own socket.
    pub console: FreshOperatorScope,
}

/// Every route, in the order of the lists.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().copied().flatten()
}

/// A path with literal parts before parameters, so that `/videos/new` is never taken for an id.
fn order(path: &str) -> Vec<(bool, &str)> {
    path.split('/').map(|part| (part.starts_with('{'), part)).collect()
}

/// Puts every route, with its access, into an actix app.
pub fn configure(config: &mut web::ServiceConfig) {
    let mut resources: BTreeMap<_, Vec<&'static Route>> = BTreeMap::new();
    for route in routes() {
        resources.entry(order(route.path)).or_default().push(route);
    }
    config.app_data(web::PathConfig::default().error_handler(|_, _| crate::error::Error::NotFound.into()));
    for routes in resources.into_values() {
        let Some(first) = routes.first() else { continue };
        let mut resource = web::resource(first.path).default_service(web::to(failure::wrong_method));
        let mut access: Vec<(Method, Access)> = Vec::new();
        for route in &routes {
            let Ok(method) = Method::from_bytes(route.method.as_bytes()) else { continue };
            // HEAD is answered as GET without the body; actix drops the body itself.
            if method == Method::GET {
                resource = resource.route((route.handler)().method(Method::HEAD));
                access.push((Method::HEAD, route.access));
            }
            resource = resource.route((route.handler)().method(method.clone()));
            access.push((method, route.access));
        }
        config.service(resource.wrap(admit::Admit::new(access)));
    }
    // Who is asking is known here too, so that a page that does not exist is still a page of theirs.
    config.default_service(web::to(failure::nothing_here).wrap(admit::Admit::new(Vec::new())));
}
