//! Whether the box can carry one more stream (E6): by memory and by uplink.
//!
//! A refusal says what this stream needs and never what is in use: from that one could compute what others send.

use super::board::Load;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::text::Message;

/// Memory of one encoder with its keeper, in MiB: 54 were measured for a 720p copy, and the rest is margin.
pub const ENCODER_MIB: u64 = 60;
/// Memory that is not for streams, in MiB, where the settings do not say how much is.
const OTHERS_MIB: u64 = 512;

/// What streams may take of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// In MiB.
    pub memory_mib: u64,
    /// In bits per second.
    pub uplink: u64,
}

impl Capacity {
    /// From the settings, and from the box where they do not say.
    pub fn of(config: &Config) -> Capacity {
        let live = &config.live;
        let memory_mib = live.memory_mib.unwrap_or_else(|| box_memory_mib().saturating_sub(OTHERS_MIB));
        Capacity { memory_mib, uplink: (live.uplink_mbit * 1e6) as u64 }
    }

    /// How many encoders the memory is for.
    pub fn encoders(&self) -> u64 {
        self.memory_mib / ENCODER_MIB
    }

    /// Whether `more` fits beside what is `booked`.
    ///
    /// # Errors
    /// [`Error::Conflict`] that says what is needed, and whether there could ever be room.
    pub fn admit(&self, booked: Load, more: Load) -> Result<()> {
        if booked.encoders + more.encoders > self.encoders() {
            let ever = more.encoders <= self.encoders();
            let refusal = if ever { Message::new("live-no-memory") } else { Message::new("live-never-memory") };
            return Err(Error::Conflict(refusal.with("needed", more.encoders * ENCODER_MIB)));
        }
        if booked.bitrate + more.bitrate > self.uplink {
            let ever = more.bitrate <= self.uplink;
            let refusal = if ever { Message::new("live-no-uplink") } else { Message::new("live-never-uplink") };
            return Err(Error::Conflict(refusal.with("needed", mbit(more.bitrate))));
        }
        Ok(())
    }
}

/// Mbit/s with one decimal.
fn mbit(bits: u64) -> f64 {
    (bits as f64 / 1e5).round() / 10.0
}

/// The box's memory; 2 GiB where it does not tell.
fn box_memory_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map_or(2048, |kib| kib >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Load = Load { encoders: 1, bitrate: 2_500_000 };

    fn booked(count: u64) -> Load {
        Load { encoders: count, bitrate: count * STREAM.bitrate }
    }

    fn refusal(capacity: Capacity, booked: Load, more: Load) -> String {
        let refused = capacity.admit(booked, more).unwrap_err();
        assert_eq!(refused.status(), 409);
        refused.message().to_string()
    }

    #[test]
    fn the_twenty_first_stream_of_a_small_box_is_refused_with_what_it_needs() {
        let capacity = Capacity { memory_mib: 1200, uplink: 1_000_000_000 };
        assert!(capacity.admit(booked(19), STREAM).is_ok());
        let text = refusal(capacity, booked(20), STREAM);
        assert!(text.contains("60 MiB") && !text.contains("1,200") && !text.contains("1200"), "{text}");
        let never = refusal(capacity, Load::default(), Load { encoders: 21, ..STREAM });
        assert!(never.contains("more memory than"), "{never}");
    }

    #[test]
    fn an_uplink_that_is_full_refuses_with_what_is_needed() {
        let capacity = Capacity { memory_mib: 10_000, uplink: 10_000_000 };
        assert!(capacity.admit(booked(3), STREAM).is_ok());
        let text = refusal(capacity, booked(4), STREAM);
        assert!(text.contains("2.5 Mbit/s") && !text.contains("10"), "{text}");
        let never = refusal(capacity, Load::default(), Load { bitrate: 11_000_000, ..STREAM });
        assert!(never.contains("more than this server can send"), "{never}");
    }
}
