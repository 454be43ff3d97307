//! Objects on their way out: with ranges, under a type that we chose, and inert in a browser.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use actix_files::NamedFile;
use actix_web::body::SizedStream;
use actix_web::http::header::{
    self, Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue, HeaderValue,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, stream};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
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

/// Answers with an object.
pub(super) fn object(request: &HttpRequest, served: Served, shown: Shown) -> Result<HttpResponse> {
    let Served { file, key, name } = served;
    let kind = key.extension.content_type();
    let kind = kind.parse().map_err(|_| Error::Internal(anyhow::anyhow!("no content type: {kind}")))?;
    let bytes = Arc::new(file.try_clone()?);
    let disposition = match shown {
        Shown::Download => DispositionType::Attachment,
        Shown::Inline | Shown::Changing => DispositionType::Inline,
    };
    let file = NamedFile::from_file(file, key.file_name())?
        .set_content_type(kind)
        .set_content_disposition(called(disposition, &name))
        .read_mode_threshold(SMALL);
    let mut response = file.into_response(request);
    let cache = if shown == Shown::Changing { "private, no-cache" } else { key.cache_rule() };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(INERT));
    // actix-files decided what to send; large files are sent by reading ahead, which is twice as fast.
    match sent(&response, bytes.metadata()?.len()) {
        Some((offset, length)) if length >= SMALL && request.method() == Method::GET => {
            Ok(response.set_body(SizedStream::new(length, read_ahead(bytes, offset, length))).map_into_boxed_body())
        }
        _ => Ok(response),
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

/// The part of a file of `size` bytes that an answer carries: where it begins and how long it is.
fn sent(response: &HttpResponse, size: u64) -> Option<(u64, u64)> {
    match response.status() {
        StatusCode::OK => Some((0, size)),
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
            let (first, rest) = range.strip_prefix("bytes ")?.split_once('-')?;
            let (first, last): (u64, u64) = (first.parse().ok()?, rest.split_once('/')?.0.parse().ok()?);
            Some((first, last.checked_sub(first)? + 1))
        }
        _ => None,
    }
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
