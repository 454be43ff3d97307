//! What people read of runs: the history, the figures of what is on air, and the logs.

use uuid::Uuid;

use super::keeper::files::TargetFolder;
use super::run::{Run, RunQuery};
use super::stream::{LiveStream, Order};
use crate::error::Result;
use crate::library::Library;
use crate::store::paged::Paged;
use crate::store::rows::{Reader, Row};

impl Library {
    /// A page of runs. Those on air have the figures of this moment.
    pub async fn runs(&self, query: RunQuery) -> Result<Paged<Row<Run>>> {
        let library = self.clone();
        self.rows()
            .read(move |rows| {
                let index = query.sort.index();
                let reverse = query.rising == query.before;
                let keep = |_: &[u8], beside: &[u8]| query.keeps(beside);
                let page = rows.page_by::<Run>(index, query.after.as_ref(), reverse, query.limit, keep)?;
                let total = rows.count_by::<Run>(index, keep)?;
                let mut items = page.items;
                items.iter_mut().for_each(|run| library.with_figures(run));
                let (mut next, mut previous) = (page.next, None);
                if query.before {
                    items.reverse();
                    (previous, next) = (next, items.last().map(|run| Run::cursor(index, run)));
                } else if query.after.is_some() {
                    previous = items.first().map(|run| Run::cursor(index, run));
                }
                Ok(Paged { items, next, previous, total })
            })
            .await
    }

    /// Whether anything was ever on air, as far as is remembered.
    pub async fn has_run(&self) -> Result<bool> {
        let look = |rows: &Reader<'_>| {
            let mut found = false;
            rows.each::<Run>(false, |_| {
                found = true;
                std::ops::ControlFlow::Break(())
            })?;
            Ok(found)
        };
        self.rows().read(look).await
    }

    /// One run.
    pub async fn run(&self, id: Uuid) -> Result<Row<Run>> {
        let mut run = self.rows().read(move |rows| rows.need::<Run>(id)).await?;
        self.with_figures(&mut run);
        Ok(run)
    }

    /// Puts what the board knows into a run that is on.
    fn with_figures(&self, run: &mut Row<Run>) {
        if !run.value.is_open() {
            return;
        }
        let id = run.id();
        if let Some(state) = self.foundation().board().state(self.scope(), run.value.stream_id)
            && state.run_id == Some(id)
        {
            run.value.bytes = state.bytes;
            run.value.restarts = state.restarts;
            run.value.attempts = state.targets.iter().map(|target| target.attempts).sum();
        }
    }

    /// The last lines of a run's logs, oldest first. Keys were taken out before they were written.
    pub async fn run_log(&self, id: Uuid, count: usize) -> Result<Vec<String>> {
        let run = self.rows().read(move |rows| rows.need::<Run>(id)).await?;
        let bucket = self.bucket();
        crate::store::blocking(move || {
            let Some(folder) = bucket.kept_run_folder(id)? else { return Ok(Vec::new()) };
            let several = run.value.targets.len() > 1;
            let mut lines = Vec::new();
            for (number, target) in run.value.targets.iter().enumerate() {
                let Ok(place) = u16::try_from(number) else { continue };
                for line in TargetFolder::new(&folder, place).log_tail(count) {
                    // Every line begins with its time, so logs of several targets can be told as one.
                    lines.push(match line.split_once(' ') {
                        Some((at, text)) if several => format!("{at} [{}] {text}", target.platform.code()),
                        _ => line,
                    });
                }
            }
            if several {
                lines.sort();
            }
            Ok(lines.split_off(lines.len().saturating_sub(count)))
        })
        .await
    }

    /// The last lines of the newest run of a stream.
    pub async fn stream_log(&self, id: Uuid, count: usize) -> Result<Vec<String>> {
        let order = self
            .rows()
            .read(move |rows| {
                rows.need::<LiveStream>(id)?;
                Ok(rows.value::<Order>(&Order::key(id))?.unwrap_or_default())
            })
            .await?;
        match order.run.or(order.last.map(|last| last.run_id)) {
            Some(run) => self.run_log(run, count).await,
            None => Ok(Vec::new()),
        }
    }

    /// Bitrate over the end of a run, or until now, oldest first: Unix time in milliseconds, bits a second.
    pub async fn run_samples(&self, id: Uuid) -> Result<Vec<(i64, u64)>> {
        let run = self.rows().read(move |rows| rows.need::<Run>(id)).await?;
        let bucket = self.bucket();
        crate::store::blocking(move || {
            let Some(folder) = bucket.kept_run_folder(id)? else { return Ok(Vec::new()) };
            let places = (0..run.value.targets.len()).filter_map(|number| u16::try_from(number).ok());
            let statuses: Vec<_> = places.filter_map(|place| TargetFolder::new(&folder, place).status()).collect();
            Ok(super::supervisor::sum_samples(statuses.iter().map(|status| status.samples.as_slice())))
        })
        .await
    }
}
