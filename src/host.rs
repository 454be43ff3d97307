//! How the box is doing: disk, memory, processor, and what its streams send.

use std::fs;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::error::Result;
use crate::foundation::Foundation;

/// Watches the box. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    foundation: Foundation,
    processor: Arc<Mutex<Processor>>,
}

/// Something that is partly used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Share {
    /// In use.
    pub used: u64,
    /// All there is.
    pub total: u64,
}

impl Share {
    /// How much of it is used, 0 to 100.
    pub fn percent(self) -> f64 {
        if self.total == 0 { 0.0 } else { (self.used as f64 * 100.0 / self.total as f64).min(100.0) }
    }
}

/// How near something is to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Room enough.
    Ok,
    /// Above 80 %.
    Warn,
    /// Above 95 %.
    Bad,
}

impl Level {
    /// The level of a share of 0 to 100.
    pub fn of(percent: f64) -> Level {
        match percent {
            ..=80.0 => Level::Ok,
            ..=95.0 => Level::Warn,
            _ => Level::Bad,
        }
    }
}

/// The box at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Bytes of the disk that holds the home.
    pub disk: Share,
    /// Bytes of memory; what the kernel would give up at once counts as free.
    pub memory: Share,
    /// Busy share of all processors together over the last seconds, 0 to 100.
    pub processor: f64,
    /// Bits a second that all streams send, of what the settings say the box can.
    pub uplink: Share,
}

/// Time that the processors were busy, and all of it, since the box started (in ticks).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Ticks {
    busy: u64,
    all: u64,
}

#[derive(Default)]
struct Processor {
    last: Ticks,
    percent: f64,
}

impl Host {
    /// Begins to watch; [`Host::beat`] is to be called every few seconds.
    pub fn new(foundation: &Foundation) -> Host {
        let host = Host { foundation: foundation.clone(), processor: Arc::default() };
        host.beat();
        host
    }

    /// Measures the processor since the last beat.
    pub fn beat(&self) {
        let Some(now) = fs::read_to_string("/proc/stat").ok().and_then(|text| ticks(&text)) else { return };
        let mut processor = self.processor.lock();
        let (busy, all) = (now.busy.saturating_sub(processor.last.busy), now.all.saturating_sub(processor.last.all));
        if all > 0 {
            processor.percent = (busy as f64 * 100.0 / all as f64).clamp(0.0, 100.0);
        }
        processor.last = now;
    }

    /// The box now; `sending` is what all its streams send, in bits a second.
    pub fn figures(&self, sending: u64) -> Result<Figures> {
        let (free, total) = self.foundation.objects().disk()?;
        let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text));
        let limit = self.foundation.config().live.uplink_mbit * 1e6;
        Ok(Figures {
            disk: Share { used: total.saturating_sub(free), total },
            memory: memory.unwrap_or(Share { used: 0, total: 0 }),
            processor: self.processor.lock().percent,
            uplink: Share { used: sending, total: limit as u64 },
        })
    }
}

/// The first line of `/proc/stat`: `cpu user nice system idle iowait irq softirq steal guest guest_nice`. Guest time
/// stands in user time already.
fn ticks(stat: &str) -> Option<Ticks> {
    let mut words = stat.lines().next()?.split_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let times: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let all: u64 = times.iter().sum();
    let idle = times.get(3)? + times.get(4).copied().unwrap_or(0);
    Some(Ticks { busy: all - idle, all })
}

/// `/proc/meminfo` counts in KiB.
fn memory(meminfo: &str) -> Option<Share> {
    let field = |name: &str| -> Option<u64> {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    };
    let (total, available) = (field("MemTotal")?, field("MemAvailable")?);
    Some(Share { used: total.saturating_sub(available), total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let stat = "cpu  100 0 50 800 50 0 0 0 30 0\ncpu0 1 2 3 4\n";
        assert_eq!(ticks(stat), Some(Ticks { busy: 150, all: 1000 }));
        assert_eq!(ticks("intr 5"), None);
        let meminfo = "MemTotal:        2048 kB\nMemFree: 1 kB\nMemAvailable:     512 kB\n";
        assert_eq!(memory(meminfo), Some(Share { used: 1536 << 10, total: 2048 << 10 }));
        assert_eq!(memory("MemTotal: 2048 kB"), None);
    }

    #[test]
    fn shares_and_levels() {
        assert_eq!(Share { used: 1, total: 4 }.percent(), 25.0);
        assert_eq!(Share { used: 1, total: 0 }.percent(), 0.0);
        assert_eq!(Level::of(80.0), Level::Ok);
        assert_eq!(Level::of(81.0), Level::Warn);
        assert_eq!(Level::of(96.0), Level::Bad);
    }
}
