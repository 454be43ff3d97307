//! YouTube: stream keys of a channel, broadcasts that are made ahead and moved on, the platform's own word on what is on
//! air, and uploads.
//!
//! The engine never waits for anything here: pictures go out whether the platform answers or not. What is to be done is
//! written down before it is done, so that every start goes on where the last one ended.

pub mod api;
pub mod event;
pub mod fault;
pub mod health;
pub mod keys;
pub mod mapping;
mod marks;
pub mod model;
mod part;
mod plan;
pub mod quota;
mod step;
pub mod units;
pub mod upload;
mod worker;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::{SystemLicence, Tenant};
use crate::error::Result;
use crate::foundation::Foundation;
use crate::library::{Editor, Library};
use crate::live::LiveStream;
use crate::live::kept_key::KeptKey;
use crate::oauth::{Connection, Grants, Provider, project_of};
use crate::schedule::Schedule;
use crate::schedule::sheet::Privacy;
use crate::store::rows::Row;
use api::Api;
use event::Event;
pub use part::{Hanging, Parted, forget, remember, wind_up};
use quota::{Quota, Shown};
use upload::{NewUpload, Uploader};
use worker::Worker;

/// Whether everybody sees what goes out: to a key of `keys`, and nobody chose otherwise.
pub fn publishes(stream: &LiveStream, schedule: Option<&Schedule>, keys: &[Uuid]) -> bool {
    let chosen = schedule.and_then(|schedule| schedule.broadcast.privacy).or(stream.broadcast.privacy);
    chosen.is_none_or(|privacy| privacy == Privacy::Public)
        && stream.targets.iter().any(|target| target.key_id.is_some_and(|key| keys.contains(&key)))
}

/// Whose broadcasts are meant.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// Those of the library.
    All,
    /// Those of a stream.
    Stream(Uuid),
    /// Those of a schedule, or of one of its occurrences, by the local time that its rule names.
    Schedule(Uuid, Option<DateTime>),
}

impl Of {
    fn takes(self, event: &Event) -> bool {
        match self {
            Of::Schedule(_, Some(of)) => event.schedule.is_some_and(|(_, own)| own == of),
            _ => true,
        }
    }
}

/// Everything that is done with YouTube. Cheap to clone.
#[derive(Clone)]
pub struct Youtube {
    worker: Worker,
    uploader: Uploader,
    foundation: Foundation,
    /// Channels that are being disconnected.
    partings: Arc<Mutex<HashSet<Uuid>>>,
}

impl Youtube {
    /// For one home. `http` is for the ends of the settings.
    ///
    /// # Errors
    /// Where the settings' prices cannot be read.
    pub fn new(
        foundation: &Foundation,
        licence: Arc<SystemLicence>,
        http: reqwest::Client,
        grants: Grants,
    ) -> Result<Youtube> {
        let quota = Quota::of(foundation)?;
        let base = Provider::Google.ends(foundation.config())?.api;
        let api = Api::new(http, base, grants, quota, foundation.clock().clone());
        let uploader = Uploader::new(foundation, licence.clone(), api.clone());
        let worker = Worker::new(foundation, licence, api);
        Ok(Youtube { worker, uploader, foundation: foundation.clone(), partings: Arc::default() })
    }

    fn api(&self) -> &Api {
        self.worker.api()
    }

    /// Sees to broadcasts until the end.
    pub async fn work(self, end: CancellationToken) {
        self.worker.work(end).await;
    }

    /// Uploads until the end.
    pub async fn upload(self, end: CancellationToken) {
        self.uploader.work(end).await;
    }

    /// Queues videos for a channel, in this order, all or none.
    ///
    /// # Errors
    /// [`Error::Invalid`] with fields `items.<n>.…` and `channel_id`; [`Error::Conflict`] where a video is on its way
    /// there already; [`Error::OverQuota`] where too many wait.
    pub async fn queue_uploads(&self, editor: &Editor, channel: Uuid, items: Vec<NewUpload>) -> Result<Vec<Uuid>> {
        self.uploader.marks().set(editor.tenant(), true).await?;
        let ids = editor.queue_uploads(channel, items).await?;
        self.uploader.wake(editor.tenant());
        Ok(ids)
    }

    /// Lets an upload be; what is on the platform already stays there.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is over.
    pub async fn cancel_upload(&self, editor: &Editor, id: Uuid) -> Result<()> {
        editor.cancel_upload(id).await
    }

    /// Takes an upload that is over off the list; what is on the platform stays there.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is not over.
    pub async fn remove_upload(&self, editor: &Editor, id: Uuid) -> Result<()> {
        editor.remove_upload(id).await
    }

    /// What one upload and one broadcast cost of a day's units.
    pub fn prices(&self) -> (u64, u64) {
        self.api().quota().costs().prices()
    }

    /// Tries an upload again that failed or waits.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is done or was cancelled.
    pub async fn retry_upload(&self, editor: &Editor, id: Uuid) -> Result<()> {
        self.uploader.marks().set(editor.tenant(), true).await?;
        editor.retry_upload(id).await?;
        let channel = editor.youtube_upload(id).await?.value.channel_id;
        self.ask_again(editor, channel).await?;
        self.uploader.wake(editor.tenant());
        Ok(())
    }

    /// Looks through all libraries once, for broadcasts and uploads that have to be seen to.
    pub async fn look_through(self, end: CancellationToken) {
        let uploader = self.uploader;
        self.worker.look_through(end, move |tenant| uploader.wake(tenant)).await;
    }

    /// Tries everything of a tenant again that waits for something.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such broadcast.
    pub async fn try_again(&self, editor: &Editor, id: Uuid) -> Result<()> {
        let channel = editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Event>(id, None)?;
                // What was tried in vain stays counted: it is not paid for out of everybody's units for ever.
                let event = Event { not_before: None, aside_until: None, ..row.value.clone() };
                rows.update(&row, event).map(|_| row.value.channel_id)
            })
            .await?;
        self.ask_again(editor, channel).await?;
        self.worker.wake(editor.tenant());
        Ok(())
    }

    /// A person says that the platform gives units again: it is asked once more, whatever it said today.
    async fn ask_again(&self, editor: &Editor, channel: Uuid) -> Result<()> {
        let row = editor.rows().read(move |rows| rows.get::<Connection>(channel)).await?;
        let Some(client) = row.and_then(|row| row.value.client_id) else { return Ok(()) };
        self.api().quota().ask_again(project_of(&client), self.foundation.clock().now()).await
    }

    /// How the day of a channel's project stands, for a library.
    pub async fn units(&self, project: &str, library: &Tenant) -> Result<Shown> {
        self.api().quota().shown(project, library, self.foundation.clock().now()).await
    }
}

impl Library {
    /// Broadcasts, the newest first: of a stream, or of all; at most so many.
    pub async fn broadcasts(&self, stream: Option<Uuid>, most: usize) -> Result<Vec<Row<Event>>> {
        self.rows()
            .read(move |rows| {
                let mut found = Vec::new();
                match stream {
                    Some(stream) => {
                        for id in rows.ids_at::<Event>("stream", stream.as_bytes())?.into_iter().rev().take(most) {
                            found.extend(rows.get::<Event>(id)?);
                        }
                    }
                    None => rows.each::<Event>(true, |row| {
                        found.push(row);
                        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                    })?,
                }
                Ok(found)
            })
            .await
    }

    /// Broadcasts as people want them: what is on air, then what comes by its time, then what is over, the newest first.
    /// Of all, of a stream, or of a schedule's occurrences; at most so many.
    pub async fn broadcasts_in_order(&self, of: Of, most: usize) -> Result<Vec<Row<Event>>> {
        self.rows()
            .read(move |rows| {
                let ids = match of {
                    Of::All => rows.ids_at::<Event>("open", &[])?,
                    Of::Stream(id) => rows.ids_at::<Event>("stream", id.as_bytes())?,
                    Of::Schedule(id, _) => rows.ids_at::<Event>("schedule", id.as_bytes())?,
                };
                let mut found = Vec::new();
                for id in ids {
                    found.extend(rows.get::<Event>(id)?.filter(|row| of.takes(&row.value)));
                }
                if matches!(of, Of::All) {
                    rows.each::<Event>(true, |row| {
                        if row.value.over.is_some() {
                            found.push(row);
                        }
                        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                    })?;
                }
                found.sort_by_cached_key(|row| row.value.place());
                found.truncate(most);
                Ok(found)
            })
            .await
    }

    /// Broadcasts that something stands in the way of, as far as it does not soon go away by itself, the next one first.
    pub async fn broadcasts_in_trouble(&self, now: Timestamp) -> Result<Vec<Row<Event>>> {
        self.rows()
            .read(move |rows| {
                let mut found = Vec::new();
                for id in rows.ids_at::<Event>("open", &[])? {
                    found.extend(rows.get::<Event>(id)?.filter(|row| row.value.is_held_up(now)));
                }
                found.sort_by_key(|row| row.value.wanted.settings.starts_at);
                Ok(found)
            })
            .await
    }

    /// Keys that broadcasts are made for: those of channels that are connected.
    pub async fn channel_keys(&self) -> Result<Vec<Uuid>> {
        self.rows()
            .read(|rows| {
                let (mut found, mut broken) = (Vec::new(), None);
                rows.each::<KeptKey>(false, |row| {
                    match row.value.channel_id.map_or(Ok(None), |id| rows.get::<Connection>(id)) {
                        Ok(Some(_)) => found.push(row.id()),
                        Ok(None) => {}
                        Err(cause) => broken = Some(cause),
                    }
                    ControlFlow::Continue(())
                })?;
                broken.map_or(Ok(found), Err)
            })
            .await
    }

    /// One broadcast.
    pub async fn broadcast(&self, id: Uuid) -> Result<Row<Event>> {
        self.rows().read(move |rows| rows.need::<Event>(id)).await
    }

    /// Broadcasts of a run.
    pub async fn broadcasts_of_run(&self, run: Uuid) -> Result<Vec<Row<Event>>> {
        self.rows()
            .read(move |rows| {
                let run = rows.need::<crate::live::Run>(run)?;
                let mut found = Vec::new();
                for id in rows.ids_at::<Event>("stream", run.value.stream_id.as_bytes())? {
                    let Some(row) = rows.get::<Event>(id)? else { continue };
                    let own = match (&row.value.occurrence, row.value.run_id) {
                        (_, Some(id)) => id == run.id(),
                        (Some(name), None) => {
                            run.value.occurrence_name.as_ref() == Some(name)
                                && row.value.schedule.map(|(id, _)| id) == run.value.schedule_id
                        }
                        (None, None) => false,
                    };
                    if own {
                        found.push(row);
                    }
                }
                Ok(found)
            })
            .await
    }
}
