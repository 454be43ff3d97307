//! Jadwalstream: keeps prerecorded video on air from one small server, with every person's library strictly apart.
//!
//! Dependencies point one way: `web → library, schedule, live, jobs → store, objects, vault, auth → error`.

pub mod app;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod format;
pub mod foundation;
pub mod host;
pub mod jobs;
pub mod keys;
pub mod legacy;
pub mod library;
pub mod live;
pub mod media;
pub mod notify;
pub mod oauth;
pub mod objects;
pub mod outbound;
pub mod schedule;
pub mod store;
pub mod supervise;
pub mod tabular;
pub mod telemetry;
pub mod tenancy;
pub mod text;
pub mod vault;
pub mod web;
pub mod youtube;
