//! Figures for Prometheus, in its text form. No tenant's name stands in them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};

use super::{Access, Route, Server};
use crate::error::Result;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/metrics", access: Access::OperatorOrBox, handler: || web::to(show) },
    Route { method: "GET", path: "/api/v1/metrics", access: Access::OperatorOrBox, handler: || web::to(show) },
];

/// This room's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(show))]
pub struct Document;

/// Counts since the server started.
#[derive(Default)]
pub struct Metrics {
    /// Answers by the first digit of their status, from 1.
    answers: [AtomicU64; 5],
    microseconds: AtomicU64,
    uploads: AtomicU64,
    upload_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

/// Kind, name and meaning of a figure.
type Head = (&'static str, &'static str, &'static str);

const REQUESTS: Head = ("counter", "jadwalstream_requests_total", "Requests answered, by class of status.");
const SECONDS: Head = ("counter", "jadwalstream_request_seconds_total", "Time spent until answers began.");
const UPLOADS: Head = ("counter", "jadwalstream_uploads_total", "Uploads taken in.");
const UPLOADED: Head = ("counter", "jadwalstream_upload_bytes_total", "Bytes of these uploads, as sent.");
const SENT: Head = ("counter", "jadwalstream_answer_bytes_total", "Bytes of answers whose length was known.");
const ON_AIR: Head = ("gauge", "jadwalstream_on_air", "Streams on air, of all tenants.");
const SENDING: Head = ("gauge", "jadwalstream_sending_bits_per_second", "What they send together.");
const DISK_FREE: Head = ("gauge", "jadwalstream_disk_free_bytes", "Free bytes of the disk that holds the home.");
const DISK: Head = ("gauge", "jadwalstream_disk_bytes", "Bytes of the disk that holds the home.");
const MEMORY: Head = ("gauge", "process_resident_memory_bytes", "Memory of the server, without its encoders.");
const FILES: Head = ("gauge", "process_open_fds", "Open files of the server.");

impl Metrics {
    /// Counts an answer.
    pub(super) fn count(&self, status: u16, took: Duration, sent: u64) {
        if let Some(count) = self.answers.get(usize::from(status / 100).wrapping_sub(1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.microseconds.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        self.sent_bytes.fetch_add(sent, Ordering::Relaxed);
    }

    /// Counts an upload that was taken in.
    pub(super) fn count_upload(&self, bytes: u64) {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        self.upload_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn put(text: &mut String, (kind, name, meaning): Head, figures: &[(&str, f64)]) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {meaning}\n# TYPE {name} {kind}");
    for (label, figure) in figures {
        let _ = writeln!(text, "{name}{label} {figure}");
    }
}

/// Resident memory and open files of this process.
fn process() -> (f64, f64) {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages: Option<f64> = pages.and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    // Linux on every machine we know counts here in the system's page size.
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (pages.unwrap_or_default() * page as f64, files as f64)
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/api/v1/metrics", tag = "health", responses((status = 200, content_type = "text/plain", body = String)))]
async fn show(server: web::Data<Server>) -> Result<HttpResponse> {
    let on_air = server.engine.status(&server.console).await?;
    let sending: u64 = on_air.iter().map(|stream| stream.bitrate).sum();
    let (free, total) = server.foundation.objects().disk()?;
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    let metrics = &server.metrics;
    let classes = ["{class=\"1xx\"}", "{class=\"2xx\"}", "{class=\"3xx\"}", "{class=\"4xx\"}", "{class=\"5xx\"}"];
    let answers: Vec<(&str, f64)> = classes.into_iter().zip(metrics.answers.iter().map(read)).collect();
    let (memory, files) = process();
    let mut text = String::new();
    put(&mut text, REQUESTS, &answers);
    put(&mut text, SECONDS, &[("", read(&metrics.microseconds) / 1e6)]);
    put(&mut text, UPLOADS, &[("", read(&metrics.uploads))]);
    put(&mut text, UPLOADED, &[("", read(&metrics.upload_bytes))]);
    put(&mut text, SENT, &[("", read(&metrics.sent_bytes))]);
    put(&mut text, ON_AIR, &[("", on_air.len() as f64)]);
    put(&mut text, SENDING, &[("", sending as f64)]);
    put(&mut text, DISK_FREE, &[("", free as f64)]);
    put(&mut text, DISK, &[("", total as f64)]);
    put(&mut text, MEMORY, &[("", memory)]);
    put(&mut text, FILES, &[("", files)]);
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
