//! What the platform is told of a broadcast beside the course of things, and the units that are kept for it.

use bytes::Bytes;
use uuid::Uuid;

use super::{Did, Step};
use crate::error::Error;
use crate::library::{Editor, Thumbnail};
use crate::objects::Extension;
use crate::store::blocking;
use crate::youtube::api::Which;
use crate::youtube::event::Event;
use crate::youtube::fault::{Fault, Sort, quota_day};
use crate::youtube::model::Broadcast;
use crate::youtube::units::{Call, TO_AIR, TO_MAKE};

/// Largest picture that the platform takes.
const LARGEST_PICTURE: u64 = 2 << 20;

/// The bytes of a thumbnail as the platform takes them; `None` where it is gone.
pub(in crate::youtube) async fn picture_of(editor: &Editor, id: Uuid) -> Result<Option<(Bytes, &'static str)>, Fault> {
    let row = editor.rows().read(move |rows| rows.get::<Thumbnail>(id)).await?;
    let Some(row) = row.filter(|row| !row.value.going) else { return Ok(None) };
    let (bucket, key, extension) = (editor.bucket(), row.value.key(id), row.value.extension);
    let read = blocking(move || {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        match bucket.open(&key) {
            Err(Error::NotFound) => return Ok(None),
            file => file?.read_to_end(&mut bytes)?,
        };
        let kind = match extension {
            Extension::Jpg => "image/jpeg",
            _ => "image/png",
        };
        if matches!(extension, Extension::Jpg | Extension::Png) && bytes.len() as u64 <= LARGEST_PICTURE {
            return Ok(Some((Bytes::from(bytes), kind)));
        }
        // Our own ffmpeg wrote it when it came in.
        let picture = image::load_from_memory(&bytes).map_err(|cause| Error::Internal(cause.into()))?;
        let mut small = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut small, 88);
        picture.to_rgb8().write_with_encoder(encoder).map_err(|cause| Error::Internal(cause.into()))?;
        Ok(Some((Bytes::from(small), "image/jpeg")))
    });
    Ok(read.await?)
}

impl Step<'_> {
    /// What is told beside the course of things; it never holds that up.
    pub(super) async fn meanwhile(&self, broadcast: &str, then: Did) -> Result<Did, Fault> {
        if matches!(then, Did::Step) {
            return Ok(then);
        }
        let wait = match then {
            Did::Wait(at) => Some(at),
            _ => None,
        };
        if let Some(aside) = self.facts.event.aside_until.filter(|aside| *aside > self.now) {
            return Ok(Did::Wait(wait.map_or(aside, |wait| wait.min(aside))));
        }
        match self.tell(broadcast).await {
            Ok(Did::Rest) => Ok(wait.map_or(Did::Rest, Did::Wait)),
            Ok(did) => Ok(did),
            Err(fault) => {
                let aside = self.worker.set_back(self.editor, self.id, &fault, true).await?;
                Ok(Did::Wait(wait.map_or(aside, |wait| wait.min(aside))))
            }
        }
    }

    pub(super) async fn tell(&self, broadcast: &str) -> Result<Did, Fault> {
        let event = &self.facts.event;
        let wanted = &event.wanted;
        let begun = event.moved_at.is_some() || event.live_at.is_some();
        let settings = wanted.settings.clone();
        if !begun && event.told_settings.as_ref() != Some(&settings) {
            match self.making().update_broadcast(&event.to_change(self.now)).await {
                Ok(_) => return self.told(move |event| event.told_settings = Some(settings.clone())).await,
                Err(fault) if fault.is_gone() => return self.gone().await,
                Err(fault) => return Err(fault),
            }
        }
        if event.told_texts.as_ref() != Some(&wanted.texts) {
            if event.asked.is_some_and(|(_, times)| times > 1) && event.told_texts.is_none() {
                self.remove_doubles(broadcast).await?;
            }
            self.making().update_video(&event.to_tell()).await?;
            let texts = wanted.texts.clone();
            return self.told(move |event| event.told_texts = Some(texts.clone())).await;
        }
        if let Some(thumbnail) = wanted.thumbnail.filter(|id| event.told_thumbnail != Some(*id)) {
            let told = match picture_of(self.editor, thumbnail).await? {
                Some((bytes, kind)) => self.making().set_thumbnail(broadcast, &bytes, kind).await,
                // It was deleted; the platform's own choice stays.
                None => Ok(()),
            };
            self.settled(told, move |event| event.told_thumbnail = Some(thumbnail)).await?;
            return Ok(Did::Step);
        }
        if let Some(playlist) = wanted.playlist.clone().filter(|id| event.told_playlist.as_ref() != Some(id)) {
            let told = self.making().add_to_playlist(&playlist, broadcast).await;
            self.settled(told, move |event| event.told_playlist = Some(playlist.clone())).await?;
            return Ok(Did::Step);
        }
        Ok(Did::Rest)
    }

    pub(super) async fn told(&self, change: impl Fn(&mut Event) + Send + 'static) -> Result<Did, Fault> {
        self.write(move |event| {
            change(event);
            (event.tries, event.aside_until, event.trouble) = (0, None, None);
        })
        .await
    }

    /// What a person would have to mend is told to them and not tried again and again.
    pub(super) async fn settled(
        &self,
        told: Result<(), Fault>,
        change: impl Fn(&mut Event) + Send + 'static,
    ) -> Result<(), Fault> {
        match told {
            Ok(()) => self.told(change).await.map(drop),
            Err(fault) if fault.sort == Sort::Tell => {
                let message = fault.message;
                let given_up = move |event: &mut Event| {
                    change(event);
                    event.trouble = Some(message.clone());
                };
                self.write(given_up).await.map(drop)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Keeps the units that it will need.
    pub(super) async fn keep_units(&self) -> Result<(), Fault> {
        let event = &self.facts.event;
        let settings = &event.wanted.settings;
        let (quota, project) = (self.worker.api().quota(), self.account.project().await?);
        let costs = quota.costs();
        let mut make = costs.sum(&TO_MAKE);
        make += event.wanted.thumbnail.map_or(0, |_| costs.of(Call::ThumbnailsSet));
        make += event.wanted.playlist.as_ref().map_or(0, |_| costs.of(Call::PlaylistItemsInsert) + 1);
        let starts_at = settings.starts_at.max(self.now);
        let minutes = settings.stops_at.map_or(600, |stop| stop.duration_since(starts_at).as_mins().clamp(1, 600));
        let looks = u64::try_from(minutes).unwrap_or(1) + 20;
        let air = costs.sum(&TO_AIR) + looks * costs.of(Call::StreamsList);
        let same = quota_day(self.now).0 == quota_day(starts_at).0;
        // Kept as far as there is room; what is short is taken when its time comes, from what is left then.
        let whose = (project.as_str(), self.editor.tenant());
        quota.keep(whose, self.id, if same { make + air } else { make }, self.now).await?;
        if !same {
            quota.keep(whose, self.id, air, starts_at).await?;
        }
        self.write(move |event| (event.kept, event.project) = (Some(starts_at), Some(project.clone()))).await.map(drop)
    }

    /// What was asked for twice may be there twice: the other one goes.
    pub(super) async fn remove_doubles(&self, broadcast: &str) -> Result<(), Fault> {
        let event = &self.facts.event;
        let is_double = |found: &Broadcast| found.id.as_deref() != Some(broadcast) && event.knows(found);
        while let Some(double) = self.account.find_broadcast(Which::Upcoming, is_double).await? {
            let Some(id) = double.id else { break };
            self.account.delete_broadcast(&id).await?;
        }
        Ok(())
    }
}
