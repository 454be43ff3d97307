//! The one error of the house.
//!
//! A variant is chosen for what the *caller* can do about it; the text for people is a [`Message`] that is
//! translated at the door. Causes travel only inside [`Error::Internal`], for the log.

use std::time::Duration;

use crate::text::Message;

/// Result with the house's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A complaint about one field of a form or JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// Name of the field as the form or the JSON body spells it.
    pub field: String,
    /// What is wrong and what is expected.
    pub message: Message,
}

/// Everything that can go wrong, sorted by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, or not yours: the two are never told apart. 404.
    #[error("not found")]
    NotFound,
    /// The request cannot be read (broken JSON, unknown field, bad header). 400.
    #[error("malformed: {0}")]
    Malformed(Message),
    /// Readable, but fields do not make sense. 422.
    #[error("invalid: {0:?}")]
    Invalid(Vec<FieldError>),
    /// Clashes with what is there. 409.
    #[error("conflict: {0}")]
    Conflict(Message),
    /// The address exists, the method does not. 405.
    #[error("wrong method")]
    WrongMethod,
    /// `If-Match` names an older version. 412.
    #[error("stale")]
    Stale,
    /// Logged in, but not allowed. 403.
    #[error("forbidden: {0}")]
    Forbidden(Message),
    /// Logged in and allowed, but the password was last typed too long ago for an act of this weight. 403.
    #[error("proof required")]
    ProofRequired,
    /// No live session or token. 401.
    #[error("login required")]
    LoginRequired,
    /// Name and password do not match; never which. 401.
    #[error("login failed")]
    LoginFailed,
    /// Body or file over a fixed limit. 413.
    #[error("too large: {0}")]
    TooLarge(Message),
    /// Not a kind of file or body that is taken here. 415.
    #[error("wrong kind: {0}")]
    WrongKind(Message),
    /// Rate limit. 429 with `Retry-After`.
    #[error("too many requests")]
    TooMany {
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// No room: the quota or the disk is full. 507.
    #[error("over quota: {0}")]
    OverQuota(Message),
    /// Another program or server (ffmpeg, a platform) failed us. 502.
    #[error("upstream: {0}")]
    Upstream(Message),
    /// Our own fault; the cause goes to the log only. 500.
    #[error("internal: {0:#}")]
    Internal(anyhow::Error),
}

impl Error {
    /// One field that does not make sense.
    pub fn field(field: impl Into<String>, message: Message) -> Self {
        Error::Invalid(vec![FieldError { field: field.into(), message }])
    }

    /// Wraps a cause that the caller can do nothing about, with a word on what was being done.
    pub fn internal(doing: &'static str) -> impl FnOnce(anyhow::Error) -> Error {
        move |cause| Error::Internal(cause.context(doing))
    }

    /// The HTTP status that pages and the API answer with.
    pub fn status(&self) -> u16 {
        match self {
            Error::NotFound => 404,
            Error::Malformed(_) => 400,
            Error::Invalid(_) => 422,
            Error::Conflict(_) => 409,
            Error::WrongMethod => 405,
            Error::Stale => 412,
            Error::Forbidden(_) | Error::ProofRequired => 403,
            Error::LoginRequired | Error::LoginFailed => 401,
            Error::TooLarge(_) => 413,
            Error::WrongKind(_) => 415,
            Error::TooMany { .. } => 429,
            Error::OverQuota(_) => 507,
            Error::Upstream(_) => 502,
            Error::Internal(_) => 500,
        }
    }

    /// What a person is told: what happened and what to do next. Never a cause, never a secret.
    pub fn message(&self) -> Message {
        match self {
            Error::NotFound => Message::new("error-not-found"),
            Error::Invalid(_) => Message::new("error-invalid"),
            Error::WrongMethod => Message::new("error-wrong-method"),
            Error::Stale => Message::new("error-stale"),
            Error::LoginRequired => Message::new("error-login-required"),
            Error::ProofRequired => Message::new("error-proof-required"),
            Error::LoginFailed => Message::new("login-failed"),
            Error::TooMany { retry_after } => {
                Message::new("error-too-many").with("seconds", retry_after.as_secs().max(1))
            }
            Error::Internal(_) => Message::new("error-internal"),
            Error::Malformed(message)
            | Error::Conflict(message)
            | Error::Forbidden(message)
            | Error::TooLarge(message)
            | Error::WrongKind(message)
            | Error::OverQuota(message)
            | Error::Upstream(message) => message.clone(),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        // A full disk is the one I/O error that a person can act on.
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            return Error::OverQuota(Message::new("error-disk-full"));
        }
        Error::Internal(anyhow::Error::new(cause))
    }
}

impl From<serde_json::Error> for Error {
    fn from(cause: serde_json::Error) -> Self {
        Error::Internal(anyhow::Error::new(cause))
    }
}
