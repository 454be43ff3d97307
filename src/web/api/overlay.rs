//! What is laid over a stream's picture, for programs, and its price.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::shown;
use crate::library::Library;
use crate::live::admission::{Capacity, ENCODER_MIB, cores};
use crate::live::overlay::{Caption, ClockFace, Logo, Overlay, Place, Price, size};
use crate::media::Profile;
use crate::web::{Access, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/api/v1/streams/overlay-prices",
    access: Access::Read,
    handler: || web::to(prices),
}];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(prices))]
pub struct Document;

/// What is laid over the picture; at least one thing, each in a place of its own. The picture is encoded again for as
/// long as the stream is on air.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Overlay)]
pub(super) struct OverlayBody {
    /// `720p30` (where absent) or `1080p30`.
    #[serde(default = "smallest")]
    #[schema(value_type = String)]
    profile: Profile,
    logo: Option<LogoBody>,
    text: Option<TextBody>,
    clock: Option<ClockBody>,
}

fn smallest() -> Profile {
    Profile::Hd
}

/// A picture of the gallery.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OverlayLogo)]
struct LogoBody {
    thumbnail_id: Uuid,
    place: Place,
    /// Its width, in hundredths of the picture's, 3 to 40; 12 where absent.
    #[serde(default = "usual_percent")]
    percent: u8,
}

fn usual_percent() -> u8 {
    12
}

/// A line of text.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OverlayText)]
struct TextBody {
    /// 1 to 100 characters.
    text: String,
    place: Place,
}

/// The time of day.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OverlayClock)]
struct ClockBody {
    /// IANA zone.
    time_zone: String,
    place: Place,
}

impl From<OverlayBody> for Overlay {
    fn from(body: OverlayBody) -> Overlay {
        let OverlayBody { profile, logo, text, clock } = body;
        Overlay {
            profile,
            logo: logo.map(|LogoBody { thumbnail_id, place, percent }| Logo {
                thumbnail: thumbnail_id,
                place,
                percent,
            }),
            text: text.map(|TextBody { text, place }| Caption { text, place }),
            clock: clock.map(|ClockBody { time_zone, place }| ClockFace { time_zone, place }),
        }
    }
}

impl From<&Overlay> for OverlayBody {
    fn from(overlay: &Overlay) -> OverlayBody {
        let Overlay { profile, logo, text, clock } = overlay.clone();
        OverlayBody {
            profile,
            logo: logo.map(|Logo { thumbnail, place, percent }| LogoBody { thumbnail_id: thumbnail, place, percent }),
            text: text.map(|Caption { text, place }| TextBody { text, place }),
            clock: clock.map(|ClockFace { time_zone, place }| ClockBody { time_zone, place }),
        }
    }
}

/// What an overlay costs, for each target.
#[derive(Serialize, ToSchema)]
#[schema(as = OverlayPrice)]
struct PriceBody {
    #[schema(value_type = String)]
    profile: Profile,
    /// Of a picture that lies; one that stands has them the other way round.
    width: u32,
    height: u32,
    /// Processor cores.
    cpu_cores: f64,
    memory_mib: u64,
    /// Bits a second that are sent.
    bitrate: u64,
}

/// Prices, and what there is to pay with.
#[derive(Serialize, ToSchema)]
#[schema(as = OverlayPrices)]
struct PricesBody {
    items: Vec<PriceBody>,
    /// Processor cores that all streams with an overlay may take together.
    cpu_cores_limit: f64,
}

/// What an overlay costs, for each target
///
/// A stream whose overlay does not fit beside those that are on air is refused when it starts.
#[utoipa::path(get, path = "/api/v1/streams/overlay-prices", tag = "streams", responses(
    (status = 200, body = PricesBody),
))]
async fn prices(library: Library) -> HttpResponse {
    let items = Profile::ALL.map(|profile| {
        let (price, (width, height)) = (Price::of(profile), size(profile));
        PriceBody {
            profile,
            width,
            height,
            cpu_cores: cores(price.cpu),
            memory_mib: price.memory_mib + ENCODER_MIB,
            bitrate: price.bitrate,
        }
    });
    let capacity = Capacity::of(library.foundation().config());
    shown(&PricesBody { items: items.into(), cpu_cores_limit: cores(capacity.cpu) }, None)
}
