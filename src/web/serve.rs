//! Objects on their way out: with ranges, under a type that we chose, and inert in a browser.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use actix_web::body::{self, SizedStream};
use actix_web::http::header::{
    self, Charset, ContentDisposition, DispositionParam, DispositionType, EntityTag, ExtendedValue, IfMatch,
    IfNoneMatch, IfRange, Range,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::{Stream, stream};
use tokio::task::JoinHandle;

use crate::error::Result;
use crate::library::Served;

/// Whatever a browser makes of the bytes, they can do nothing.
const INERT: &str = "sandbox; default-src 'none'";
/// Read at once; two of these are in memory for a download.
const CHUNK: u64 = 256 << 10;
/// Smaller files are read where they are sent from: it takes less than going elsewhere.
const SMALL: u64 = 256 << 10;

/// How a browser is to take an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// On a page, and kept: the address always means these bytes.
    Inline,
    /// On a page, and asked for again: the address may mean other bytes later.
    Changing,
    /// As a file.
    Download,
}

/// Answers with an object, or with the part of it that is asked for. Its bytes are known by their hash.
pub(super) fn object(request: &HttpRequest, served: Served, shown: Shown) -> Result<HttpResponse> {
    let Served { file, key, name, sha256 } = served;
    let (size, tag) = (file.metadata()?.len(), EntityTag::new_strong(sha256));
    let disposition = match shown {
        Shown::Download => DispositionType::Attachment,
        Shown::Inline | Shown::Changing => DispositionType::Inline,
    };
    let cache = if shown == Shown::Changing { "private, no-cache" } else { key.cache_rule() };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::ETAG, tag.to_string()))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::CONTENT_SECURITY_POLICY, INERT))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    if is_other(request, &tag) {
        return Ok(response.status(StatusCode::PRECONDITION_FAILED).finish());
    }
    if is_known(request, &tag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).body(body::None::new()).map_into_boxed_body());
    }
    let (offset, length) = match wanted(request, &tag, size) {
        Wanted::All => (0, size),
        Wanted::Part { first, last } => {
            response.status(StatusCode::PARTIAL_CONTENT);
            response.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")));
            (first, last - first + 1)
        }
        Wanted::Nothing => {
            response.insert_header((header::CONTENT_RANGE, format!("bytes */{size}")));
            return Ok(response.status(StatusCode::RANGE_NOT_SATISFIABLE).finish());
        }
    };
    response
        .insert_header((header::CONTENT_TYPE, key.extension.content_type()))
        .insert_header((header::CONTENT_DISPOSITION, called(disposition, &name).to_string()));
    if *request.method() == Method::HEAD {
        return Ok(response.body(SizedStream::new(length, stream::empty::<io::Result<Bytes>>())));
    }
    if length < SMALL {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset)?;
        return Ok(response.body(bytes));
    }
    Ok(response.body(SizedStream::new(length, read_ahead(Arc::new(file), offset, length))))
}

/// Whether the request is about other bytes than these.
fn is_other(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfMatch>() {
        Some(IfMatch::Items(meant)) => !meant.iter().any(|meant| meant.strong_eq(tag)),
        Some(IfMatch::Any) | None => false,
    }
}

/// Whether whoever asks has these bytes already.
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
        Some(IfNoneMatch::Any) => true,
        None => false,
    }
}

/// How much of an object is asked for.
enum Wanted {
    All,
    /// From one byte to another, both included.
    Part {
        first: u64,
        last: u64,
    },
    /// Bytes that it does not have.
    Nothing,
}

/// What cannot be read, or speaks of another version, asks for all; so do several parts at once.
fn wanted(request: &HttpRequest, tag: &EntityTag, size: u64) -> Wanted {
    let is_meant = !request.headers().contains_key(header::IF_RANGE)
        || matches!(request.get_header::<IfRange>(), Some(IfRange::EntityTag(meant)) if meant.strong_eq(tag));
    match request.get_header::<Range>() {
        Some(Range::Bytes(parts)) if is_meant && *request.method() == Method::GET => match parts.as_slice() {
            [part] => match part.to_satisfiable_range(size) {
                Some((first, last)) => Wanted::Part { first, last },
                None => Wanted::Nothing,
            },
            _ => Wanted::All,
        },
        _ => Wanted::All,
    }
}

/// A name as RFC 6266 wants it: plain for old programs, whole for the others.
fn called(disposition: DispositionType, name: &str) -> ContentDisposition {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '%' | '/') { letter } else { '_' })
        .collect();
    let mut parameters = vec![DispositionParam::Filename(plain.clone())];
    if plain != name {
        parameters.push(DispositionParam::FilenameExt(ExtendedValue {
            charset: Charset::Ext("UTF-8".into()),
            language_tag: None,
            value: name.as_bytes().to_vec(),
        }));
    }
    ContentDisposition { disposition, parameters }
}

/// A part of a file, the next piece always being read while one is sent.
fn read_ahead(file: Arc<File>, offset: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    let read = move |at: u64, end: u64| -> Option<JoinHandle<io::Result<Bytes>>> {
        let file = file.clone();
        let length = CHUNK.min(end - at) as usize;
        (length > 0).then(|| {
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length];
                file.read_exact_at(&mut piece, at)?;
                Ok(piece.into())
            })
        })
    };
    let end = offset + length;
    let first = read(offset, end);
    stream::unfold((read, first, offset), move |(read, piece, at)| async move {
        let piece = piece?.await.map_err(io::Error::other).flatten();
        if let Err(cause) = &piece {
            tracing::error!(%cause, "a file could not be read to its end");
        }
        let at = at + piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let next = if piece.is_ok() { read(at, end) } else { None };
        Some((piece, (read, next, at)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_carries_the_name_for_old_and_new_programs() {
        let shown = |name: &str| called(DispositionType::Attachment, name).to_string();
        assert_eq!(shown("film.mp4"), "attachment; filename=\"film.mp4\"");
        assert_eq!(
            shown("Fête \"1\".mp4"),
            "attachment; filename=\"F_te__1_.mp4\"; filename*=UTF-8''F%C3%AAte%20%221%22.mp4"
        );
        assert!(!shown("a\r\nSet-Cookie: x").contains(['\r', '\n']));
    }
}
