//! Whether the box can carry one more stream (E6): by memory, by uplink, and by processor where a picture has to be
//! encoded again.
//!
//! A refusal says what this stream needs and never what is in use: from that one could compute what others send.

use super::board::Load;
use super::overlay::{Overlay, Price};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::media::Facts;
use crate::text::Message;

/// Memory of one encoder with its keeper, in MiB: 54 were measured for a 720p copy, and the rest is margin.
pub const ENCODER_MIB: u64 = 60;
/// Memory that is not for streams, in MiB, where the settings do not say how much is.
const OTHERS_MIB: u64 = 512;

/// What the heaviest of some videos asks of whoever sends or decodes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Bits a second.
    pub bitrate: u64,
    /// Of a frame.
    pub pixels: u64,
    /// Pixels a second.
    pub pixel_rate: u64,
}

impl Weight {
    pub fn of(facts: &Facts) -> Weight {
        let pixels = u64::from(facts.video.width) * u64::from(facts.video.height);
        Weight { bitrate: facts.bitrate, pixels, pixel_rate: (pixels as f64 * facts.video.frame_rate) as u64 }
    }

    /// The larger of each.
    pub fn most(self, other: Weight) -> Weight {
        Weight {
            bitrate: self.bitrate.max(other.bitrate),
            pixels: self.pixels.max(other.pixels),
            pixel_rate: self.pixel_rate.max(other.pixel_rate),
        }
    }
}

impl Load {
    /// What one encoder takes.
    pub(crate) fn of_one(overlay: Option<&Overlay>, weight: Weight) -> Load {
        match overlay {
            Some(overlay) => {
                let Price { cpu, memory_mib, bitrate } = Price::for_source(overlay.profile, weight);
                Load { encoders: 1, bitrate, cpu, extra_mib: memory_mib }
            }
            None => Load { encoders: 1, bitrate: weight.bitrate, ..Load::default() },
        }
    }
}

/// What the box has too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    Memory,
    Cpu,
    Uplink,
}

impl Lack {
    const ALL: [Lack; 3] = [Lack::Memory, Lack::Cpu, Lack::Uplink];

    /// How much of it something takes, in the unit of [`Capacity`].
    pub fn of(self, load: Load) -> u64 {
        match self {
            Lack::Memory => load.encoders * ENCODER_MIB + load.extra_mib,
            Lack::Cpu => load.cpu,
            Lack::Uplink => load.bitrate,
        }
    }

    /// As people are told: MiB, cores, Mbit/s.
    pub fn told(self, load: Load) -> f64 {
        match self {
            Lack::Memory => self.of(load) as f64,
            Lack::Cpu => cores(load.cpu),
            Lack::Uplink => mbit(load.bitrate),
        }
    }
}

/// What streams may take of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// In MiB.
    pub memory_mib: u64,
    /// In bits per second.
    pub uplink: u64,
    /// For pictures that are encoded again, in thousandths of a core.
    pub cpu: u64,
}

impl Capacity {
    /// From the settings, and from the box where they do not say.
    pub fn of(config: &Config) -> Capacity {
        let live = &config.live;
        let memory_mib = live.memory_mib.unwrap_or_else(|| box_memory_mib().saturating_sub(OTHERS_MIB));
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        Capacity { memory_mib, uplink: (live.uplink_mbit * 1e6) as u64, cpu: cores * u64::from(live.cpu_percent) * 10 }
    }

    /// How many encoders the memory is for.
    pub fn encoders(&self) -> u64 {
        self.memory_mib / ENCODER_MIB
    }

    fn has(&self, what: Lack) -> u64 {
        match what {
            Lack::Memory => self.memory_mib,
            Lack::Cpu => self.cpu,
            Lack::Uplink => self.uplink,
        }
    }

    /// What there is too little of for `more` beside what is `booked`. What takes none of something is not refused for
    /// what others take of it: a stream by copy goes beside those that are encoded.
    pub(crate) fn lack(&self, booked: Load, more: Load) -> Option<Lack> {
        let short = |what: &Lack| what.of(more) > 0 && what.of(booked) + what.of(more) > self.has(*what);
        Lack::ALL.into_iter().find(short)
    }

    /// Whether `more` fits beside what is `booked`.
    ///
    /// # Errors
    /// [`Error::Conflict`] that says what is needed, and whether there could ever be room.
    pub fn admit(&self, booked: Load, more: Load) -> Result<()> {
        let Some(what) = self.lack(booked, more) else { return Ok(()) };
        let ever = what.of(more) <= self.has(what);
        let refusal = match (what, ever) {
            (Lack::Memory, true) => Message::new("live-no-memory"),
            (Lack::Memory, false) => Message::new("live-never-memory"),
            (Lack::Cpu, true) => Message::new("live-no-cpu"),
            (Lack::Cpu, false) => Message::new("live-never-cpu"),
            (Lack::Uplink, true) => Message::new("live-no-uplink"),
            (Lack::Uplink, false) => Message::new("live-never-uplink"),
        };
        Err(Error::Conflict(refusal.with("needed", what.told(more))))
    }
}

/// Processor cores, with one decimal.
pub fn cores(thousandths: u64) -> f64 {
    (thousandths as f64 / 100.0).round() / 10.0
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

    const STREAM: Load = Load { encoders: 1, bitrate: 2_500_000, cpu: 0, extra_mib: 0 };
    const OVERLAY: Load = Load { encoders: 1, bitrate: 2_500_000, cpu: 700, extra_mib: 200 };
    const LARGE: Capacity = Capacity { memory_mib: 100_000, uplink: 1_000_000_000, cpu: 100_000 };

    fn booked(count: u64) -> Load {
        Load { encoders: count, bitrate: count * STREAM.bitrate, ..Load::default() }
    }

    fn refusal(capacity: Capacity, booked: Load, more: Load) -> String {
        let refused = capacity.admit(booked, more).unwrap_err();
        assert_eq!(refused.status(), 409);
        refused.message().to_string()
    }

    #[test]
    fn the_twenty_first_stream_of_a_small_box_is_refused_with_what_it_needs() {
        let capacity = Capacity { memory_mib: 1200, ..LARGE };
        assert!(capacity.admit(booked(19), STREAM).is_ok());
        let text = refusal(capacity, booked(20), STREAM);
        assert!(text.contains("60 MiB") && !text.contains("1,200") && !text.contains("1200"), "{text}");
        let never = refusal(capacity, Load::default(), Load { encoders: 21, ..STREAM });
        assert!(never.contains("more memory than"), "{never}");
    }

    #[test]
    fn an_uplink_that_is_full_refuses_with_what_is_needed() {
        let capacity = Capacity { uplink: 10_000_000, ..LARGE };
        assert!(capacity.admit(booked(3), STREAM).is_ok());
        let text = refusal(capacity, booked(4), STREAM);
        assert!(text.contains("2.5 Mbit/s") && !text.contains("10"), "{text}");
        let never = refusal(capacity, Load::default(), Load { bitrate: 11_000_000, ..STREAM });
        assert!(never.contains("more than this server can send"), "{never}");
    }

    #[test]
    fn an_overlay_takes_processor_and_memory_and_what_does_not_fit_says_so() {
        let capacity = Capacity { cpu: 1500, ..LARGE };
        let two = Load { cpu: 1400, ..booked(2) };
        assert!(capacity.admit(Load { cpu: 700, ..booked(1) }, OVERLAY).is_ok());
        let text = refusal(capacity, two, OVERLAY);
        assert!(text.contains("0.7") && !text.contains("1.4"), "{text}");
        assert!(capacity.admit(two, STREAM).is_ok(), "a copy needs none");
        let never = refusal(capacity, Load::default(), Load { cpu: 1600, ..OVERLAY });
        assert!(never.contains("1.6") && never.contains("more processor than"), "{never}");
        let small = Capacity { memory_mib: 500, ..LARGE };
        assert!(small.admit(booked(4), OVERLAY).is_ok());
        assert!(refusal(small, booked(5), OVERLAY).contains("260 MiB"));
    }
}
