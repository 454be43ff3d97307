//! How evenly a stream goes, told from the times and flags of its packets alone.

/// How evenly a stream goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rhythm {
    /// Seconds.
    pub(super) keyframe_interval: Option<f64>,
    pub(super) constant_frame_rate: Option<bool>,
    pub(super) complete_times: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Packet {
    /// When it is shown.
    time: f64,
    /// When it is sent; that is not in the order of being shown.
    sent: f64,
    /// The time was told, not worked out.
    told: bool,
    key: bool,
    bytes: u64,
}

/// What a stretch of packets weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Walk {
    /// Time of the first packet.
    pub(super) start: f64,
    /// Where the last packet ends.
    pub(super) end: f64,
    /// Seconds that were read, in all stretches, by the time of sending: that is what a stream goes by.
    seconds: f64,
    bytes: u64,
    /// Sending takes as long as showing.
    in_step: bool,
}

/// Seconds that sending and showing may differ by: sixteen pictures that wait for another, five a second.
const OUT_OF_STEP: f64 = 3.2;

/// Of less than this many seconds no rate is told: one large frame is no stream.
const SHORTEST_WALK: f64 = 5.0;
/// The same where pictures are sent faster than they are shown: of what was read by the times of showing, little is left.
const SHORTEST_OUT_OF_STEP: f64 = 0.5;

impl Walk {
    pub(super) fn of(packets: &[Packet]) -> Option<Walk> {
        let span = |time: fn(&Packet) -> f64| {
            let times = packets.iter().map(time);
            times.fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), at| (first.min(at), last.max(at)))
        };
        let steps = (packets.len() as f64 - 1.0).max(1.0);
        let ((start, last), (first_sent, last_sent)) = (span(|packet| packet.time), span(|packet| packet.sent));
        let bytes = packets.iter().fold(0_u64, |sum, packet| sum.saturating_add(packet.bytes));
        let sending = last_sent - first_sent;
        // Pictures are sent in another order than they are shown in, but not at another pace.
        let in_step = ((last - start) - sending).abs() <= (sending * 0.25).max(OUT_OF_STEP);
        let walk =
            Walk { start, end: last + (last - start) / steps, seconds: sending + sending / steps, bytes, in_step };
        (!packets.is_empty()).then_some(walk)
    }

    /// This and another stretch further in.
    pub(super) fn and(self, further: Walk) -> Walk {
        Walk {
            start: self.start,
            end: self.end.max(further.end),
            seconds: self.seconds + further.seconds,
            bytes: self.bytes.saturating_add(further.bytes),
            in_step: self.in_step && further.in_step,
        }
    }

    /// Bits per second where it was read.
    pub(super) fn rate(self) -> f64 {
        let least = if self.in_step { SHORTEST_WALK } else { SHORTEST_OUT_OF_STEP };
        self.bytes as f64 * 8.0 / self.seconds.max(least)
    }
}

impl Default for Walk {
    /// Through nothing.
    fn default() -> Self {
        Walk { start: 0.0, end: 0.0, seconds: 0.0, bytes: 0, in_step: true }
    }
}

impl Default for Rhythm {
    /// Of nothing.
    fn default() -> Self {
        Rhythm { keyframe_interval: None, constant_frame_rate: None, complete_times: true }
    }
}

impl Rhythm {
    pub(super) fn of(packets: &[Packet]) -> Rhythm {
        let mut times: Vec<f64> = packets.iter().map(|packet| packet.time).collect();
        times.sort_by(f64::total_cmp);
        let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_by(f64::total_cmp);
        let usual = steps.get(steps.len() / 2).copied();
        let constant_frame_rate = usual.map(|usual| {
            // Containers round to milliseconds, both ends of a step.
            let tolerance = (usual * 0.1).max(0.0021);
            let odd = steps.iter().filter(|step| (**step - usual).abs() > tolerance).count();
            odd * 100 <= steps.len()
        });

        let mut keys: Vec<f64> = packets.iter().filter(|packet| packet.key).map(|packet| packet.time).collect();
        keys.sort_by(f64::total_cmp);
        // What comes after the last keyframe counts too: it is at least that long until the next.
        let end = times.last().zip(usual).map(|(end, usual)| end + usual);
        let starts: Vec<f64> = if keys.is_empty() { times.first().copied().into_iter().collect() } else { keys };
        let keyframe_interval = end.and_then(|end| {
            starts.iter().zip(starts.iter().skip(1).chain([&end])).map(|(from, to)| to - from).max_by(f64::total_cmp)
        });
        let complete_times = packets.iter().all(|packet| packet.told);
        Rhythm { keyframe_interval: keyframe_interval.map(milliseconds), constant_frame_rate, complete_times }
    }

    pub(super) fn worst(self, other: Rhythm) -> Rhythm {
        let interval = [self.keyframe_interval, other.keyframe_interval].into_iter().flatten().max_by(f64::total_cmp);
        let constant = [self.constant_frame_rate, other.constant_frame_rate].into_iter().flatten().min();
        Rhythm {
            keyframe_interval: interval,
            constant_frame_rate: constant,
            complete_times: self.complete_times && other.complete_times,
        }
    }
}

fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Reads `pts_time=1.5|dts_time=1.5|flags=K_` lines. Where no time is told, frames are counted.
pub(super) fn packets(text: &str, frame_rate: f64) -> Vec<Packet> {
    let lines = text.lines().filter(|line| line.contains("flags="));
    lines
        .enumerate()
        .filter_map(|(count, line)| {
            let field = |name: &str| line.split('|').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            let time = |name| field(name).and_then(|time| time.parse::<f64>().ok());
            let (shown, sent) = (time("pts_time"), time("dts_time"));
            let time = shown.or(sent).or_else(|| (frame_rate > 0.0).then(|| count as f64 / frame_rate))?;
            let key = field("flags").is_some_and(|flags| flags.starts_with('K'));
            let bytes = field("size").and_then(|size| size.parse().ok()).unwrap_or(0);
            Some(Packet { time, sent: sent.unwrap_or(time), told: shown.is_some(), key, bytes })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: f64, key: bool) -> Packet {
        Packet { time, sent: time, told: true, key, bytes: 1000 }
    }

    fn steady(seconds: f64, rate: f64, every: usize) -> Vec<Packet> {
        (0..(seconds * rate) as usize).map(|count| at(count as f64 / rate, count % every == 0)).collect()
    }

    #[test]
    fn the_longest_wait_for_a_keyframe_counts() {
        assert_eq!(Rhythm::of(&steady(20.0, 30.0, 60)).keyframe_interval, Some(2.0));
        assert_eq!(Rhythm::of(&steady(10.0, 30.0, 240)).keyframe_interval, Some(8.0));
        assert_eq!(Rhythm::of(&steady(60.0, 25.0, 1_000_000)).keyframe_interval, Some(60.0));
        assert_eq!(Rhythm::of(&[]).keyframe_interval, None);
    }

    #[test]
    fn packets_out_of_order_are_even_all_the_same() {
        let mut packets = steady(4.0, 30.0, 60);
        for chunk in packets.chunks_mut(4) {
            chunk[1..].reverse();
        }
        assert_eq!(
            Rhythm::of(&packets),
            Rhythm { keyframe_interval: Some(2.0), constant_frame_rate: Some(true), complete_times: true }
        );
    }

    #[test]
    fn rounding_to_milliseconds_is_still_constant_and_gaps_are_not() {
        let mut packets = steady(10.0, 59.94, 120);
        for packet in &mut packets {
            packet.time = milliseconds(packet.time);
        }
        assert_eq!(Rhythm::of(&packets).constant_frame_rate, Some(true));
        let uneven: Vec<Packet> =
            packets.into_iter().enumerate().filter(|(at, _)| at % 7 != 3).map(|(_, it)| it).collect();
        assert_eq!(Rhythm::of(&uneven).constant_frame_rate, Some(false));
    }

    #[test]
    fn packets_without_times_are_counted() {
        let text = "pts_time=N/A|dts_time=N/A|flags=K__\npts_time=N/A|dts_time=N/A|flags=___\n\nnonsense\n";
        assert_eq!(
            packets(text, 25.0),
            [
                Packet { time: 0.0, sent: 0.0, told: false, key: true, bytes: 0 },
                Packet { time: 0.04, sent: 0.04, told: false, key: false, bytes: 0 }
            ]
        );
        assert_eq!(packets(text, 0.0), []);
        let text = "pts_time=N/A|dts_time=1.500000|size=700|flags=K_\n";
        assert_eq!(packets(text, 25.0), [Packet { time: 1.5, sent: 1.5, told: false, key: true, bytes: 700 }]);
    }

    #[test]
    fn what_was_read_has_a_rate() {
        let walk = Walk::of(&steady(20.0, 25.0, 50)).unwrap();
        assert!((walk.end - 20.0).abs() < 0.001 && (walk.rate() - 200_000.0).abs() < 1.0, "{walk:?}");
        assert!((walk.and(walk).rate() - 200_000.0).abs() < 1.0);
        let still = [Packet { bytes: 50_000, ..at(3.0, true) }];
        assert_eq!(Walk::of(&still).map(Walk::rate), Some(80_000.0));
        assert_eq!(Walk::of(&[]), None);
    }

    #[test]
    fn what_is_sent_at_another_pace_than_shown_is_out_of_step() {
        let mut packets = steady(20.0, 25.0, 50);
        // Shown half a second later, in another order: as every film with pictures that wait for others.
        for (count, packet) in packets.iter_mut().enumerate() {
            packet.time += 0.5 + if count % 4 == 1 { 0.12 } else { -0.04 };
        }
        let walk = Walk::of(&packets).unwrap();
        assert!(walk.in_step && (walk.rate() - 200_000.0).abs() < 1.0, "{walk:?}");
        for packet in &mut packets {
            packet.time *= 100.0;
        }
        let walk = Walk::of(&packets).unwrap();
        assert!(!walk.in_step && (walk.rate() - 200_000.0).abs() < 1.0, "{walk:?}");
    }
}
