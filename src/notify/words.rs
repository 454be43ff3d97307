//! How a notice reads: a few plain lines in the user's language and zone, and a webhook's body with stable names.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use url::Url;

use super::rows::{DigestFacts, Facts, Kind, Notice, StreamFacts};
use crate::format::{Moment, bytes, duration};
use crate::live::Platform;
use crate::text::{Locale, Message};

/// Who reads it, and where the pages are.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) locale: Locale,
    pub(super) zone: TimeZone,
    pub(super) pages: Option<Url>,
    /// The moment of reading: what is still ahead is told as so many minutes.
    pub(super) now: Timestamp,
}

impl Reader {
    fn moment(&self, time: Timestamp) -> String {
        Moment::new(time, &self.zone, self.locale).text
    }

    fn between(&self, from: Timestamp, to: Timestamp) -> String {
        duration(self.locale, to.duration_since(from).as_secs_f64().max(0.0))
    }

    fn page(&self, path: &str) -> Option<String> {
        Some(self.pages.as_ref()?.join(path).ok()?.to_string())
    }
}

/// A notice as people read it, a fact a line.
pub(super) fn text(notice: &Notice, reader: &Reader) -> String {
    let mut lines: Vec<String> = Vec::new();
    let path = match &notice.facts {
        Facts::Stream(facts) => {
            lines
                .extend(stream(notice.kind, facts, notice.at, reader).iter().map(|line| line.in_locale(reader.locale)));
            match (notice.kind, facts.run_id) {
                (Kind::Ended | Kind::Failed | Kind::Missed, Some(run)) => format!("/history/{run}"),
                _ => format!("/streams/{}", facts.stream_id),
            }
        }
        Facts::Channel { id, title, reason } => {
            lines.push(Message::new("notice-reconnect").with("title", title.as_str()).in_locale(reader.locale));
            lines.extend(reason.as_ref().map(|reason| reason.in_locale(reader.locale)));
            format!("/channels/{id}")
        }
        Facts::Broadcast(facts) => {
            let line = Message::new("notice-broadcast").with("title", facts.title.as_str());
            lines.push(line.with("when", reader.moment(facts.starts_at)).in_locale(reader.locale));
            lines.extend(facts.reason.as_ref().map(|reason| reason.in_locale(reader.locale)));
            "/broadcasts".to_owned()
        }
        Facts::Disk { free, total, floor } => {
            let size = |number: u64| bytes(reader.locale, number as f64);
            let line = Message::new("notice-disk-low").with("free", size(*free)).with("total", size(*total));
            lines.push(line.with("floor", size(*floor)).in_locale(reader.locale));
            "/".to_owned()
        }
        Facts::Digest(facts) => {
            lines.extend(digest(facts, reader).iter().map(|line| line.in_locale(reader.locale)));
            "/".to_owned()
        }
    };
    lines.extend(reader.page(&path));
    lines.join("\n")
}

fn platform(facts: &StreamFacts) -> Message {
    Message::new(match facts.platform.as_deref().and_then(Platform::parse) {
        Some(Platform::Youtube) => "platform-youtube",
        Some(Platform::Facebook) => "platform-facebook",
        Some(Platform::Twitch) => "platform-twitch",
        Some(Platform::Tiktok) => "platform-tiktok",
        Some(Platform::Instagram) => "platform-instagram",
        Some(Platform::Custom) | None => "notice-own-address",
    })
}

fn stream(kind: Kind, facts: &StreamFacts, at: Timestamp, reader: &Reader) -> Vec<Message> {
    let titled = |id| Message::new(id).with("title", facts.title.as_str());
    let on_air = || match (facts.started_at, facts.ended_at) {
        (Some(start), Some(end)) => reader.between(start, end),
        _ => reader.between(at, at),
    };
    let trouble = || reader.between(facts.trouble_since.unwrap_or(at), at);
    let due = facts.occurrence_at.or(facts.started_at).unwrap_or(at);
    let mut lines = vec![match kind {
        Kind::StartsSoon => {
            titled("notice-starts-soon").with("time", reader.between(reader.now, due)).with("when", reader.moment(due))
        }
        Kind::Started => titled("notice-started").with("when", reader.moment(facts.started_at.unwrap_or(at))),
        Kind::Retrying => titled("notice-retrying").with("platform", platform(facts)).with("time", trouble()),
        Kind::Back => titled("notice-back").with("platform", platform(facts)).with("time", trouble()),
        Kind::Ended if facts.outcome.as_deref() == Some("stopped") => titled("notice-stopped").with("time", on_air()),
        Kind::Ended => titled("notice-ended").with("time", on_air()),
        Kind::Failed => titled("notice-failed").with("when", reader.moment(facts.ended_at.unwrap_or(at))),
        Kind::Missed if facts.count > 1 => {
            titled("notice-missed-several").with("count", facts.count).with("when", reader.moment(due))
        }
        Kind::Missed | Kind::Reconnect | Kind::Broadcast | Kind::DiskLow | Kind::Digest => {
            titled("notice-missed").with("when", reader.moment(due))
        }
    }];
    lines.extend(facts.reason.clone());
    match (kind, facts.stop_at) {
        (Kind::Started, Some(stop)) => lines.push(Message::new("notice-until").with("when", reader.moment(stop))),
        (Kind::Retrying, Some(stop)) => {
            lines.push(Message::new("notice-trying-until").with("when", reader.moment(stop)));
        }
        (Kind::Retrying, None) => lines.push(Message::new("notice-trying")),
        (Kind::Ended | Kind::Failed, _) if facts.restarts > 0 => {
            lines.push(Message::new("notice-restarts").with("count", facts.restarts));
        }
        _ => {}
    }
    lines
}

fn digest(facts: &DigestFacts, reader: &Reader) -> Vec<Message> {
    let mut lines = vec![Message::new("digest-title").with("when", reader.moment(reader.now))];
    let runs = facts.completed + facts.stopped + facts.failed + facts.missed;
    if runs == 0 && facts.on_air_seconds == 0 {
        lines.push(Message::new("digest-quiet"));
    } else {
        let on_air = duration(reader.locale, facts.on_air_seconds as f64);
        let ended = Message::new("digest-runs").with("time", on_air).with("good", facts.completed + facts.stopped);
        lines.push(ended.with("failed", facts.failed).with("missed", facts.missed));
    }
    if facts.restarts > 0 {
        lines.push(Message::new("notice-restarts").with("count", facts.restarts));
    }
    if !facts.on_air.is_empty() {
        lines.push(Message::new("digest-on-air").with("titles", facts.on_air.join(", ")));
    }
    lines.push(Message::new(if facts.coming.is_empty() { "digest-nothing-coming" } else { "digest-coming" }));
    for (at, title) in &facts.coming {
        lines.push(Message::new("digest-item").with("when", reader.moment(*at)).with("title", title.as_str()));
    }
    if facts.more > 0 {
        lines.push(Message::new("digest-more").with("count", facts.more));
    }
    let size = |number: u64| bytes(reader.locale, number as f64);
    let storage = Message::new("digest-storage").with("used", size(facts.storage_used));
    lines.push(storage.with("limit", size(facts.storage_limit)));
    lines
}

/// The body of a webhook: `{type, timestamp, data}`. The names of `data` do not change; what is not known is absent.
pub(super) fn body(notice: &Notice, reader: &Reader) -> Value {
    let mut data = Map::new();
    data.insert("text".into(), json!(text(notice, reader)));
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            data.insert(name.to_owned(), value);
        }
    };
    let time = |time: Option<Timestamp>| time.map(stamp);
    match &notice.facts {
        Facts::Stream(facts) => {
            add("stream_id", json!(facts.stream_id));
            add("stream_title", json!(facts.title));
            add("run_id", json!(facts.run_id));
            add("schedule_id", json!(facts.schedule_id));
            add("occurrence_at", json!(time(facts.occurrence_at)));
            add("started_at", json!(time(facts.started_at)));
            add("stop_at", json!(time(facts.stop_at)));
            add("ended_at", json!(time(facts.ended_at)));
            add("outcome", json!(facts.outcome));
            add("reason", json!(facts.reason.as_ref().map(|reason| reason.in_locale(reader.locale))));
            add("platform", json!(facts.platform));
            add("trouble_since", json!(time(facts.trouble_since)));
            if matches!(notice.kind, Kind::Ended | Kind::Failed) {
                add("restarts", json!(facts.restarts));
                add("bytes", json!(facts.bytes));
            }
            if notice.kind == Kind::Missed {
                add("count", json!(facts.count));
            }
        }
        Facts::Channel { id, title, reason } => {
            add("channel_id", json!(id));
            add("channel_title", json!(title));
            add("reason", json!(reason.as_ref().map(|reason| reason.in_locale(reader.locale))));
        }
        Facts::Broadcast(facts) => {
            add("broadcast_id", json!(facts.id));
            add("broadcast_title", json!(facts.title));
            add("stream_id", json!(facts.stream_id));
            add("channel_id", json!(facts.channel_id));
            add("starts_at", json!(stamp(facts.starts_at)));
            add("link", json!(facts.link));
            add("reason", json!(facts.reason.as_ref().map(|reason| reason.in_locale(reader.locale))));
        }
        Facts::Disk { free, total, .. } => {
            add("free_bytes", json!(free));
            add("total_bytes", json!(total));
        }
        Facts::Digest(facts) => {
            let coming =
                facts.coming.iter().map(|(at, title)| json!({"occurrence_at": stamp(*at), "stream_title": title}));
            add("completed", json!(facts.completed));
            add("stopped", json!(facts.stopped));
            add("failed", json!(facts.failed));
            add("missed", json!(facts.missed));
            add("on_air_seconds", json!(facts.on_air_seconds));
            add("restarts", json!(facts.restarts));
            add("on_air", json!(facts.on_air));
            add("coming", coming.collect());
            add("storage_used", json!(facts.storage_used));
            add("storage_limit", json!(facts.storage_limit));
        }
    }
    json!({"type": notice.kind.event(), "timestamp": stamp(notice.at), "data": data})
}

/// RFC 3339 in UTC, to the millisecond, as everywhere in the API.
pub(super) fn stamp(time: Timestamp) -> String {
    time.round(jiff::Unit::Millisecond).unwrap_or(time).to_string()
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
