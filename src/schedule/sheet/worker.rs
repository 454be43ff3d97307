//! Strangers' workbooks are read in a cage: what makes a reader take memory or time takes nobody with it, and what it
//! took is given back when it ends.

use std::fs::File;
use std::io::{BufWriter, Read as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::read::{broken, broken_by};
use super::{Limits, Table, read};
use crate::error::{Error, FieldError, Result};
use crate::media::Tools;
use crate::media::cage::{self, Cage, Failure, Job, Program};
use crate::store::blocking;
use crate::text::Message;

/// Memory of one reader, its program included.
const MEMORY_MIB: u64 = 256;
/// Seconds of processor time; a file that is all right takes less than one.
const CPU_SECONDS: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// Text that is all marks to be written as `\\"` is twice as long, and a cell has marks around it.
const ANSWER: usize = 32 << 20;

#[derive(Serialize, Deserialize)]
enum Answer {
    Tables(Vec<Table>),
    TooLarge(Message),
    WrongKind(Message),
    Invalid(Vec<(String, Message)>),
}

/// Serves the cage's `@sheet`: a file on standard input, on standard output what it holds.
pub(crate) fn work() -> ExitCode {
    let limits = Limits::default();
    let mut bytes = Vec::new();
    // One more than is allowed is refused by the reader.
    if std::io::stdin().take(limits.bytes as u64 + 1).read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    match answer(bytes, &limits, &mut BufWriter::new(std::io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes what a file holds.
pub(crate) fn answer(bytes: Vec<u8>, limits: &Limits, out: &mut impl Write) -> std::io::Result<()> {
    let tables = read(&bytes, limits);
    drop(bytes);
    let answer = match tables {
        Ok(tables) => Answer::Tables(tables),
        Err(Error::TooLarge(message)) => Answer::TooLarge(message),
        Err(Error::WrongKind(message)) => Answer::WrongKind(message),
        Err(Error::Invalid(fields)) => {
            Answer::Invalid(fields.into_iter().map(|field| (field.field, field.message)).collect())
        }
        Err(cause) => return Err(std::io::Error::other(cause)),
    };
    serde_json::to_writer(&mut *out, &answer)?;
    out.flush()
}

/// [`read`] with the usual [`Limits`], in a cage.
///
/// # Errors
/// As [`read`]; [`Error::TooLarge`] too for what takes more memory or time than the cage gives.
pub(crate) async fn read_caged(tools: &Tools, file: File) -> Result<Vec<Table>> {
    let job = Job {
        program: Program::Sheets,
        arguments: Vec::new(),
        cage: Cage { memory_mib: MEMORY_MIB, cpu_seconds: CPU_SECONDS, ..Cage::default() },
        input: Some(file),
        timeout: PATIENCE,
        output_limit: ANSWER,
    };
    let output = cage::run(tools.launcher(), job).await.map_err(|failure| match failure {
        Failure::NotStarted(_) | Failure::Pipe(_) => Error::Internal(anyhow::Error::new(failure)),
        Failure::Failed { .. } => broken_by(failure),
        Failure::TimedOut(_) | Failure::Signalled(_) | Failure::TooMuchOutput => {
            tracing::info!(%failure, "a workbook is more than the cage allows");
            Error::TooLarge(Message::new("sheet-bomb-cells"))
        }
    })?;
    // It has seen a stranger's bytes; what it says is held to the form, and to no more trust than the file.
    let answer = blocking(move || serde_json::from_slice(&output.stdout).map_err(|_| broken())).await?;
    match answer {
        Answer::Tables(tables) => Ok(tables),
        Answer::TooLarge(message) => Err(Error::TooLarge(message)),
        Answer::WrongKind(message) => Err(Error::WrongKind(message)),
        Answer::Invalid(fields) => {
            let field = |(field, message)| FieldError { field, message };
            Err(Error::Invalid(fields.into_iter().map(field).collect()))
        }
    }
}
