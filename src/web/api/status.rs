//! The box at a glance, for operators and the command line: what is on air, what comes next, how full it is; and
//! stopping it all.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Moment, shown};
use crate::error::{Error, Result};
use crate::host::Share;
use crate::live::admission::ENCODER_MIB;
use crate::text::Message;
use crate::web::{Access, FreshOperator, Json, Operator, Route, Server};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/status", access: Access::Operator, handler: || web::to(status) },
    Route { method: "POST", path: "/api/v1/stop", access: Access::FreshOperator, handler: || web::to(stop) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(status, stop))]
pub struct Document;

/// Occurrences that are told.
const COMING: usize = 20;

/// The box at a glance.
#[derive(Serialize, ToSchema)]
struct Status {
    /// IANA zone of the box, for local times.
    time_zone: String,
    /// The longest first.
    on_air: Vec<OnAirBody>,
    /// What comes next.
    next: Vec<DueBody>,
    /// Bytes of the disk that holds the home.
    disk: ShareBody,
    /// Bytes of memory.
    memory: ShareBody,
    /// Busy share of all processors together, 0 to 100.
    cpu: f64,
    /// Bits a second that all streams send, of what the settings say the box can.
    uplink: ShareBody,
    /// Encoders that run or are about to, of what memory allows.
    encoders: ShareBody,
}

/// A stream that is on air.
#[derive(Serialize, ToSchema)]
#[schema(as = OnAir)]
struct OnAirBody {
    tenant: String,
    stream_id: Uuid,
    title: String,
    state: &'static str,
    since: Option<Moment>,
    /// Bits a second.
    bitrate: u64,
}

/// An occurrence to come.
#[derive(Serialize, ToSchema)]
#[schema(as = Due)]
struct DueBody {
    at: Moment,
    tenant: String,
    schedule_id: Uuid,
    /// Of its stream.
    title: String,
}

/// Something that is partly used.
#[derive(Serialize, ToSchema)]
#[schema(as = Share)]
struct ShareBody {
    used: u64,
    total: u64,
}

impl From<Share> for ShareBody {
    fn from(share: Share) -> ShareBody {
        ShareBody { used: share.used, total: share.total }
    }
}

/// What is on air, what comes next, disk, memory, processor, uplink
#[utoipa::path(get, path = "/api/v1/status", tag = "box", responses((status = 200, body = Status)))]
async fn status(server: web::Data<Server>, operator: Operator) -> Result<HttpResponse> {
    let on_air = server.engine.status(&operator.0).await?;
    let figures = server.host.figures(on_air.iter().map(|stream| stream.bitrate).sum())?;
    let (capacity, load) = server.engine.capacity(&operator.0);
    let next = server.agenda.coming(&operator.0, COMING).into_iter();
    let body = Status {
        time_zone: server.foundation.config().time_zone.clone(),
        on_air: on_air
            .into_iter()
            .map(|stream| OnAirBody {
                tenant: stream.tenant.to_string(),
                stream_id: stream.stream_id,
                title: stream.title,
                state: stream.state.code(),
                since: stream.since.map(Moment::from),
                bitrate: stream.bitrate,
            })
            .collect(),
        next: next
            .map(|(due, title)| DueBody {
                at: due.at.into(),
                tenant: due.tenant.to_string(),
                schedule_id: due.schedule_id,
                title,
            })
            .collect(),
        disk: figures.disk.into(),
        memory: figures.memory.into(),
        cpu: (figures.processor * 10.0).round() / 10.0,
        uplink: figures.uplink.into(),
        encoders: ShareBody { used: load.encoders, total: capacity.memory_mib / ENCODER_MIB },
    };
    Ok(shown(&body, None))
}

/// What to stop: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Stop {
    /// True: everything, of all tenants.
    #[serde(default)]
    all: bool,
    /// One stream.
    stream: Option<Uuid>,
}

/// How many streams were taken off air.
#[derive(Serialize, ToSchema)]
struct Stopped {
    stopped: usize,
}

/// Take everything, or one stream of whoever's, off air
///
/// Answers when it is: an encoder is given time to end in good order.
#[utoipa::path(post, path = "/api/v1/stop", tag = "box", request_body = Stop, responses(
    (status = 200, body = Stopped), (status = 404, description = "No such stream is on air"),
))]
async fn stop(server: web::Data<Server>, operator: FreshOperator, body: Json<Stop>) -> Result<HttpResponse> {
    let stopped = match body.0 {
        Stop { all: true, stream: None } => server.engine.stop_all(&operator.0).await?,
        Stop { all: false, stream: Some(id) } => {
            server.engine.stop_stream(&operator.0, id).await?;
            1
        }
        _ => return Err(Error::field("stream", Message::new("api-stop-which"))),
    };
    Ok(shown(&Stopped { stopped }, None))
}
