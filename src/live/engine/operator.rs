//! What operators see of all that is on air, and how they end it. It works beside no server too: by the orders, the runs and
//! the keepers' own files.

use std::time::Duration;

use uuid::Uuid;

use super::Engine;
use crate::auth::{FreshOperatorScope, OperatorScope, Scope, Tenant, WriteScope};
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::live::admission::Capacity;
use crate::live::board::{Load, OnAir, StateName};
use crate::live::run::{Run, open_runs};
use crate::live::stream::Order;
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

/// What ends by order has this long: a keeper's ladder, a second order, and force.
const ENDING: Duration = Duration::from_secs(30);

impl Engine {
    /// How many streams of a tenant are to be on air, by their orders: true beside no server too.
    pub async fn on_air_of(&self, proof: &Scope) -> Result<usize> {
        let count = |rows: &Reader<'_>| {
            let mut count = 0;
            for run in open_runs(rows)? {
                count +=
                    usize::from(rows.value::<Order>(&Order::key(run.value.stream_id))?.is_some_and(|order| order.on));
            }
            Ok(count)
        };
        match self.shared.foundation.rows(proof).read(count).await {
            // No library.
            Err(Error::NotFound) => Ok(0),
            other => other,
        }
    }

    /// Takes everything of a tenant off air and waits until it is. Before a library is deleted, that it is being
    /// deleted is on record, so nothing begins meanwhile.
    ///
    /// # Errors
    /// [`Error::Conflict`] if something does not end; then nothing must be deleted.
    pub async fn end_tenant(&self, proof: &WriteScope) -> Result<()> {
        self.order_off(&Editor::open(&self.shared.foundation, proof), None).await?;
        self.wait_for(proof.tenant(), None).await
    }

    /// Takes everything off air and waits until it is; how many streams that were.
    ///
    /// # Errors
    /// [`Error::Conflict`] if something does not end in time.
    pub async fn stop_all(&self, proof: &FreshOperatorScope) -> Result<usize> {
        let tenants = self.active().await?;
        let mut count = 0;
        for tenant in &tenants {
            count += self.order_off(&self.on_behalf(proof, tenant), None).await?;
        }
        self.wait_for_all(&tenants).await?;
        Ok(count)
    }

    fn on_behalf(&self, proof: &FreshOperatorScope, tenant: &Tenant) -> Editor {
        Editor::open(&self.shared.foundation, &proof.on_behalf(tenant))
    }

    /// Every tenant that has something on air.
    async fn active(&self) -> Result<Vec<Tenant>> {
        let mut tenants = self.marked().await?;
        tenants.extend(self.shared.runs.lock().values().map(|watched| watched.tenant.clone()));
        tenants.sort();
        tenants.dedup();
        Ok(tenants)
    }

    /// Takes one stream off air, whosever it is, and waits until it is. Whether it was on.
    ///
    /// # Errors
    /// [`Error::NotFound`] where no stream with this id is on air; [`Error::Conflict`] if it does not end in time.
    pub async fn stop_stream(&self, proof: &FreshOperatorScope, stream: Uuid) -> Result<()> {
        for tenant in self.active().await? {
            if self.order_off(&self.on_behalf(proof, &tenant), Some(stream)).await? > 0 {
                return self.wait_for(&tenant, Some(stream)).await;
            }
        }
        Err(Error::NotFound)
    }

    async fn wait_for_all(&self, tenants: &[Tenant]) -> Result<()> {
        for tenant in tenants {
            self.wait_for(tenant, None).await?;
        }
        Ok(())
    }

    /// Orders a tenant's streams, or one of them, off air; how many were on.
    async fn order_off(&self, editor: &Editor, stream: Option<Uuid>) -> Result<usize> {
        let actor = editor.actor().clone();
        let order_off = move |rows: &mut Writer<'_>| {
            let mut count = 0;
            for run in open_runs(rows.view())? {
                let id = run.value.stream_id;
                let order: Order = rows.value(&Order::key(id))?.unwrap_or_default();
                if !order.on || stream.is_some_and(|stream| stream != id) {
                    continue;
                }
                let order = Order { on: false, since: Some(rows.now()), by: actor.name().to_owned(), ..order };
                rows.put_value(&Order::key(id), &order)?;
                crate::audit::record(rows, &actor, "stream.stop", format!("{id} {}", run.value.stream_title))?;
                count += 1;
            }
            Ok(count)
        };
        match editor.rows().write(order_off).await {
            Err(Error::NotFound) => Ok(0),
            other => other,
        }
    }

    /// Waits until a tenant's streams, or one of them, are off air.
    async fn wait_for(&self, tenant: &Tenant, stream: Option<Uuid>) -> Result<()> {
        let editor = self.editor(tenant);
        let deadline = tokio::time::Instant::now() + ENDING;
        loop {
            let left = self.shared.left.notified();
            let ids = move |rows: &Reader<'_>| {
                let open = open_runs(rows)?.into_iter();
                let ids = open.filter(|run| stream.is_none_or(|stream| stream == run.value.stream_id));
                Ok(ids.map(|run| run.id()).collect::<Vec<_>>())
            };
            let open = match editor.rows().read(ids).await {
                Err(Error::NotFound) => Vec::new(),
                other => other?,
            };
            let busy = {
                let runs = self.shared.runs.lock();
                stream.is_none() && runs.values().any(|watched| watched.tenant == *tenant)
            };
            if open.is_empty() && !busy {
                return Ok(());
            }
            // Where the engine does not follow notices (beside no server), this is what brings it to the runs.
            open.into_iter().for_each(|run| self.ensure(tenant, run));
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::Conflict(Message::new("live-does-not-end").with("tenant", tenant.as_str())));
            }
            tokio::select! {
                () = left => {}
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
    }

    /// What is on air over all tenants, the longest first.
    pub async fn status(&self, _proof: &OperatorScope) -> Result<Vec<OnAir>> {
        let shown = self.shared.foundation.board().all();
        if !shown.is_empty() {
            return Ok(shown);
        }
        // Beside no server nobody writes the board.
        let mut on_air = Vec::new();
        for tenant in self.marked().await? {
            let open = self.editor(&tenant).rows().read(open_runs).await;
            let open = match open {
                Err(Error::NotFound) => continue,
                other => other?,
            };
            on_air.extend(open.into_iter().map(|run| {
                let (state, bitrate) = self.found(&tenant, &run);
                OnAir {
                    tenant: tenant.clone(),
                    stream_id: run.value.stream_id,
                    title: run.value.stream_title.clone(),
                    state,
                    since: run.value.started_at,
                    bitrate,
                }
            }));
        }
        on_air.sort_by(|a, b| (a.since, &a.tenant, a.stream_id).cmp(&(b.since, &b.tenant, b.stream_id)));
        Ok(on_air)
    }

    /// State of a run and what it sends, by its keepers' own files.
    fn found(&self, tenant: &Tenant, run: &Row<Run>) -> (StateName, u64) {
        use crate::live::keeper::files::State as Kept;
        let now = self.shared.foundation.clock().now();
        let folder = self.editor(tenant).bucket().kept_run_folder(run.id()).ok().flatten();
        let places = (0..run.value.targets.len()).filter_map(|number| u16::try_from(number).ok());
        let found =
            places.filter_map(|place| crate::live::process::Keeper::adopt(folder.as_ref()?, place)?.read_status());
        let found: Vec<_> = found.collect();
        // As the server says it of several targets: one that sends is enough.
        let kept = found.iter().find(|status| status.state == Kept::Sending).or(found.first());
        let state = match kept.map(|status| status.state) {
            Some(Kept::Sending) => StateName::Sending,
            Some(Kept::Retrying) => StateName::Retrying,
            Some(Kept::Stopping | Kept::Ended | Kept::Failed) => StateName::Stopping,
            Some(Kept::Starting) | None if run.value.started_at.is_some_and(|at| at > now) => StateName::Scheduled,
            Some(Kept::Starting) | None => StateName::Starting,
        };
        (state, found.iter().map(|status| status.bitrate).sum())
    }

    /// What the box can carry, and what is booked of it.
    pub fn capacity(&self, _proof: &OperatorScope) -> (Capacity, Load) {
        (Capacity::of(self.shared.foundation.config()), self.shared.foundation.board().booked())
    }
}
