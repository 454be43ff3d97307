//! What the keeper of a target is told.

use super::{Supervisor, View};
use crate::error::{Error, Result};
use crate::library::{Thumbnail, Video, VideoState};
use crate::live::keeper::plan::{Destination, Item, Plan, Timing};
use crate::live::overlay::Overlay;
use crate::live::paint::Painting;
use crate::live::run::RunTarget;
use crate::live::stream::Target;
use crate::live::target::lock_name;
use crate::media::compatible;
use crate::objects::Bucket;
use crate::store::rows::Reader;
use crate::text::Message;

impl Supervisor {
    pub(super) fn key_name(&self, target: &RunTarget) -> Result<String> {
        let key = as_target(target).open_key(self.editor.foundation().vault(), self.editor.tenant())?;
        Ok(lock_name(&target.url, key.as_ref()))
    }

    /// What the keeper of a target is told.
    ///
    /// # Errors
    /// [`Error::Conflict`] with the reason why the run cannot go on air at all.
    pub(super) async fn plan(&self, view: &View, target: &RunTarget, place: u16) -> Result<Plan> {
        let foundation = self.editor.foundation();
        let key = as_target(target).open_key(foundation.vault(), self.editor.tenant())?;
        let key_lock = foundation.objects().key_lock(&lock_name(&target.url, key.as_ref()))?;
        let (ids, bucket) = (view.run.videos.clone(), self.editor.bucket());
        let overlay = view.run.overlay.clone();
        let (items, together, painting) = self
            .editor
            .rows()
            .read(move |rows| {
                let mut items = Vec::with_capacity(ids.len());
                let mut first: Option<crate::media::Facts> = None;
                let mut together = true;
                for (number, id) in ids.iter().enumerate() {
                    let gone = || Error::Conflict(Message::new("live-reason-gone").with("number", number + 1));
                    let video = rows.get::<Video>(*id)?.filter(|row| row.value.state != VideoState::Deleting);
                    let facts = &video.as_ref().ok_or_else(gone)?.value.facts;
                    let key = video.as_ref().ok_or_else(gone)?.value.key(*id);
                    let file = match bucket.local(&key) {
                        Err(Error::NotFound) => return Err(gone()),
                        other => other?,
                    };
                    together &= first.as_ref().is_none_or(|first| compatible(first, facts));
                    first.get_or_insert_with(|| facts.clone());
                    items.push(Item::new(&file, facts.container.demuxer(), facts.duration, facts.audio.is_some())?);
                }
                let upright = first.as_ref().is_some_and(|facts| {
                    let turned = facts.video.rotation % 180 != 0;
                    (facts.video.height > facts.video.width) != turned
                });
                let painting = overlay.map(|overlay| painting(rows, &bucket, &overlay, upright)).transpose()?;
                Ok((items, together, painting))
            })
            .await?;
        Ok(Plan {
            run_id: self.run_id.to_string(),
            target: place,
            fence: target.fence + 1,
            ffmpeg: foundation.tools().ffmpeg().to_owned(),
            items,
            together,
            order: view.run.order,
            seed: self.run_id.as_u64_pair().1,
            repeat: view.run.repeat,
            painting,
            destination: Destination {
                url: target.url.clone(),
                key,
                allow_private: foundation.config().live.allow_private_targets,
            },
            start_at: view.run.started_at,
            stop_at: view.run.planned_stop,
            key_lock,
            timing: Timing::default(),
        })
    }
}

/// What a run lays over its picture. Without its logo, where that is gone.
fn painting(rows: &Reader<'_>, bucket: &Bucket, overlay: &Overlay, upright: bool) -> Result<Painting> {
    let mut logo = None;
    if let Some(wanted) = &overlay.logo
        && let Some(row) = rows.get::<Thumbnail>(wanted.thumbnail)?.filter(|row| !row.value.going)
    {
        logo = match bucket.local(&row.value.key(wanted.thumbnail)) {
            Err(Error::NotFound) => None,
            file => Some((file?, row.value.extension)),
        };
    }
    Painting::new(overlay, upright, logo.as_ref().map(|(file, extension)| (file, *extension)))
}

fn as_target(target: &RunTarget) -> Target {
    Target {
        id: target.id,
        platform: target.platform,
        url: Some(target.url.clone()),
        key: target.key.clone(),
        key_masked: None,
        key_id: None,
    }
}
