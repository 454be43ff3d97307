//! What was on air in the old program becomes history, many rows at a time.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::journal::{self, Mark};
use super::records::LiveRecord;
use super::report::{Fate, Item, What};
use super::streams::{Origin, instant};
use super::{Ground, Owner, Walk};
use crate::error::{Error, Result};
use crate::library::names;
use crate::live::run::TargetEnd;
use crate::live::target::StreamKey;
use crate::live::{Platform, PlayOrder, Run, RunOutcome, RunTarget};
use crate::store::rows::Reader;
use crate::text::Message;

/// Rows of one batch.
const BATCH: usize = 200;

/// A row that is over.
pub(super) struct Past {
    pub owner: Owner,
    pub item: Item,
    pub origin: Origin,
    pub run: Run,
}

/// What a finished row tells.
pub(super) struct PastRow {
    pub title: String,
    pub started_at: Timestamp,
    /// Seconds.
    pub length: u64,
    pub platform: Platform,
    pub address: Option<String>,
    pub key: Option<StreamKey>,
}

impl Ground {
    /// What a finished row of `live_streams.json` tells.
    pub(super) fn past_row(&self, record: &LiveRecord) -> Result<PastRow, Message> {
        let started_at = instant(&self.request.time_zone, record.start()?);
        let title = names::line(record.title.as_deref().unwrap_or_default(), crate::live::stream::LONGEST_TITLE);
        if title.is_empty() {
            return Err(Message::new("migrate-row-no-title"));
        }
        Ok(PastRow {
            title,
            started_at: started_at.ok_or_else(|| Message::new("migrate-time-over"))?,
            length: record.seconds()?.unwrap_or(0),
            platform: record.platform()?,
            address: record.address.clone(),
            key: record.key.as_deref().and_then(|key| StreamKey::parse(key).ok()),
        })
    }

    /// The run that a finished row tells of.
    pub(super) fn past(&self, row: PastRow, video: Option<Uuid>, origin: &Origin) -> Run {
        let PastRow { title, started_at, length, platform, address, key } = row;
        let ended_at = started_at.checked_add(Duration::from_secs(length)).unwrap_or(started_at);
        // Its stream is no more; rows of the same one have the same id.
        let hash = blake3::hash(origin.identity(What::Run).as_bytes());
        let stream_id =
            uuid::Builder::from_custom_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 16])).into_uuid();
        let typed = address.as_deref().filter(|_| platform.default_url().is_none());
        let url = platform.url(typed).ok();
        let targets = url.map(|url| RunTarget {
            id: stream_id,
            platform,
            url,
            key: None,
            key_masked: key.map(|key| key.masked()),
            fence: 0,
            keeper: None,
            end: Some(TargetEnd {
                outcome: RunOutcome::Completed,
                reason: None,
                started_at,
                ended_at,
                restarts: 0,
                attempts: 0,
                bytes: 0,
            }),
        });
        Run {
            stream_id,
            stream_title: title,
            schedule_id: None,
            occurrence_at: None,
            occurrence_name: None,
            started_at: Some(started_at),
            planned_stop: None,
            ended_at: Some(ended_at),
            outcome: Some(RunOutcome::Completed),
            reason: Some(Message::new("migrate-run-old")),
            started_by: "system:migrate".into(),
            videos: video.into_iter().collect(),
            order: PlayOrder::Listed,
            repeat: true,
            overlay: None,
            bitrate: 0,
            cpu: 0,
            extra_mib: 0,
            restarts: 0,
            attempts: 0,
            bytes: 0,
            targets: targets.into_iter().collect(),
        }
    }
}

/// What becomes of one row.
#[derive(Clone, Copy)]
enum Became {
    Present(Uuid),
    Made(Option<Uuid>),
    TooMany,
}

impl Walk {
    /// Writes gathered rows, once there are enough, or all that are left.
    pub(super) async fn history(&mut self, past: &mut Vec<Past>, all: bool) -> Result<()> {
        if past.len() < BATCH && !all {
            return Ok(());
        }
        let mut past = std::mem::take(past);
        while let Some(first) = past.first() {
            let tenant = first.owner.tenant.clone();
            let (some, others): (Vec<Past>, Vec<Past>) = past.into_iter().partition(|row| row.owner.tenant == tenant);
            past = others;
            self.history_of(some).await?;
        }
        Ok(())
    }

    async fn history_of(&mut self, past: Vec<Past>) -> Result<()> {
        let Some(owner) = past.first().map(|row| row.owner.clone()) else { return Ok(()) };
        let identities: Vec<String> = past.iter().map(|row| row.origin.identity(What::Run)).collect();
        let wants = self.ground.wants(What::Run);
        let most = self.ground.moving.foundation.config().limits.runs_kept;
        // Counted once a library: it takes a look at every run.
        let known = self.runs.get(&owner.tenant).copied();
        let look = {
            let identities = identities.clone();
            move |rows: &Reader<'_>| {
                let marks = identities.iter().map(|identity| journal::mark(rows, identity));
                let marks = marks.collect::<Result<Vec<_>>>()?;
                let count = match known {
                    Some(count) => count,
                    None => rows.count_by::<Run>("at", |_, _| true)?,
                };
                Ok((marks, count))
            }
        };
        let looked = match owner.library() {
            Some(library) => match library.rows().read(look).await {
                Err(Error::NotFound) => (vec![None; past.len()], known.unwrap_or(0)),
                looked => looked?,
            },
            None => (vec![None; past.len()], known.unwrap_or(0)),
        };
        let (marks, count) = looked;
        let mut room = most.saturating_sub(count);
        let mut became: Vec<Became> = Vec::with_capacity(past.len());
        for mark in &marks {
            became.push(match mark {
                Some(mark) => Became::Present(mark.id),
                None if !wants => Became::Made(None),
                None if room == 0 => Became::TooMany,
                None => {
                    room -= 1;
                    Became::Made(Some(Uuid::now_v7()))
                }
            });
        }
        self.runs.insert(owner.tenant.clone(), most.saturating_sub(room));
        if let Some(editor) = owner.editor.as_ref().filter(|_| self.ground.applies()) {
            let (tenant, actor, home) = (editor.tenant().clone(), editor.actor().clone(), self.ground.home.clone());
            let new = past.iter().zip(&became).zip(&identities).filter_map(|((row, became), identity)| match became {
                Became::Made(Some(id)) => Some((*id, row.run.clone(), row.origin.from.clone(), identity.clone())),
                _ => None,
            });
            let new: Vec<_> = new.collect();
            editor
                .rows()
                .write(move |rows| {
                    for (id, run, from, identity) in &new {
                        let (what, home, from) = (What::Run, home.clone(), from.clone());
                        let mark = Mark { what, id: *id, home, from, file: None, at: rows.now() };
                        mark.write(rows, identity)?;
                        rows.insert_with_id(*id, &tenant, &actor, run.clone())?;
                    }
                    Ok(())
                })
                .await?;
        }
        for (row, became) in past.into_iter().zip(became) {
            let item = match became {
                Became::Present(id) => Item { id: Some(id), ..row.item.fate(Fate::Present) },
                Became::TooMany => row.item.skipped(Message::new("migrate-history-full").with("most", most)),
                Became::Made(None) => row.item.unneeded(Message::new("migrate-not-asked")),
                Became::Made(id) => Item { id: id.filter(|_| self.ground.applies()), ..row.item },
            };
            self.teller.tell(item).await?;
        }
        Ok(())
    }
}
