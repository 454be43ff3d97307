//! Pages: templates, the reader's language and zone, flash messages, the frame around every page.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use futures_util::future::{Ready, ready};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_embed::RustEmbed;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tera::{Context, Kwargs, State, Tera};

use super::Server;
use super::extract::{identity, own_path, server};
use super::format::{self, Moment};
use crate::auth::{Identity, Role, Theme};
use crate::error::{Error, FieldError, Result};
use crate::library::Library;
use crate::live::OnAirCount;
use crate::tenancy;
use crate::text::{Locale, Message};

#[derive(RustEmbed)]
#[folder = "templates"]
#[include = "*.html"]
struct Templates;

/// Every template, once for each language: inside a template `t` needs no word on the language.
#[derive(Clone)]
pub struct Pages {
    english: Arc<Tera>,
    indonesian: Arc<Tera>,
}

fn engine(locale: Locale) -> Result<Tera> {
    let mut tera = Tera::new();
    let complain = |cause: tera::Error| Error::Internal(anyhow::anyhow!("templates: {cause}"));
    tera.register_function("t", move |arguments: Kwargs, _: &State<'_>| translate(locale, &arguments));
    tera.register_function("asset", |arguments: Kwargs, _: &State<'_>| -> tera::TeraResult<String> {
        Ok(super::assets::asset_url(arguments.must_get::<&str>("name")?))
    });
    tera.register_filter("bytes", move |number: f64, _: Kwargs, _: &State<'_>| format::bytes(locale, number));
    tera.register_filter("bitrate", move |bits: f64, _: Kwargs, _: &State<'_>| format::bitrate(locale, bits));
    tera.register_filter("duration", move |seconds: f64, _: Kwargs, _: &State<'_>| format::duration(locale, seconds));
    tera.register_filter("clock", |seconds: f64, _: Kwargs, _: &State<'_>| format::clock(seconds));
    tera.register_filter("number", move |number: f64, _: Kwargs, _: &State<'_>| format::number(locale, number));
    let mut sources = Vec::new();
    for name in Templates::iter() {
        let Some(file) = Templates::get(&name) else { continue };
        let source = String::from_utf8(file.data.into_owned())
            .map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("template")))?;
        sources.push((name.into_owned(), source));
    }
    tera.add_raw_templates(sources.iter().map(|(name, source)| (name.as_str(), source.as_str()))).map_err(complain)?;
    Ok(tera)
}

fn translate(locale: Locale, arguments: &Kwargs) -> tera::TeraResult<String> {
    let mut given: HashMap<std::borrow::Cow<'static, str>, fluent_templates::fluent_bundle::FluentValue<'_>> =
        HashMap::new();
    let all: HashMap<String, serde_json::Value> = arguments.deserialize()?;
    for (name, value) in &all {
        let value = match value {
            serde_json::Value::Number(number) => number.as_f64().unwrap_or_default().into(),
            serde_json::Value::String(text) => text.clone().into(),
            other => other.to_string().into(),
        };
        given.insert(name.clone().into(), value);
    }
    let key = arguments.must_get::<&str>("key")?;
    Ok(locale.text(key, &given))
}

impl Pages {
    /// Reads the templates that the binary carries.
    ///
    /// # Errors
    /// [`Error::Internal`] names the template that does not parse.
    pub fn load() -> Result<Pages> {
        Ok(Pages { english: Arc::new(engine(Locale::En)?), indonesian: Arc::new(engine(Locale::Id)?) })
    }

    fn engine(&self, locale: Locale) -> &Tera {
        match locale {
            Locale::En => &self.english,
            Locale::Id => &self.indonesian,
        }
    }
}

/// A message that survives one redirect.
#[derive(Serialize, Deserialize)]
struct Flash {
    kind: String,
    message: Message,
}

/// The page that is being answered: who reads it, in which language and zone.
#[derive(Clone)]
pub struct Page {
    server: web::Data<Server>,
    identity: Option<Identity>,
    locale: Locale,
    theme: Option<Theme>,
    zone: TimeZone,
    zone_name: String,
    path: String,
    posted: bool,
    stale: bool,
    flash: Vec<(String, String)>,
    flash_shown: bool,
}

impl FromRequest for Page {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Page::of(request))
    }
}

/// A library's storage, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Gauge {
    pub used: u64,
    reserved: u64,
    pub limit: u64,
    /// Used and reserved part of the limit, 0 to 100.
    pub percent: f64,
}

const FLASH: &str = "flash";

impl Page {
    /// Reads who asks, and how they like their pages.
    pub fn of(request: &HttpRequest) -> Result<Page> {
        let server = server(request)?;
        let identity = identity(request).ok();
        let user = identity.as_ref().map(|identity| &identity.user);
        let cookie = |name: &str| request.cookie(name).map(|cookie| cookie.value().to_owned());
        let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let chosen = user.filter(|user| user.role != Role::Demo).and_then(|user| user.locale);
        let locale = chosen
            .or_else(|| cookie("locale").as_deref().and_then(Locale::parse))
            .or_else(|| header.and_then(Locale::negotiate))
            .unwrap_or_default();
        let theme = user.and_then(|user| user.theme).or_else(|| cookie("theme").as_deref().and_then(Theme::parse));
        let zone_name = user
            .and_then(|user| user.time_zone.clone())
            .unwrap_or_else(|| server.foundation.config().time_zone.clone());
        let zone = TimeZone::get(&zone_name).unwrap_or(TimeZone::UTC);
        let shown = cookie(FLASH).and_then(|text| BASE64.decode(text).ok());
        let flash: Option<Flash> = shown.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let posted = !request.method().is_safe();
        let path = match request.query_string() {
            _ if posted => page_of_form(request),
            "" => request.path().to_owned(),
            query => format!("{}?{query}", request.path()),
        };
        Ok(Page {
            flash_shown: request.cookie(FLASH).is_some(),
            flash: flash.into_iter().map(|flash| (flash.kind, flash.message.in_locale(locale))).collect(),
            server,
            identity,
            locale,
            theme,
            zone,
            zone_name,
            path,
            posted,
            stale: false,
        })
    }

    /// The reader's language.
    pub fn locale(&self) -> Locale {
        self.locale
    }

    /// The reader's zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The reader's zone by its IANA name.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The user, if anybody is logged in.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Whether the reader runs the box.
    pub fn is_operator(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.operator().is_ok())
    }

    /// Where the reader is: the page's own path or, after a form, that of the page on which the form stands.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The door's parts.
    pub fn server(&self) -> &web::Data<Server> {
        &self.server
    }

    /// A message in the reader's language.
    pub fn text(&self, message: &Message) -> String {
        message.in_locale(self.locale)
    }

    /// A time as the reader sees it.
    pub fn moment(&self, time: Timestamp) -> Moment {
        Moment::new(time, &self.zone, self.locale)
    }

    /// Answers with a page. `active` is the entry of the navigation.
    pub async fn render(self, active: &str, template: &str, context: impl Serialize) -> Result<HttpResponse> {
        self.render_as(HttpResponse::Ok(), active, template, context).await
    }

    /// Like [`Page::render`], with a status other than 200.
    pub async fn render_status(
        self,
        status: u16,
        active: &str,
        template: &str,
        context: impl Serialize,
    ) -> Result<HttpResponse> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.render_as(HttpResponse::build(status), active, template, context).await
    }

    /// What is wrong, in the reader's language: each field's complaint, or the error's own text.
    pub fn complaints(&self, error: &Error) -> Vec<String> {
        match error {
            Error::Invalid(fields) => fields.iter().map(|field| self.text(&field.message)).collect(),
            _ => vec![self.text(&error.message())],
        }
    }

    /// Answers a refused form with the form as it was typed, and what is wrong beside each field. Where somebody else
    /// was faster, `context` holds the form's new version, with which it may be sent again.
    pub async fn refuse(
        self,
        active: &str,
        template: &str,
        mut context: serde_json::Value,
        typed: &[(String, String)],
        error: Error,
    ) -> Result<HttpResponse> {
        let filled = context["form"].get("version").cloned();
        context["form"] = typed_map(typed);
        // Who is told of another's change may save over it.
        if let Some(version) = filled
            && (matches!(error, Error::Stale) || context["form"].get("version").is_none())
        {
            context["form"]["version"] = version;
        }
        self.refuse_filled(active, template, context, error).await
    }

    /// Like [`Page::refuse`] where `context`, a map, holds the form already, and may hold words beside fields.
    pub async fn refuse_filled(
        mut self,
        active: &str,
        template: &str,
        mut context: serde_json::Value,
        error: Error,
    ) -> Result<HttpResponse> {
        let fields: &[FieldError] = match &error {
            Error::Invalid(fields) => fields,
            // Not about the form's content: the error page says it better.
            Error::Internal(_) | Error::NotFound | Error::LoginRequired => return Err(error),
            _ => &[],
        };
        if !context["errors"].is_object() {
            context["errors"] = json!({});
        }
        for field in fields {
            context["errors"][&field.field] = json!(self.text(&field.message));
        }
        let status = match error {
            Error::Stale => {
                self.stale = true;
                StatusCode::CONFLICT
            }
            _ => {
                self.flash.push(("bad".into(), self.text(&error.message())));
                actix_web::ResponseError::status_code(&error)
            }
        };
        let mut response = HttpResponse::build(status);
        if let Error::TooMany { retry_after } = &error {
            response.insert_header((header::RETRY_AFTER, retry_after.as_secs().max(1)));
        }
        self.render_as(response, active, template, context).await
    }

    async fn render_as(
        self,
        mut response: HttpResponseBuilder,
        active: &str,
        template: &str,
        context: impl Serialize,
    ) -> Result<HttpResponse> {
        let complain = |cause: tera::Error| {
            let mut text = cause.to_string();
            let mut source = std::error::Error::source(&cause);
            while let Some(inner) = source {
                text = format!("{text}: {inner}");
                source = inner.source();
            }
            Error::Internal(anyhow::anyhow!("page: {text}"))
        };
        let mut values = Context::from_serialize(&context).map_err(complain)?;
        values.insert("page", &self.frame(active).await?);
        let html = self.server.pages.engine(self.locale).render(template, &values).map_err(complain)?;
        if self.flash_shown {
            response.cookie(self.preference(FLASH, "", Duration::ZERO));
        }
        Ok(response.content_type("text/html; charset=utf-8").body(html))
    }

    /// The gauge of a library's storage on top of every page.
    pub(super) async fn gauge(&self, library: &Library) -> Result<Gauge> {
        let usage = library.rows().read(tenancy::usage).await?;
        let limit = self.server.foundation.ledger(library.scope()).limit(&usage);
        let percent = (usage.used() + usage.reserved) as f64 * 100.0 / limit.max(1) as f64;
        let percent = percent.min(100.0).round();
        Ok(Gauge { used: usage.used(), reserved: usage.reserved, limit, percent })
    }

    /// What the frame of every page shows.
    async fn frame(&self, active: &str) -> Result<serde_json::Value> {
        let (mut user, mut storage, mut count) = (None, None, OnAirCount::default());
        if let Some(identity) = &self.identity {
            count = self.server.foundation.board().on_air_count(identity.scope());
            storage = Some(self.gauge(&Library::open(&self.server.foundation, identity.scope())).await?);
            user = Some(json!({
                "name": identity.user.name,
                "tenant": identity.user.tenant,
                "role": identity.user.role,
                "is_operator": identity.operator().is_ok(),
                "is_demo": identity.write_scope().is_err(),
            }));
        }
        let flash: Vec<_> = self.flash.iter().map(|(kind, text)| json!({"kind": kind, "text": text})).collect();
        Ok(json!({
            "path": self.path,
            "posted": self.posted,
            "stale": self.stale,
            "active": active,
            "csrf": self.identity.as_ref().map(|identity| identity.csrf.as_str()).unwrap_or_default(),
            "locale": self.locale.code(),
            "theme": self.theme.map_or("auto", Theme::code),
            "user": user,
            "time_zone": self.zone_name,
            "on_air_count": count.on_air,
            "retrying_count": count.retrying,
            "storage": storage,
            "flash": flash,
            "version": env!("CARGO_PKG_VERSION"),
        }))
    }

    /// The page of an error: what happened, what to do next.
    pub(super) async fn error(mut self, response: HttpResponseBuilder, error: &Error) -> HttpResponse {
        // There is no page to lead back to either.
        if self.posted && matches!(error, Error::NotFound) {
            self.path = "/".into();
        }
        let text = self.text(&error.message());
        let details: Vec<_> = match error {
            Error::Invalid(fields) => fields.iter().map(|field| self.text(&field.message)).collect(),
            _ => Vec::new(),
        };
        let context = json!({ "status": error.status(), "text": text, "details": details });
        match self.render_as(response, "", "error.html", context).await {
            Ok(page) => page,
            Err(cause) => {
                tracing::error!(%cause, "the error page itself failed");
                HttpResponse::build(actix_web::ResponseError::status_code(error))
                    .content_type("text/plain; charset=utf-8")
                    .body(text)
            }
        }
    }

    /// 303 to a page of ours, with a message that is shown there once.
    pub fn see_other(&self, path: &str, kind: &str, message: Option<Message>) -> HttpResponse {
        let path = own_path(path).unwrap_or_else(|| "/".into());
        let mut response = HttpResponse::SeeOther();
        response.insert_header((header::LOCATION, path));
        if let Some(message) = message
            && let Ok(flash) = serde_json::to_vec(&Flash { kind: kind.to_owned(), message })
        {
            response.cookie(self.preference(FLASH, &BASE64.encode(flash), Duration::minutes(2)));
        }
        response.finish()
    }

    /// After an act by a button of a list: back to the list, which then says why it could not be done now.
    ///
    /// # Errors
    /// `error` itself where it is no conflict, or the form names no page to return to.
    pub fn back_with(&self, back: Option<&str>, error: Error) -> Result<HttpResponse> {
        match (back, error) {
            (Some(back), Error::Conflict(message) | Error::Upstream(message) | Error::OverQuota(message)) => {
                Ok(self.see_other(back, "bad", Some(message)))
            }
            (_, error) => Err(error),
        }
    }

    /// A cookie that carries nothing secret.
    pub(super) fn preference(&self, name: &str, value: &str, age: Duration) -> Cookie<'static> {
        Cookie::build(name.to_owned(), value.to_owned())
            .path("/")
            .http_only(true)
            .secure(self.server.foundation.config().is_https())
            .same_site(SameSite::Lax)
            .max_age(age)
            .finish()
    }
}

/// The page on which the form of a request stands: the one for changing or making what the form is about, or the next
/// above it that there is.
fn page_of_form(request: &HttpRequest) -> String {
    let is_page = |pattern: &str| super::routes().any(|route| route.method == "GET" && route.path == pattern);
    let pattern = request.match_pattern().unwrap_or_default();
    let (mut pattern, mut path) = (pattern.as_str(), request.path());
    // What is sent to the address itself is typed at its form; an act on something is ordered at its page.
    let mut pages = ["/edit", "/new", ""];
    while !pattern.is_empty() {
        for page in pages {
            if is_page(&format!("{pattern}{page}")) {
                return format!("{path}{page}");
            }
        }
        pages = ["", "/edit", "/new"];
        pattern = pattern.rsplit_once('/').map_or("", |(above, _)| above);
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
    "/".to_owned()
}

/// A form as it was typed: fields that stand once as text, repeated ones as lists.
fn typed_map(typed: &[(String, String)]) -> serde_json::Value {
    let mut map = serde_json::Map::new();
    for (name, value) in typed {
        // What must not be sent back to a screen.
        if name.contains("password") || name.contains("key") || name.contains("secret") {
            continue;
        }
        match map.get_mut(name) {
            None => drop(map.insert(name.clone(), json!(value))),
            Some(serde_json::Value::Array(list)) => list.push(json!(value)),
            Some(first) => *first = json!([first.clone(), value]),
        }
    }
    map.into()
}
