//! Another end for what is on air. The run's row is written first; its supervisor tells the keepers, now or, where the
//! server is killed in between, after the next start.

use jiff::Timestamp;
use uuid::Uuid;

use super::calls::StreamView;
use super::run::Run;
use super::stream::{End, LiveStream, Order};
use crate::audit;
use crate::auth::Actor;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::store::rows::{Row, Writer};
use crate::text::Message;

/// Puts another end of a run that is on air into the batch.
pub(crate) fn put_stop_time(
    rows: &mut Writer<'_>,
    actor: &Actor,
    row: &Row<Run>,
    stop_at: Option<Timestamp>,
) -> Result<()> {
    if row.value.planned_stop == stop_at {
        return Ok(());
    }
    let key = Order::key(row.value.stream_id);
    let order: Order = rows.value(&key)?.unwrap_or_default();
    if order.run == Some(row.id()) {
        rows.put_value(&key, &Order { stop_at, ..order })?;
    }
    let when = stop_at.map_or("open".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    audit::record(rows, actor, "run.change-end", format!("{} {when} {}", row.id(), row.value.stream_title))?;
    rows.update(row, Run { planned_stop: stop_at, ..row.value.clone() }).map(drop)
}

impl Editor {
    /// Lets what is on air of a stream end at another time, or only when somebody stops it. Viewers notice nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is off air or being ended; [`Error::Invalid`] for an end that has passed.
    pub async fn change_end(&self, id: Uuid, end: End) -> Result<StreamView> {
        let stop_at = end.instant(self.foundation().clock().now())?;
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                rows.need::<LiveStream>(id, None)?;
                let order: Order = rows.value(&Order::key(id))?.unwrap_or_default();
                let run = match order.run.filter(|_| order.on) {
                    Some(run) => rows.get::<Run>(run)?.filter(|run| run.value.is_open()),
                    None => None,
                };
                let run = run.ok_or_else(|| Error::Conflict(Message::new("live-not-on")))?;
                if stop_at.is_some() && stop_at <= run.value.started_at {
                    // It is about to begin.
                    return Err(Error::field(end.field(), Message::new("live-stop-past")));
                }
                put_stop_time(rows, &actor, &run, stop_at)
            })
            .await?;
        self.stream(id).await
    }
}
