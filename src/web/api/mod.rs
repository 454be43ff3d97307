//! The JSON twins of the pages, under `/api/v1`. What all resources share stands here: lists, times, ETags, answers,
//! and the OpenAPI document, which each resource adds its paths to.

pub mod audit;
pub mod auth;
mod broadcast;
pub mod broadcasts;
pub mod calendar;
pub mod channels;
mod document;
pub mod feed;
pub mod imports;
pub mod jobs;
pub mod keys;
pub mod migrations;
pub mod notices;
mod occurrence;
pub mod overlay;
mod playlist;
pub mod runs;
pub mod schedules;
pub mod status;
pub mod stream_keys;
mod stream_state;
pub mod streams;
pub mod thumbnails;
pub mod usage;
pub mod users;
pub mod verify;
pub mod videos;
pub mod youtube_uploads;

use std::future::{Ready, ready};

use actix_web::http::header::{self, HeaderName};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

pub(super) use document::check_query;
pub use document::{DOCUMENTS, ROUTES, openapi};

use crate::error::{Error, Result};
use crate::store::paged::{Paged, Place};
use crate::store::rows::{Cursor, Page, Row};
use crate::text::Message;

/// A time in the API: RFC 3339 in UTC, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = DateTime, examples("2026-03-01T12:00:00Z"))]
pub struct Moment(pub Timestamp);

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Moment {
        Moment(time.round(Unit::Millisecond).unwrap_or(time))
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct List<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the next page starts, for `cursor`; null at the end.
    pub next: Option<String>,
    /// Items that match, on all pages.
    pub total: u64,
}

impl<T> List<T> {
    /// A page of the store as a page of the API.
    pub fn of<R>(page: Page<R>, total: u64, shown: impl FnMut(R) -> T) -> List<T> {
        let next = page.next.as_ref().map(Cursor::encode);
        List { items: page.items.into_iter().map(shown).collect(), next, total }
    }

    /// A page of a list that was sorted in memory, or of runs, as a page of the API.
    pub fn of_paged<R>(page: Paged<R>, shown: impl FnMut(R) -> T) -> List<T> {
        let next = page.next.as_ref().map(Cursor::encode);
        List { items: page.items.into_iter().map(shown).collect(), next, total: page.total }
    }
}

const LIMIT: usize = 50;
const MOST: usize = 200;
/// Longest search text.
const SEARCH: usize = 200;

/// What every list is asked with. Filters of a resource are a [`super::Query`] beside it.
#[derive(Debug, Clone, PartialEq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Items a page.
    #[param(default = 50, minimum = 1, maximum = 200)]
    pub limit: usize,
    /// `next` of the page before.
    #[param(required = false)]
    pub cursor: Option<String>,
    /// Only items that contain this text.
    #[param(required = false, max_length = 200)]
    pub q: String,
    /// Order of the list; a `-` in front turns it round.
    #[param(required = false)]
    pub sort: Option<String>,
}

impl FromRequest for ListQuery {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(ListQuery::parse(request.query_string()))
    }
}

pub(super) fn bad_query(cause: impl Into<String>) -> Error {
    Error::Malformed(Message::new("error-query").with("cause", cause.into()))
}

impl ListQuery {
    fn parse(query: &str) -> Result<ListQuery> {
        let mut parsed = ListQuery { limit: LIMIT, cursor: None, q: String::new(), sort: None };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    parsed.limit = limit.ok_or_else(|| bad_query(format!("limit: 1 to {MOST} is expected")))?;
                }
                "cursor" => parsed.cursor = Some(value.into_owned()).filter(|cursor| !cursor.is_empty()),
                "q" if value.chars().count() > SEARCH => {
                    return Err(bad_query(format!("q: at most {SEARCH} characters are expected")));
                }
                "q" => parsed.q = value.trim().to_owned(),
                "sort" => parsed.sort = Some(value.into_owned()).filter(|sort| !sort.is_empty()),
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// The place where the page starts.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a cursor that is none of ours.
    pub fn after(&self) -> Result<Option<Cursor>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        Cursor::decode(cursor).map(Some).ok_or_else(|| bad_query("cursor: use `next` of the page before"))
    }

    /// The order asked for, of those that a list `knows` (the first one where none is asked for), and whether it is
    /// turned round.
    ///
    /// # Errors
    /// [`Error::Malformed`] that names the orders.
    pub fn order<'a>(&self, knows: &[&'a str]) -> Result<(&'a str, bool)> {
        let (name, turned) = match self.sort.as_deref() {
            None => ("", false),
            Some(sort) => sort.strip_prefix('-').map_or((sort, false), |name| (name, true)),
        };
        let found = if name.is_empty() { knows.first() } else { knows.iter().find(|known| **known == name) };
        match found {
            Some(found) => Ok((found, turned)),
            None => Err(bad_query(format!("sort: one of {} is expected", knows.join(", ")))),
        }
    }
}

/// The page that a list query asks for; `descending`: from the last to the first.
pub(super) fn place(asked: &ListQuery, descending: bool) -> Result<Place> {
    Ok(Place { cursor: asked.after()?, before: false, descending, limit: asked.limit })
}

/// What every row carries and no request can set; flattened into each resource.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RowFields {
    /// UUIDv7.
    pub id: Uuid,
    /// The tenant.
    pub owner: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Moment,
    /// When it was last changed.
    pub updated_at: Moment,
    /// Number for `If-Match`, the same as in the ETag.
    pub version: u64,
}

impl<T> From<&Row<T>> for RowFields {
    fn from(row: &Row<T>) -> RowFields {
        RowFields {
            id: row.header.id,
            owner: row.header.owner.clone(),
            created_by: row.header.created_by.clone(),
            created_at: row.header.created_at.into(),
            updated_at: row.header.updated_at.into(),
            version: row.version,
        }
    }
}

/// An error, as `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says it all. `urn:jadwalstream:proof-required`: the password was last typed too long ago
    /// for an admin's act; `POST /auth/confirm` first.
    pub r#type: String,
    /// Name of the status.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What happened and what to do next.
    pub detail: String,
    /// What is wrong with which field.
    pub errors: Vec<FieldProblem>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Its name in the body.
    pub field: String,
    /// What is expected.
    pub message: String,
}

/// The header that names a row's version.
pub fn etag(version: u64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}

/// 200 with a body and, where it is a row, its version.
pub fn shown(body: &impl Serialize, version: Option<u64>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(version) = version {
        response.insert_header(etag(version));
    }
    response.json(body)
}

/// 201 with the new row's address.
pub fn created(location: &str, body: &impl Serialize, version: Option<u64>) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, location));
    if let Some(version) = version {
        response.insert_header(etag(version));
    }
    response.json(body)
}

/// 202 with the address of what was begun.
pub fn accepted(location: &str, body: &impl Serialize, version: u64) -> HttpResponse {
    HttpResponse::Accepted().insert_header((header::LOCATION, location)).insert_header(etag(version)).json(body)
}

/// 204.
pub fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// For PATCH fields that may be cleared: absent is `None`, `null` is `Some(None)`. Use with
/// `#[serde(default, deserialize_with = "given")]`.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_asked_for_with_limit_cursor_search_and_order() {
        let query = ListQuery::parse("limit=7&q=rain+%26+sun&sort=-title&state=x").unwrap();
        assert_eq!((query.limit, query.q.as_str(), query.cursor.clone()), (7, "rain & sun", None));
        assert_eq!(query.order(&["created_at", "title"]).unwrap(), ("title", true));
        assert_eq!(ListQuery::parse("").unwrap().order(&["created_at"]).unwrap(), ("created_at", false));
        assert_eq!(query.order(&["size"]).unwrap_err().status(), 400);
        for bad in ["limit=0", "limit=201", "limit=-1", "limit=x", &format!("q={}", "a".repeat(201))] {
            assert_eq!(ListQuery::parse(bad).unwrap_err().status(), 400, "{bad}");
        }
        assert_eq!(ListQuery::parse("cursor=%F0%9F").unwrap().after().unwrap_err().status(), 400);
    }

    #[test]
    fn null_in_a_change_is_not_the_same_as_nothing() {
        #[derive(Deserialize)]
        struct Change {
            #[serde(default, deserialize_with = "given")]
            rule: Option<Option<String>>,
        }
        let rule = |text: &str| serde_json::from_str::<Change>(text).unwrap().rule;
        assert_eq!(rule("{}"), None);
        assert_eq!(rule(r#"{"rule":null}"#), Some(None));
        assert_eq!(rule(r#"{"rule":"x"}"#), Some(Some("x".into())));
    }
}
