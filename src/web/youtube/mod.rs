//! Pages of channels' stream keys and broadcasts.

mod broadcast;
mod keys;
mod uploads;

use super::{Access, Route};
use actix_web::web;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/stream-keys", access: Access::Read, handler: || web::to(keys::list) },
    Route { method: "POST", path: "/stream-keys/import", access: Access::Write, handler: || web::to(keys::import) },
    Route { method: "POST", path: "/stream-keys/export", access: Access::Write, handler: || web::to(keys::export) },
    Route {
        method: "POST",
        path: "/stream-keys/{id}/reveal",
        access: Access::Write,
        handler: || web::to(keys::reveal),
    },
    Route {
        method: "POST",
        path: "/stream-keys/{id}/delete",
        access: Access::Write,
        handler: || web::to(keys::delete),
    },
    Route { method: "POST", path: "/channels/{id}/keys", access: Access::Write, handler: || web::to(keys::create) },
    Route {
        method: "POST",
        path: "/channels/{id}/keys/fetch",
        access: Access::Write,
        handler: || web::to(keys::fetch),
    },
    Route { method: "GET", path: "/youtube-uploads", access: Access::Read, handler: || web::to(uploads::list) },
    Route { method: "POST", path: "/youtube-uploads", access: Access::Write, handler: || web::to(uploads::queue) },
    Route {
        method: "GET",
        path: "/youtube-uploads/template",
        access: Access::Read,
        handler: || web::to(super::api::youtube_uploads::template),
    },
    Route {
        method: "POST",
        path: "/youtube-uploads/choose",
        access: Access::Write,
        handler: || web::to(uploads::choose),
    },
    Route {
        method: "POST",
        path: "/youtube-uploads/{id}/remove",
        access: Access::Write,
        handler: || web::to(uploads::remove),
    },
    Route {
        method: "POST",
        path: "/channels/{id}/uploads",
        access: Access::Write,
        handler: || web::to(uploads::sheet),
    },
    Route {
        method: "POST",
        path: "/youtube-uploads/{id}/retry",
        access: Access::Write,
        handler: || web::to(uploads::retry),
    },
    Route {
        method: "POST",
        path: "/youtube-uploads/{id}/delete",
        access: Access::Write,
        handler: || web::to(uploads::cancel),
    },
    Route { method: "GET", path: "/broadcasts", access: Access::Read, handler: || web::to(broadcast::list) },
    Route {
        method: "POST",
        path: "/broadcasts/{id}/retry",
        access: Access::Write,
        handler: || web::to(broadcast::retry),
    },
    Route {
        method: "GET",
        path: "/streams/{id}/broadcast",
        access: Access::Read,
        handler: || web::to(broadcast::of_stream),
    },
    Route {
        method: "POST",
        path: "/streams/{id}/broadcast",
        access: Access::Write,
        handler: || web::to(broadcast::change_stream),
    },
    Route {
        method: "GET",
        path: "/schedules/{id}/broadcast",
        access: Access::Read,
        handler: || web::to(broadcast::of_schedule),
    },
    Route {
        method: "POST",
        path: "/schedules/{id}/broadcast",
        access: Access::Write,
        handler: || web::to(broadcast::change_schedule),
    },
];

pub(super) use broadcast::{card as broadcast_card, cards_of as broadcast_cards};
pub(super) use keys::quota_card;
pub(super) use uploads::of_video as youtube_of_video;
