//! How long runs are remembered.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use super::run::Run;
use super::stream::{LiveStream, Order};
use crate::error::Result;
use crate::library::Editor;
use crate::schedule::occurrence_key;
use crate::store::blocking;

/// History is kept so long, in days, and logs and graphs of runs so long.
const HISTORY_DAYS: i64 = 90;
const LOGS_DAYS: i64 = 14;

impl Editor {
    /// Removes runs that ended long ago or are more than the settings keep, and the logs of those that ended some time
    /// ago. What a stream did last is kept, with its log, however old it is.
    pub(super) async fn forget_old_runs(&self) -> Result<()> {
        let now = self.foundation().clock().now();
        let day = |days: i64| now - Duration::from_secs(days as u64 * 24 * 3600);
        let (old, logs) = (day(HISTORY_DAYS), day(LOGS_DAYS));
        let most = self.foundation().config().limits.runs_kept;
        let (forget, keep) = self
            .rows()
            .read(move |rows| {
                let (mut forget, mut keep, mut over) = (Vec::new(), HashSet::new(), 0);
                rows.each::<LiveStream>(false, |row| {
                    let order = rows.value::<Order>(&Order::key(row.id())).ok().flatten();
                    keep.extend(order.and_then(|order| order.last).map(|last| last.run_id));
                    ControlFlow::Continue(())
                })?;
                rows.each::<Run>(true, |row| {
                    let Some(ended) = row.value.ended_at else {
                        keep.insert(row.id());
                        return ControlFlow::Continue(());
                    };
                    // What came from an old home is remembered as long as what was on air the day that it came.
                    let ended = ended.max(row.header.created_at);
                    over += 1;
                    let is_last = keep.contains(&row.id());
                    if !is_last && (ended < old || over > most) {
                        forget.push(row.id());
                    } else if ended >= logs {
                        keep.insert(row.id());
                    }
                    ControlFlow::Continue(())
                })?;
                Ok((forget, keep))
            })
            .await?;
        let bucket = self.bucket();
        blocking(move || {
            for run in bucket.run_folders()?.into_iter().filter(|run| !keep.contains(run)) {
                bucket.remove_run_folder(run)?;
            }
            Ok(())
        })
        .await?;
        for some in forget.chunks(200) {
            let some = some.to_vec();
            self.rows()
                .write(move |rows| {
                    for id in &some {
                        let Some(row) = rows.get::<Run>(*id)?.filter(|row| !row.value.is_open()) else { continue };
                        if let (Some(schedule), Some(name)) = (row.value.schedule_id, &row.value.occurrence_name) {
                            rows.delete_value(&occurrence_key(schedule, name));
                        }
                        rows.delete(&row);
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }
}
