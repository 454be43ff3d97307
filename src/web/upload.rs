//! Multipart forms with files: read field by field, each file streamed into the library as it comes, each with an
//! outcome of its own.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::http::header::{self, ContentDisposition, DispositionType, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::{Ready, ready};
use futures_util::{Stream, StreamExt as _};

use super::admit::check_token;
use super::extract::{identity, own_path};
use super::failure::wants_json;
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::library::{Editor, NewVideo, Thumbnail, Video, names};
use crate::objects::intake::{Arrival, Spool, read_small};
use crate::store::rows::Row;
use crate::text::Message;

/// Longest value of a field that is no file, in bytes.
const TEXT: usize = 8 << 10;
/// Fields of one form.
const FIELDS: usize = 1000;
/// How long the next field may be waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A form with files, about to be read.
pub(super) struct Upload {
    multipart: Multipart,
    /// The session whose token has to come before the first file; `None` once it was shown.
    unproven: Option<Identity>,
    /// Fields besides `file` and `title` that pages send.
    is_page: bool,
    /// How much of a refused file is read for the sake of those behind it, in bytes.
    patience: u64,
    announced: Option<u64>,
    fields: usize,
    title: Option<String>,
    back: Option<String>,
    cut: Rc<Cell<bool>>,
}

/// What became of the files of a form.
pub(super) struct Outcome<T> {
    /// Rows of those that were taken in.
    pub taken: Vec<Row<T>>,
    /// Names of the others, and why.
    pub refused: Vec<(String, Error)>,
    /// Where the form wants to return to: a path of ours.
    pub back: Option<String>,
}

impl FromRequest for Upload {
    type Error = Error;
    type Future = Ready<Result<Self>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let open = |payload: &mut Payload| {
            if !request.content_type().eq_ignore_ascii_case("multipart/form-data") {
                return Err(unreadable("multipart/form-data with a boundary is expected"));
            }
            let is_page = !request.path().starts_with("/api/");
            let headers = request.headers();
            // The door has checked a token that came in the header; bearer tokens need none.
            let proven = headers.contains_key("x-csrf-token") || headers.contains_key(header::AUTHORIZATION);
            let unproven = if is_page && !proven { Some(identity(request)?) } else { None };
            let patience = match (is_page, wants_json(request)) {
                // A script sends one file a request and wants to know at once.
                (true, true) => 0,
                (true, false) => u64::MAX,
                (false, _) => 256 << 20,
            };
            let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            let multipart = Multipart::new(&lenient(headers), payload.take());
            Ok(Upload {
                multipart,
                unproven,
                is_page,
                patience,
                announced,
                fields: 0,
                title: None,
                back: None,
                cut: Rc::default(),
            })
        };
        ready(open(payload))
    }
}

/// The headers under a kind of multipart whose fields may be called as they like: as form-data, one file name that is
/// no UTF-8 would be the end of the whole form. [`disposition`] reads the names instead.
fn lenient(headers: &HeaderMap) -> HeaderMap {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()?.split_once(';'));
    let mixed = kind.and_then(|(_, parameters)| HeaderValue::from_str(&format!("multipart/mixed;{parameters}")).ok());
    let mut lenient = HeaderMap::new();
    if let Some(mixed) = mixed {
        lenient.insert(header::CONTENT_TYPE, mixed);
    }
    lenient
}

/// How a field is called and what file it is; what is no UTF-8 in it becomes `_`.
fn disposition(field: &Field) -> Result<ContentDisposition> {
    let given = field.headers().get(header::CONTENT_DISPOSITION);
    let read = given.and_then(|given| {
        let text = String::from_utf8_lossy(given.as_bytes()).replace(char::REPLACEMENT_CHARACTER, "_");
        ContentDisposition::from_raw(&HeaderValue::from_str(&text).ok()?).ok()
    });
    let read = read.filter(|read| read.disposition == DispositionType::FormData);
    read.ok_or_else(|| unreadable("a field has no form-data disposition"))
}

fn unreadable(cause: &str) -> Error {
    Error::Malformed(Message::new("library-upload-form").with("cause", cause))
}

fn broken(cause: MultipartError) -> Error {
    match cause {
        MultipartError::Payload(_) | MultipartError::Incomplete => Error::Malformed(Message::new("library-upload-cut")),
        other => unreadable(&other.to_string()),
    }
}

/// The bytes of one file. Remembers that the body broke off, after which there is nothing more to read.
struct Bytestream {
    /// `None` at its end, after which a field must not be asked again.
    field: Option<Field>,
    cut: Rc<Cell<bool>>,
}

impl Stream for Bytestream {
    type Item = Result<Bytes>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(field) = &mut self.field else { return Poll::Ready(None) };
        field.poll_next_unpin(context).map(|chunk| match chunk {
            Some(Ok(bytes)) => Some(Ok(bytes)),
            Some(Err(cause)) => {
                self.cut.set(true);
                Some(Err(broken(cause)))
            }
            None => {
                self.field = None;
                None
            }
        })
    }
}

impl Upload {
    /// The next file, after the other fields before it were read; `None` at the end.
    async fn next(&mut self) -> Result<Option<(String, Bytestream)>> {
        loop {
            let field = tokio::time::timeout(PATIENCE, self.multipart.next()).await;
            let field = field.map_err(|_| Error::Malformed(Message::new("library-upload-idle")))?;
            let Some(field) = field.transpose().map_err(broken)? else {
                return if self.unproven.is_some() { Err(unproven()) } else { Ok(None) };
            };
            self.fields += 1;
            if self.fields > FIELDS {
                return Err(unreadable("too many fields"));
            }
            let disposition = disposition(&field)?;
            let name = disposition.get_name().unwrap_or_default().to_owned();
            let given = given_name(&disposition);
            let mut stream = Bytestream { field: Some(field), cut: self.cut.clone() };
            if name == "file" {
                if self.unproven.is_some() {
                    return Err(unproven());
                }
                match given {
                    // What a browser sends where no file was chosen.
                    Some(given) if given.is_empty() && self.is_page => {
                        read_small(&mut stream, TEXT).await?;
                        continue;
                    }
                    given => return Ok(Some((given.unwrap_or_default(), stream))),
                }
            }
            let known = name == "title" || (self.is_page && matches!(name.as_str(), "csrf" | "back"));
            if !known {
                return Err(Error::Malformed(Message::new("library-field-unknown").with("field", name)));
            }
            let value = read_small(&mut stream, TEXT).await?;
            let value = String::from_utf8(value).map_err(|_| unreadable("a field is no UTF-8 text"))?;
            match name.as_str() {
                "csrf" => {
                    if let Some(identity) = &self.unproven {
                        check_token(identity, &value)?;
                        self.unproven = None;
                    }
                }
                "back" => self.back = own_path(&value),
                _ if value.trim().is_empty() => {}
                _ => self.title = Some(names::title(&value)?),
            }
        }
    }

    /// Keeps the one file of a form until it is its turn; `None` where none was chosen. Others are not looked at.
    ///
    /// # Errors
    /// What concerns the form, and [`Error::TooLarge`] over `most` bytes.
    pub async fn take_one(mut self, editor: &Editor, most: usize) -> Result<Option<(String, Spool)>> {
        let Some((name, mut stream)) = self.next().await? else { return Ok(None) };
        Ok(Some((name, Spool::fill(editor.foundation(), editor.bucket(), &mut stream, most).await?)))
    }

    async fn begin(&self, editor: &Editor) -> Result<Arrival> {
        Arrival::begin(editor.foundation(), editor.proof(), self.announced).await
    }

    /// Reads what is left of a refused file, so that the next one can be read. `false` if nothing can be read any more.
    async fn skip(&self, mut stream: Bytestream, error: &Error) -> bool {
        // Our own words for a client that stands still; waiting another minute would not wake it.
        let stuck = self.cut.get() || matches!(error, Error::Malformed(_));
        if stuck {
            return false;
        }
        let mut left = self.patience;
        while left > 0
            && let Ok(Some(Ok(chunk))) = tokio::time::timeout(PATIENCE, stream.next()).await
        {
            left = left.saturating_sub(chunk.len() as u64);
        }
        left > 0 && !self.cut.get()
    }

    /// Takes in every file of the form as a video.
    ///
    /// # Errors
    /// Only what concerns the form as a whole; a file that is refused stands in the outcome.
    pub async fn take_videos(mut self, editor: &Editor) -> Result<Outcome<Video>> {
        let mut outcome = Outcome { taken: Vec::new(), refused: Vec::new(), back: None };
        let mut arrival = None;
        // A file is written down when it is known what follows it: its title, or the end of the form.
        let mut waiting: Option<NewVideo> = None;
        loop {
            let (name, mut stream) = match self.next().await {
                Ok(Some(file)) => file,
                Ok(None) => break,
                Err(cause) if outcome.taken.is_empty() => return Err(cause),
                Err(cause) => {
                    waiting = None;
                    outcome.refused.push((String::new(), cause));
                    break;
                }
            };
            let mut room = match arrival.take() {
                Some(room) => room,
                None => self.begin(editor).await?,
            };
            if let Some(new) = waiting.take() {
                self.keep(editor, &mut room, new, false, &mut outcome).await;
            }
            match editor.receive_video(&mut room, &mut stream, &name).await {
                Ok(new) => waiting = Some(new),
                Err(cause) => {
                    let readable = self.skip(stream, &cause).await;
                    outcome.refused.push((name, cause));
                    if !readable {
                        break;
                    }
                }
            }
            arrival = Some(room);
        }
        if let Some(mut room) = arrival {
            if let Some(new) = waiting {
                self.keep(editor, &mut room, new, true, &mut outcome).await;
            }
            room.end().await?;
        }
        self.done(outcome)
    }

    async fn keep(&self, editor: &Editor, room: &mut Arrival, new: NewVideo, last: bool, outcome: &mut Outcome<Video>) {
        let name = new.original_name().to_owned();
        // One title for several files: numbered from the second on.
        let number = outcome.taken.len() + 1;
        let title = self.title.as_ref().map(|title| match number {
            1 => title.clone(),
            _ => format!("{title} {number}"),
        });
        match editor.keep_video(room, new, title.as_deref(), last).await {
            Ok(row) => outcome.taken.push(row),
            Err(cause) => outcome.refused.push((name, cause)),
        }
    }

    /// Takes in every file of the form as a thumbnail.
    ///
    /// # Errors
    /// As [`Upload::take_videos`].
    pub async fn take_thumbnails(mut self, editor: &Editor) -> Result<Outcome<Thumbnail>> {
        let mut outcome = Outcome { taken: Vec::new(), refused: Vec::new(), back: None };
        let mut arrival = None;
        loop {
            let (name, mut stream) = match self.next().await {
                Ok(Some(file)) => file,
                Ok(None) => break,
                Err(cause) if outcome.taken.is_empty() => return Err(cause),
                Err(cause) => {
                    outcome.refused.push((String::new(), cause));
                    break;
                }
            };
            let mut room = match arrival.take() {
                Some(room) => room,
                None => self.begin(editor).await?,
            };
            match editor.take_picture(&mut room, &mut stream, &name, self.title.as_deref()).await {
                Ok(row) => outcome.taken.push(row),
                Err(cause) => {
                    let readable = self.skip(stream, &cause).await;
                    outcome.refused.push((name, cause));
                    if !readable {
                        break;
                    }
                }
            }
            arrival = Some(room);
        }
        if let Some(room) = arrival {
            room.end().await?;
        }
        // A title that came behind its picture.
        if let (Some(title), [row]) = (&self.title, outcome.taken.as_mut_slice())
            && row.value.title != *title
        {
            *row = editor.rename_thumbnail(row.id(), None, title).await?;
        }
        self.done(outcome)
    }

    fn done<T>(self, mut outcome: Outcome<T>) -> Result<Outcome<T>> {
        if outcome.taken.is_empty() && outcome.refused.is_empty() {
            return Err(Error::field("file", Message::new("library-no-file")));
        }
        outcome.back = self.back;
        Ok(outcome)
    }
}

fn unproven() -> Error {
    Error::Forbidden(Message::new("error-form-token"))
}

/// The name that a file was sent with.
fn given_name(disposition: &ContentDisposition) -> Option<String> {
    match disposition.get_filename_ext() {
        Some(extended) => Some(String::from_utf8_lossy(&extended.value).replace(char::REPLACEMENT_CHARACTER, "_")),
        None => disposition.get_filename().map(str::to_owned),
    }
}
