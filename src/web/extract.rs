//! What handlers ask for in their signatures. Identities were resolved at the door ([`super::admit`]); the proofs are
//! taken from there.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use futures_util::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;

use super::Server;
use crate::auth::{FreshOperatorScope, Identity, OperatorScope};
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::notify::{Desk, DeskEditor};
use crate::text::Message;

/// Set on connections to the home's own socket: whoever can open that file runs the box.
#[derive(Clone, Copy)]
pub(crate) struct Console;

/// Where a request came from; `None` on the socket.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub Option<IpAddr>);

impl FromRequest for Address {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request.extensions().get::<Address>().copied().unwrap_or(Address(None))))
    }
}

/// The body of a form that the door has read to check its token.
pub(super) struct FormBytes(pub web::Bytes);

pub(super) fn server(request: &HttpRequest) -> Result<web::Data<Server>> {
    request
        .app_data::<web::Data<Server>>()
        .cloned()
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("the app has no server data")))
}

pub(super) fn identity(request: &HttpRequest) -> Result<Identity> {
    request.extensions().get::<Identity>().cloned().ok_or(Error::LoginRequired)
}

impl FromRequest for Identity {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identity(request))
    }
}

impl FromRequest for Library {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let open = || Ok(Library::open(&server(request)?.foundation, identity(request)?.scope()));
        ready(open())
    }
}

impl FromRequest for Editor {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let open = || Editor::of(&server(request)?.foundation, &identity(request)?);
        ready(open())
    }
}

impl FromRequest for Desk {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let open = || Ok(Desk::of(&server(request)?.foundation, &identity(request)?));
        ready(open())
    }
}

impl FromRequest for DeskEditor {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let open = || DeskEditor::of(&server(request)?.foundation, &identity(request)?);
        ready(open())
    }
}

/// May look at how the box is run.
pub struct Operator(pub OperatorScope);

impl FromRequest for Operator {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let prove = || match identity(request) {
            Ok(identity) => Ok(Operator(identity.operator()?.clone())),
            Err(_) if request.conn_data::<Console>().is_some() => {
                Ok(Operator(OperatorScope::clone(&server(request)?.console)))
            }
            Err(cause) => Err(cause),
        };
        ready(prove())
    }
}

/// May run the box: an admin who typed the password a moment ago, or the console.
pub struct FreshOperator(pub FreshOperatorScope);

impl FromRequest for FreshOperator {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let prove = || match identity(request) {
            Ok(identity) => Ok(FreshOperator(identity.fresh_operator()?.clone())),
            Err(_) if request.conn_data::<Console>().is_some() => Ok(FreshOperator(server(request)?.console.clone())),
            Err(cause) => Err(cause),
        };
        ready(prove())
    }
}

/// How long a body without files may take: whoever sends it more slowly holds a connection and does nothing with it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads a body up to a limit.
pub(super) async fn read_body(payload: Payload, limit: usize) -> Result<web::Bytes> {
    let read = tokio::time::timeout(PATIENCE, read_whole(payload, limit));
    read.await.map_err(|_| Error::Malformed(Message::new("error-body-slow")))?
}

/// The pieces of a body as they come.
pub(super) fn chunks(payload: Payload) -> impl Stream<Item = Result<web::Bytes>> + Unpin {
    let broken = |cause: PayloadError| Error::Malformed(Message::new("error-body").with("cause", cause.to_string()));
    payload.map(move |chunk| chunk.map_err(broken))
}

async fn read_whole(payload: Payload, limit: usize) -> Result<web::Bytes> {
    let mut body = web::BytesMut::new();
    let mut chunks = chunks(payload);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge(Message::new("error-body-limit").with("limit", limit >> 10)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A posted form, parsed into a type that refuses unknown fields. `csrf`, `back` and `version` are the door's own.
pub struct Form<T> {
    /// The parsed form.
    pub value: T,
    /// Where to return to after the act: a path of ours, never another site.
    pub back: Option<String>,
    /// Of what the form was filled with; absent where nothing was there, or somebody sends forms by hand.
    pub version: Option<String>,
    /// All fields as they were typed, to fill the form again.
    pub typed: Vec<(String, String)>,
}

/// A path on this site: one slash, then no second one and no backslash, which browsers read as another host.
pub(super) fn own_path(path: &str) -> Option<String> {
    let own = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
        && path.len() <= 2000;
    own.then(|| path.to_owned())
}

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = request.extensions_mut().remove::<FormBytes>();
        let kind = request.content_type().to_owned();
        let payload = payload.take();
        Box::pin(async move {
            let body = match read {
                Some(FormBytes(body)) => body,
                None if kind.is_empty() || kind == "application/x-www-form-urlencoded" => {
                    read_body(payload, 256 << 10).await?
                }
                None => return Err(Error::WrongKind(Message::new("error-form-kind"))),
            };
            Form::parse(&body)
        })
    }
}

impl<T: DeserializeOwned> Form<T> {
    fn parse(body: &[u8]) -> Result<Form<T>> {
        let mut typed = Vec::new();
        let (mut back, mut version) = (None, None);
        for (name, value) in url::form_urlencoded::parse(body) {
            match name.as_ref() {
                "csrf" => {}
                "back" => back = own_path(&value),
                "version" => version = Some(value.into_owned()),
                _ => typed.push((name.into_owned(), value.into_owned())),
            }
        }
        let clean = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&typed).finish();
        let value = serde_html_form::from_str(&clean)
            .map_err(|cause| Error::Malformed(Message::new("error-form").with("cause", cause.to_string())))?;
        // A form that is refused keeps the version that it was filled with.
        typed.extend(version.iter().map(|version| ("version".to_owned(), version.clone())));
        Ok(Form { value, back, version, typed })
    }

    /// The version of the row that the form was filled with. What is none of ours is one that does not match.
    pub fn row_version(&self) -> Option<u64> {
        self.version.as_deref().map(|version| version.parse().unwrap_or(u64::MAX))
    }
}

/// A JSON body of at most 1 MiB, parsed into a type that refuses unknown fields.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let payload = payload.take();
        Box::pin(async move {
            if !is_json {
                return Err(Error::WrongKind(Message::new("error-json-kind")));
            }
            parse_json(&read_body(payload, 1 << 20).await?).map(Json)
        })
    }
}

/// Like [`Json`], for calls that mean something without a body too.
pub struct MaybeJson<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for MaybeJson<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let payload = payload.take();
        Box::pin(async move {
            let body = read_body(payload, 1 << 20).await?;
            if body.is_empty() {
                return Ok(MaybeJson(T::default()));
            }
            if !is_json {
                return Err(Error::WrongKind(Message::new("error-json-kind")));
            }
            parse_json(&body).map(MaybeJson)
        })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let kind = request.content_type();
    kind == "application/json" || kind.ends_with("+json")
}

fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|cause| Error::Malformed(Message::new("error-json").with("cause", cause.to_string())))
}

/// A query string, parsed into a type; what does not fit is a plain 400.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            serde_html_form::from_str(request.query_string())
                .map(Query)
                .map_err(|cause| Error::Malformed(Message::new("error-query").with("cause", cause.to_string()))),
        )
    }
}

/// The version named by `If-Match`, if any.
#[derive(Debug, Clone, Copy)]
pub struct IfMatch(pub Option<u64>);

impl FromRequest for IfMatch {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let shown = request.headers().get(header::IF_MATCH).map(|value| value.to_str().unwrap_or("?").trim());
        ready(Ok(IfMatch(match shown {
            None | Some("*") => None,
            // Whatever is not a version of ours is a version that does not match.
            Some(tag) => Some(tag.trim_start_matches("W/").trim_matches('"').parse().unwrap_or(u64::MAX)),
        })))
    }
}
