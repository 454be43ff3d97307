//! Sends what waits: one video a tenant at a time, in the order of the queue, a part at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::calls::forget_old;
use super::gain::Gain;
use super::wire::There;
use super::{Upload, UploadState, usual};
use crate::audit;
use crate::auth::{SystemLicence, Tenant};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::{Editor, Video, VideoState};
use crate::schedule::broadcast::USUAL;
use crate::schedule::sheet::Privacy;
use crate::store::rows::{Reader, Row, Writer};
use crate::store::{Change, Space, blocking};
use crate::text::Message;
use crate::vault::Purpose;
use crate::youtube::api::{Account, Api};
use crate::youtube::fault::{Fault, Sort};
use crate::youtube::marks::Marks;
use crate::youtube::model::{Video as Resource, VideoSnippet, VideoStatus};
use crate::youtube::quota::Need;
use crate::youtube::step::picture_of;

/// The clock is looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// Tenants that send at the same time: streams share the uplink.
const AT_ONCE: usize = 2;
/// After an error of ours.
const AGAIN: Duration = Duration::from_secs(15);
/// Marks of tenants with uploads.
const MARKS: &str = "youtube-uploads/";
/// What is to be published within so long goes before the rest of the queue.
const NEAR: Duration = Duration::from_secs(2 * 24 * 3600);
/// Tries in vain after which an upload is given up.
const MOST_TRIES: u32 = 40;

/// A part or a question that brought nothing new; `whole` where nothing is left to be sent.
fn in_vain(tries: u32, whole: bool) -> Fault {
    if tries < MOST_TRIES {
        return Fault::no_token(Sort::Again(AGAIN), Message::new("youtube-fault-passing"));
    }
    let id = if whole { "youtube-upload-unknown" } else { "youtube-upload-stuck" };
    Fault::no_token(Sort::Tell, Message::new(id))
}

/// The task that uploads. Cheap to clone.
#[derive(Clone)]
pub(in crate::youtube) struct Uploader {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    api: Api,
    marks: Marks,
    wanted: Arc<Mutex<BTreeSet<Tenant>>>,
    woken: Arc<Notify>,
    /// Uploads of which this start knows what the platform has.
    known: Arc<Mutex<BTreeSet<Uuid>>>,
}

/// What became of a turn.
enum Turn {
    /// There is more to do at once.
    More,
    /// Not before then.
    Wait(Timestamp),
    /// Nothing is left.
    Over,
}

impl Uploader {
    pub(in crate::youtube) fn new(foundation: &Foundation, licence: Arc<SystemLicence>, api: Api) -> Uploader {
        let (wanted, woken, known) = Default::default();
        let marks = Marks::new(foundation, MARKS);
        Uploader { foundation: foundation.clone(), licence, api, marks, wanted, woken, known }
    }

    fn now(&self) -> Timestamp {
        self.foundation.clock().now()
    }

    /// Marks of tenants with uploads.
    pub(in crate::youtube) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Has a tenant's uploads looked at at once.
    pub(in crate::youtube) fn wake(&self, tenant: &Tenant) {
        self.wanted.lock().insert(tenant.clone());
        self.woken.notify_one();
    }

    /// Uploads until the end.
    pub(in crate::youtube) async fn work(self, end: CancellationToken) {
        match self.marks.all().await {
            Ok(marked) => self.wanted.lock().extend(marked),
            Err(cause) => tracing::error!(%cause, "the marks of uploads could not be read"),
        }
        let mut due: BTreeMap<Tenant, Timestamp> = BTreeMap::new();
        let mut at_work: BTreeSet<Tenant> = BTreeSet::new();
        let mut turns = FuturesUnordered::new();
        let mut changes = self.foundation.store().watch();
        loop {
            let now = self.now();
            // Whoever is at work comes again at the end of its turn, and asking twice does not help anybody forward.
            self.wanted.lock().retain(|tenant| {
                if at_work.contains(tenant) {
                    return true;
                }
                let at = due.entry(tenant.clone()).or_insert(now);
                *at = now.min(*at);
                false
            });
            let mut ready: Vec<(Timestamp, Tenant)> = due
                .iter()
                .filter(|(tenant, at)| **at <= now && !at_work.contains(*tenant))
                .map(|(tenant, at)| (*at, tenant.clone()))
                .collect();
            // Whoever waits longest comes first: a part each.
            ready.sort();
            for (_, tenant) in ready.into_iter().take(AT_ONCE.saturating_sub(turns.len())) {
                due.remove(&tenant);
                at_work.insert(tenant.clone());
                let uploader = self.clone();
                turns.push(async move {
                    let turn = uploader.turn(&tenant).await;
                    (tenant, turn)
                });
            }
            tokio::select! {
                () = end.cancelled() => return,
                Some((tenant, turn)) = turns.next() => {
                    at_work.remove(&tenant);
                    let next = match turn {
                        Ok(Turn::More) => Some(self.now()),
                        Ok(Turn::Wait(at)) => Some(at),
                        Ok(Turn::Over) | Err(Error::NotFound) => None,
                        Err(cause) => {
                            tracing::error!(%tenant, %cause, "an upload could not go on; it is tried again");
                            Some(self.now() + AGAIN)
                        }
                    };
                    if let Some(next) = next {
                        due.entry(tenant).or_insert(next);
                    }
                }
                () = self.woken.notified() => {}
                // A channel that is connected again goes on with what waited for it.
                change = changes.recv() => {
                    if let Ok(Change { space: Space::Tenant(tenant), keys }) = change
                        && keys.iter().any(|key| key.starts_with(b"row/channel/"))
                    {
                        self.wanted.lock().insert(tenant);
                    }
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// One part, or one other step, of a tenant's first upload that does not wait.
    async fn turn(&self, tenant: &Tenant) -> Result<Turn> {
        let editor = Editor::open(&self.foundation, &self.licence.scope(tenant, "youtube"));
        let now = self.now();
        let read = move |rows: &Reader<'_>| {
            let mut open = Vec::new();
            for id in rows.ids_at::<Upload>("open", &[])? {
                open.extend(rows.get::<Upload>(id)?);
            }
            // What was begun is ended first: it has cost its units. A day's units are good for a few videos only, so those
            // come next whose time is near; all others keep the order of the queue.
            open.sort_by_key(|row| {
                let near = row.value.texts.publish_at.filter(|at| *at < now + NEAR);
                (row.value.state == UploadState::Waiting, near.unwrap_or(Timestamp::MAX), row.id())
            });
            Ok(open)
        };
        let open = match editor.rows().read(read).await {
            // Being removed, or gone.
            Err(Error::NotFound) => {
                self.marks.set(tenant, false).await?;
                return Ok(Turn::Over);
            }
            open => open?,
        };
        let Some(soonest) = open.iter().map(|row| row.value.not_before.unwrap_or(Timestamp::MIN)).min() else {
            self.marks.set(tenant, false).await?;
            return Ok(Turn::Over);
        };
        // A turn that found nothing may have taken the mark away while these were written.
        self.marks.set(tenant, true).await?;
        let Some(row) = open.into_iter().find(|row| row.value.not_before.is_none_or(|at| at <= now)) else {
            return Ok(Turn::Wait(soonest));
        };
        let account = self.api.account(&editor, row.value.channel_id, Need::Free);
        let Err(fault) = self.step(&editor, &account, &row).await else { return Ok(Turn::More) };
        self.known.lock().remove(&row.id());
        let gives_up = fault.sort == Sort::Tell || row.value.tries >= MOST_TRIES;
        let next = fault.next_try(now, row.value.tries).filter(|_| !gives_up);
        self.change(&editor, row.id(), move |upload| {
            upload.trouble = Some(fault.message.clone());
            match next {
                Some(next) => {
                    // Waiting for units or a token is nobody's failure.
                    upload.tries += u32::from(!matches!(fault.sort, Sort::Wait(_)));
                    upload.not_before = Some(next);
                }
                None => (upload.state, upload.ended_at) = (UploadState::Failed, Some(now)),
            }
        })
        .await?;
        Ok(Turn::More)
    }

    /// Changes an upload that is still wanted; false where it is not.
    async fn change(&self, editor: &Editor, id: Uuid, change: impl Fn(&mut Upload) + Send + 'static) -> Result<bool> {
        let actor = editor.actor().clone();
        editor
            .rows()
            .write(move |rows: &mut Writer<'_>| {
                let Some(row) = rows.get::<Upload>(id)?.filter(|row| row.value.state.is_open()) else {
                    return Ok(false);
                };
                let mut upload = row.value.clone();
                change(&mut upload);
                if !upload.state.is_open() {
                    audit::record(rows, &actor, "youtube-upload.end", upload.recorded(id))?;
                    forget_old(rows)?;
                }
                rows.update(&row, upload)?;
                Ok(true)
            })
            .await
    }

    /// It was cancelled while its last bytes were on their way: that it is there now, and where, is written down.
    async fn arrived_all_the_same(&self, editor: &Editor, id: Uuid, video: String) -> Result<()> {
        let actor = editor.actor().clone();
        editor
            .rows()
            .write(move |rows: &mut Writer<'_>| {
                let Some(row) = rows.get::<Upload>(id)? else {
                    // Taken off the list meanwhile; the record of acts is what is left of it.
                    let there = format!("{id} https://www.youtube.com/watch?v={video}");
                    return audit::record(rows, &actor, "youtube-upload.end", there);
                };
                let mut upload = row.value.clone();
                upload.platform_id = Some(video.clone());
                upload.trouble = Some(Message::new("youtube-upload-cancelled-there"));
                audit::record(rows, &actor, "youtube-upload.end", upload.recorded(id))?;
                rows.update(&row, upload).map(drop)
            })
            .await
    }

    async fn step(&self, editor: &Editor, account: &Account<'_>, row: &Row<Upload>) -> Result<(), Fault> {
        let (id, upload) = (row.id(), &row.value);
        if let Some(video) = &upload.platform_id {
            return self.finish(editor, account, row, video).await;
        }
        let video_id = upload.video_id;
        let video = editor.rows().read(move |rows| rows.get::<Video>(video_id)).await?;
        let video =
            video.filter(|video| video.value.state == VideoState::Ready && video.value.facts.size == upload.total);
        let Some(video) = video else {
            let gone = Message::new("youtube-upload-video-gone");
            return Err(Fault::no_token(Sort::Tell, gone));
        };
        let key = video.value.key(video_id);
        let vault = self.foundation.vault();
        let Some(sealed) = &upload.session else {
            let session =
                account.open_session(&self.resource(upload), upload.total, key.extension.content_type()).await?;
            let sealing = vault.sealing();
            let sealed = sealing.seal(Some(editor.tenant()), Purpose::UploadSession, id, &session)?;
            let begun = move |upload: &mut Upload| {
                (upload.session, upload.sent, upload.state) = (Some(sealed.clone()), 0, UploadState::Sending);
                (upload.sessions, upload.reached) = (upload.sessions.saturating_add(1), 0);
                // Tries are forgotten only where bytes get on.
                (upload.not_before, upload.trouble) = (None, None);
            };
            if self.change(editor, id, begun).await? {
                self.known.lock().insert(id);
            }
            return Ok(());
        };
        let session: SecretString = vault.open_sealed(Some(editor.tenant()), Purpose::UploadSession, id, sealed)?;
        // After a start, and after a try in vain, the platform is asked what it has.
        let asks = !self.known.lock().contains(&id) || upload.sent >= upload.total;
        let part = match asks {
            true => None,
            false => {
                let most = u64::from(self.foundation.config().youtube.upload_part_kib) << 10;
                let (bucket, from, most) = (editor.bucket(), upload.sent, most.min(upload.total - upload.sent));
                let read = blocking(move || {
                    use std::io::{Read as _, Seek as _, SeekFrom};
                    let mut file = bucket.open(&key)?;
                    file.seek(SeekFrom::Start(from))?;
                    let mut bytes = vec![0; most as usize];
                    file.read_exact(&mut bytes)?;
                    Ok(Bytes::from(bytes))
                });
                Some(read.await?)
            }
        };
        let length = part.as_ref().map(|part| part.len() as u64);
        let quiet = Duration::from_secs(self.foundation.config().youtube.upload_quiet_seconds.into());
        match account.put_part(&session, (upload.sent, upload.total), part, quiet).await? {
            There::Bytes(sent) => {
                let gain = upload.gain(sent, length);
                if gain == Gain::Odd {
                    return Err(Fault::odd());
                }
                let on = gain == Gain::On;
                self.change(editor, id, move |upload| {
                    upload.sent = sent;
                    if on {
                        upload.reached = sent;
                        (upload.tries, upload.not_before, upload.trouble) = (0, None, None);
                    }
                })
                .await?;
                // A question that brings nothing new is a try only where no part follows it at once.
                if !on && (length.is_some() || sent >= upload.total) {
                    return Err(in_vain(upload.tries, sent >= upload.total));
                }
                self.known.lock().insert(id);
                Ok(())
            }
            There::Video(video) => {
                self.known.lock().remove(&id);
                let name = video.clone();
                let wanted = self.change(editor, id, move |upload| {
                    (upload.platform_id, upload.sent) = (Some(video.clone()), upload.total);
                    (upload.session, upload.state) = (None, UploadState::Finishing);
                    (upload.tries, upload.not_before, upload.trouble) = (0, None, None);
                });
                if !wanted.await? {
                    self.arrived_all_the_same(editor, id, name).await?;
                }
                Ok(())
            }
            There::Nothing if upload.sent >= upload.total => {
                // All bytes went out and nobody knows what became of them: another one could be a double.
                Err(Fault::no_token(Sort::Tell, Message::new("youtube-upload-unknown")))
            }
            There::Nothing => {
                self.known.lock().remove(&id);
                let wait = upload.before_another_session();
                let next = wait.map(|wait| self.now() + wait);
                self.change(editor, id, move |upload| {
                    (upload.session, upload.sent, upload.state) = (None, 0, UploadState::Waiting);
                    (upload.reached, upload.not_before) = (0, next);
                    upload.trouble = Some(Message::new("youtube-fault-passing"));
                })
                .await?;
                match next {
                    Some(_) => Ok(()),
                    None => Err(Fault::no_token(Sort::Tell, Message::new("youtube-upload-sessions"))),
                }
            }
        }
    }

    fn resource(&self, upload: &Upload) -> Resource {
        let texts = &upload.texts;
        let publish_at = texts.publish_at.filter(|at| *at > self.now() + Duration::from_secs(60));
        let privacy = match (texts.publish_at, publish_at) {
            // Its time has come while it waited.
            (Some(_), None) => Privacy::Public,
            (Some(_), Some(_)) => Privacy::Private,
            (None, _) => usual(texts.privacy),
        };
        Resource {
            id: None,
            snippet: Some(VideoSnippet {
                title: texts.title.clone(),
                description: texts.description.clone(),
                tags: texts.tags.clone(),
                category_id: Some(texts.category.unwrap_or(USUAL.category).to_string()),
            }),
            status: Some(VideoStatus {
                privacy_status: Some(privacy.code().to_owned()),
                publish_at,
                self_declared_made_for_kids: Some(texts.made_for_kids.unwrap_or(USUAL.made_for_kids)),
                upload_status: None,
            }),
        }
    }

    /// The picture and the playlist of a video that is there.
    async fn finish(
        &self,
        editor: &Editor,
        account: &Account<'_>,
        row: &Row<Upload>,
        video: &str,
    ) -> Result<(), Fault> {
        let upload = &row.value;
        let told = match (&upload.texts.thumbnail_id, &upload.texts.playlist) {
            (Some(thumbnail), _) if !upload.pictured => match picture_of(editor, *thumbnail).await? {
                Some((bytes, kind)) => account.set_thumbnail(video, &bytes, kind).await,
                None => Ok(()),
            },
            (_, Some(playlist)) if !upload.listed => account.add_to_playlist(playlist, video).await,
            _ => {
                let now = self.now();
                let done = move |upload: &mut Upload| (upload.state, upload.ended_at) = (UploadState::Done, Some(now));
                self.change(editor, row.id(), done).await?;
                return Ok(());
            }
        };
        let trouble = match told {
            Ok(()) => None,
            // The video is there; what a person would have to mend is told with it.
            Err(fault) if fault.sort == Sort::Tell => Some(fault.message),
            Err(fault) => return Err(fault),
        };
        let pictured = !upload.pictured;
        self.change(editor, row.id(), move |upload| {
            if pictured {
                upload.pictured = true
            } else {
                upload.listed = true
            }
            (upload.tries, upload.not_before) = (0, None);
            upload.trouble = trouble.clone().or_else(|| upload.trouble.clone());
        })
        .await?;
        Ok(())
    }
}
