//! Rows of `live_stream_data.xlsx`: broadcasts of the old program. What is over becomes history, what is to come a
//! schedule. Its first header set names no video: the one that shows the same picture is proposed then, and the schedule
//! waits, paused, until somebody has looked at it.

use std::io::Read as _;
use std::path::PathBuf;

use super::files;
use super::history::{Past, PastRow};
use super::known::{KnownVideo, Sign};
use super::media::Taken;
use super::report::{Item, What};
use super::source::shown;
use super::streams::{Origin, Wanted, instant, is_over};
use super::survey::WORKBOOK;
use super::{Owner, Walk, failure};
use crate::error::{Error, Result};
use crate::library::names;
use crate::live::TargetInput;
use crate::live::stream::LONGEST_TITLE;
use crate::live::target::Platform;
use crate::schedule::Broadcast;
use crate::schedule::sheet::{Limits, Mapping, Reading, SheetRow, Table, read, read_rows};
use crate::store::blocking;
use crate::text::Message;

impl Walk {
    pub(super) async fn workbooks(&mut self, pictures: &Taken) -> Result<()> {
        for database in self.databases(WORKBOOK) {
            let name = shown(&database.path);
            self.files.tell(&database.path, name.as_str());
            let item = Item::new(What::Database).file(name.as_str());
            let refused = self.files.get(&database.path).and_then(|slot| files::refusal(slot.nature));
            if let Some(reason) = refused {
                self.teller.tell(item.skipped(reason)).await?;
                continue;
            }
            let (source, path) = (self.ground.source.clone(), database.path.clone());
            let tables = blocking(move || {
                let limits = Limits::default();
                let opened = source.open_file(&path, None);
                let file = opened.map_err(|cause| {
                    Error::Conflict(Message::new("migrate-unreadable").with("cause", cause.to_string()))
                })?;
                let mut bytes = Vec::new();
                // One more than is allowed is refused by the reader.
                file.take(limits.bytes as u64 + 1).read_to_end(&mut bytes)?;
                read(&bytes, &limits)
            });
            let tables = match tables.await {
                Ok(tables) => tables,
                Err(cause) => {
                    self.teller.tell(item.skipped(failure(cause))).await?;
                    continue;
                }
            };
            let count: usize = tables.iter().map(|table| table.lines.len()).sum();
            self.teller.expect(count as u64, 0).await?;
            let read = Message::new("migrate-database-read").with("count", count);
            self.teller.tell(item.unneeded(read)).await?;
            for table in &tables {
                self.table(&name, database.person.as_deref(), table, tables.len() > 1, pictures).await?;
            }
        }
        Ok(())
    }

    async fn table(
        &mut self,
        workbook: &str,
        person: Option<&str>,
        table: &Table,
        several: bool,
        pictures: &Taken,
    ) -> Result<()> {
        let mapping = Mapping::recognise(&table.heads);
        let (mut past, mut seen) = (Vec::new(), std::collections::HashSet::new());
        for row in read_rows(table, &mapping, &Reading::default()) {
            let number = if several { format!("{} / {}", table.name, row.number) } else { row.number.to_string() };
            let item = Item::new(What::Schedule).row(workbook, number.as_str());
            let item = item.title(row.title.as_deref().unwrap_or_default());
            let owner = match self.owner(row.owner.as_deref(), person).await? {
                Ok(owner) => owner,
                Err(reason) => {
                    self.teller.tell(item.skipped(reason)).await?;
                    continue;
                }
            };
            let item = item.owner(&owner.tenant);
            if let Some(problem) = row.problems.first() {
                let message = Message::new("migrate-cell").with("column", problem.head.as_str());
                self.teller.tell(item.skipped(message.with("why", problem.message.clone()))).await?;
                continue;
            }
            let origin = Origin { from: format!("{workbook} {number}"), parts: parts(&row), stream: None };
            if !seen.insert(origin.short(&owner)) {
                self.teller.tell(item.skipped(Message::new("migrate-same-row"))).await?;
                continue;
            }
            match self.row(&row, &owner, person, origin.clone(), pictures) {
                Ok(Meant::Past(run)) => {
                    let run = self.ground.past(*run, None, &origin);
                    past.push(Past { owner, item: Item { what: What::Run, ..item }, origin, run });
                }
                Ok(Meant::Coming { wanted, origin, note }) => {
                    let stream = Item { what: What::Stream, ..item };
                    let told = Box::pin(self.ground.stream(&owner, &wanted, &origin, stream)).await?;
                    for mut item in told {
                        item.reason = item.reason.or_else(|| note.clone().filter(|_| item.what == What::Schedule));
                        self.teller.tell(item).await?;
                    }
                }
                Err(reason) => {
                    let came = self.ground.came(&owner, &origin, &item).await?;
                    for item in came.unwrap_or_else(|| vec![item.skipped(reason)]) {
                        self.teller.tell(item).await?;
                    }
                }
            }
            self.history(&mut past, false).await?;
        }
        self.history(&mut past, true).await
    }

    /// What a row means.
    fn row(
        &self,
        row: &SheetRow,
        owner: &Owner,
        person: Option<&str>,
        origin: Origin,
        pictures: &Taken,
    ) -> Result<Meant, Message> {
        let person = row.owner.as_deref().or(person);
        let title = names::line(row.title.as_deref().unwrap_or_default(), LONGEST_TITLE);
        if title.is_empty() {
            return Err(Message::new("migrate-row-no-title"));
        }
        let starts_at = row.starts_at.ok_or_else(|| Message::new("migrate-time-unreadable").with("text", ""))?;
        let rule = row.rule.clone().or_else(|| row.repeat.and_then(|repeat| repeat.rule()).map(str::to_owned));
        let zone = row.time_zone.clone().unwrap_or_else(|| self.ground.request.time_zone.clone());
        let started_at = instant(&zone, starts_at).ok_or_else(|| Message::new("migrate-time-over"))?;
        if rule.is_none() && is_over(self.ground.moving.foundation.clock().now(), started_at) {
            if row.success != Some(true) {
                return Err(Message::new("migrate-time-over"));
            }
            let length = row.duration.unwrap_or(0);
            let (platform, address, key) = (Platform::Youtube, None, None);
            return Ok(Meant::Past(Box::new(PastRow { title, started_at, length, platform, address, key })));
        }
        let target = self.target_of(row, owner)?;
        let picture = row.thumbnail.as_deref();
        let picture = picture.and_then(|name| self.files.named(What::Thumbnail, &owner.tenant, person, name).ok());
        let (video, proposed) = self.video_meant(row, owner, person, picture.as_ref().map(|(path, _)| path))?;
        let thumbnail_id = picture
            .and_then(|(path, came)| came.or_else(|| pictures.get(&(owner.tenant.clone(), path)).copied().flatten()));
        let broadcast = Broadcast {
            description: row.description.clone().filter(|text| text.len() <= Broadcast::LONGEST_DESCRIPTION),
            privacy: row.privacy,
            made_for_kids: row.made_for_kids,
            auto_start: row.auto_start,
            auto_stop: row.auto_stop,
            thumbnail_id,
            ..Broadcast::default()
        };
        let note = proposed.then(|| Message::new("migrate-video-proposed").with("title", video.title()));
        // Rows of one title, video and key are one stream with several schedules.
        let key = target.key.as_deref().unwrap_or_default();
        let stream = vec![b"stream".to_vec(), title.clone().into_bytes(), path_bytes(&video.path), key.into()];
        let wanted = Wanted {
            title,
            videos: video.id.into_iter().collect(),
            target,
            starts_at,
            time_zone: Some(zone),
            rule,
            duration: row.duration,
            paused: proposed || row.paused.unwrap_or(false),
            broadcast,
        };
        Ok(Meant::Coming { wanted: Box::new(wanted), origin: Origin { stream: Some(stream), ..origin }, note })
    }

    /// Where a row's broadcast is sent: its own key, or one of the channel.
    fn target_of(&self, row: &SheetRow, owner: &Owner) -> Result<TargetInput, Message> {
        if row.key.is_some() || row.url.is_some() {
            let usual = if row.url.is_some() { Platform::Custom } else { Platform::Youtube };
            let platform = row.platform.as_deref().map_or(Some(usual), Platform::parse);
            let platform = platform.ok_or_else(|| {
                Message::new("migrate-platform-unknown").with("word", row.platform.as_deref().unwrap_or_default())
            })?;
            let key = row.key.as_ref().map(|key| key.expose().to_owned());
            return super::streams::target(platform, row.url.as_deref(), key.as_deref()).map_err(failure);
        }
        let by_id = row.key_id.as_deref().or(row.platform_stream_id.as_deref());
        let found = by_id.and_then(|id| self.keys.first(&owner.tenant, &Sign::Id(id.to_owned())));
        let by_name = |name| self.keys.only(&owner.tenant, &Sign::name(name));
        let found = found.or_else(|| row.key_name.as_deref().and_then(by_name));
        let found = found.ok_or_else(|| Message::new("migrate-row-no-key"))?;
        let (platform, url) = match &found.url {
            Some(url) => (Platform::Custom, Some(url.to_string())),
            None => (Platform::Youtube, None),
        };
        Ok(TargetInput { id: None, platform, url, key: Some(found.key.expose().to_owned()), key_id: None })
    }

    /// The video that a row names; else the only one that shows the same picture or has the same title, as a proposal.
    fn video_meant(
        &self,
        row: &SheetRow,
        owner: &Owner,
        person: Option<&str>,
        picture: Option<&PathBuf>,
    ) -> Result<(&KnownVideo, bool), Message> {
        let only = |sign| self.videos.only(&owner.tenant, &sign);
        if let Some(name) = row.videos.first() {
            let by_file = self.files.named(What::Video, &owner.tenant, person, name).ok();
            let named = by_file.and_then(|(path, _)| self.videos.first(&owner.tenant, &Sign::File(path)));
            let named = named.or_else(|| only(Sign::name(name)));
            let unknown = || Message::new("migrate-video-not-here").with("file", name.as_str());
            return named.map(|video| (video, false)).ok_or_else(unknown);
        }
        let by_picture = picture.and_then(|picture| only(Sign::Picture(picture.clone())));
        let found = by_picture.or_else(|| only(Sign::name(row.title.as_deref().unwrap_or_default())));
        found.map(|video| (video, true)).ok_or_else(|| Message::new("migrate-row-no-video"))
    }
}

/// What a row means.
enum Meant {
    Past(Box<PastRow>),
    Coming { wanted: Box<Wanted>, origin: Origin, note: Option<Message> },
}

fn path_bytes(path: &std::path::Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

/// What a row is known by again.
fn parts(row: &SheetRow) -> Vec<Vec<u8>> {
    let text = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
    let start = row.starts_at.map(|at| at.to_string());
    vec![
        b"workbook".to_vec(),
        text(row.title.as_deref()),
        text(start.as_deref()),
        text(row.key_id.as_deref().or(row.key_name.as_deref())),
        text(row.videos.first().map(String::as_str)),
        text(row.thumbnail.as_deref()),
    ]
}
