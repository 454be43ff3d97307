//! What ffmpeg says about itself with `-progress`, and whether it moves (pure).

use std::time::Duration;

/// One report of `-progress`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Stream time sent, in microseconds.
    pub out_time_us: Option<u64>,
    /// Bytes written by this ffmpeg.
    pub total_size: Option<u64>,
    /// Against real time; 1 is right.
    pub speed: Option<f32>,
    /// ffmpeg says that it has finished.
    pub end: bool,
}

/// Collects `key=value` lines into [`Report`]s.
#[derive(Debug, Default)]
pub struct Parser {
    pending: Report,
}

impl Parser {
    /// Takes one line; gives a report when the line closes one. What cannot be read is left out.
    pub fn line(&mut self, line: &str) -> Option<Report> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        match key.trim() {
            // Before the first packet some versions print a huge negative number.
            "out_time_us" => self.pending.out_time_us = value.parse().ok(),
            "total_size" => self.pending.total_size = value.parse().ok(),
            "speed" => {
                self.pending.speed =
                    value.trim_end_matches('x').trim().parse().ok().filter(|speed: &f32| speed.is_finite());
            }
            "progress" => {
                let mut report = std::mem::take(&mut self.pending);
                report.end = value == "end";
                return Some(report);
            }
            _ => {}
        }
        None
    }
}

/// Cuts a stream of bytes into lines at `\n` and `\r`. Of a line that does not end, only the first
/// [`Lines::LONGEST`] bytes are kept.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Bytes of one line that are looked at.
    pub const LONGEST: usize = 4096;

    /// Takes the next bytes and hands every complete line to `each`. Empty lines are skipped.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.keep(&rest[..end]);
            self.flush(&mut each);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// Hands out what stands after the last line end.
    pub fn flush(&mut self, mut each: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            each(&String::from_utf8_lossy(&self.partial));
            self.partial.clear();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = Self::LONGEST - self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Tells a stream that moves from one that only talks: ffmpeg 7 goes on reporting while a send is stuck.
#[derive(Debug)]
pub struct Watchdog {
    stall: Duration,
    behind: Duration,
    out_time_us: u64,
    total_size: u64,
    advanced_at: Duration,
    /// Smallest distance of stream time behind the clock seen so far, in µs: the cost of connecting.
    nearest_us: Option<i64>,
}

/// What a report means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// Nothing new was sent.
    Still,
    /// Bytes or stream time were added.
    Advanced,
    /// It moves again after a standstill, but too far behind the clock: ffmpeg would now catch up in a burst.
    Behind,
}

impl Watchdog {
    /// `stall` without an advance is too long; after a standstill, `behind` the clock is too late.
    pub fn new(stall: Duration, behind: Duration) -> Self {
        Watchdog { stall, behind, out_time_us: 0, total_size: 0, advanced_at: Duration::ZERO, nearest_us: None }
    }

    /// Looks at a report that came `at` this long after the start.
    pub fn see(&mut self, at: Duration, report: &Report) -> Movement {
        let out_time_us = report.out_time_us.unwrap_or(0);
        let total_size = report.total_size.unwrap_or(0);
        if out_time_us <= self.out_time_us && total_size <= self.total_size {
            return Movement::Still;
        }
        let paused = at.saturating_sub(self.advanced_at);
        self.advanced_at = at;
        self.total_size = self.total_size.max(total_size);
        if out_time_us <= self.out_time_us {
            return Movement::Advanced;
        }
        self.out_time_us = out_time_us;
        let distance_us = at.as_micros() as i64 - out_time_us as i64;
        let nearest_us = self.nearest_us.map_or(distance_us, |nearest| nearest.min(distance_us));
        self.nearest_us = Some(nearest_us);
        let behind_us = self.behind.as_micros() as i64;
        // Three quarters of it as the mark of a standstill, which is more than the time between two reports: a slow but
        // steady uplink is not cured by connecting again.
        if paused >= self.behind * 3 / 4 && distance_us - nearest_us > behind_us {
            return Movement::Behind;
        }
        Movement::Advanced
    }

    /// Something has been sent at all.
    pub fn moved(&self) -> bool {
        self.out_time_us > 0 || self.total_size > 0
    }

    /// When it must have advanced again, counted from the start.
    pub fn deadline(&self) -> Duration {
        self.advanced_at + self.stall
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: &str = "frame=51\nfps=25.34\nstream_0_0_q=-1.0\nbitrate= 776.2kbits/s\ntotal_size=198325\n\
        out_time_us=2044000\nout_time_ms=2044000\nout_time=00:00:02.044000\ndup_frames=0\ndrop_frames=0\nspeed=1.02x\n\
        progress=continue\n";

    fn parse(bytes: &[u8], cuts: &[usize]) -> Vec<Report> {
        let (mut lines, mut parser, mut reports) = (Lines::default(), Parser::default(), Vec::new());
        let mut rest = bytes;
        for cut in cuts {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            lines.feed(now, |line| reports.extend(parser.line(line)));
            rest = later;
        }
        lines.feed(rest, |line| reports.extend(parser.line(line)));
        lines.flush(|line| reports.extend(parser.line(line)));
        reports
    }

    #[test]
    fn a_report_of_ffmpeg_is_read() {
        let expected =
            Report { out_time_us: Some(2_044_000), total_size: Some(198_325), speed: Some(1.02), end: false };
        assert_eq!(parse(BLOCK.as_bytes(), &[]), [expected]);
    }

    #[test]
    fn values_that_are_not_there_are_left_out() {
        let text = b"total_size=N/A\nout_time_us=-9223372036854775808\nspeed=N/A\nprogress=end\n";
        assert_eq!(parse(text, &[]), [Report { end: true, ..Report::default() }]);
        assert_eq!(parse(b"speed=   1e99x\nprogress=continue\r\n", &[])[0].speed, None);
    }

    proptest! {
        #[test]
        fn reports_do_not_depend_on_how_the_bytes_arrive(cuts in proptest::collection::vec(0usize..90, 0..40), count in 1usize..6) {
            let text = BLOCK.repeat(count);
            prop_assert_eq!(parse(text.as_bytes(), &cuts), parse(text.as_bytes(), &[]));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..9000), cuts in proptest::collection::vec(0usize..900, 0..9)) {
            let mut lines = Lines::default();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                // A byte that is no UTF-8 becomes a mark of three.
                lines.feed(now, |line| assert!(line.len() <= 3 * Lines::LONGEST));
                rest = later;
            }
            parse(&bytes, &[]);
        }
    }

    fn report(seconds: f64, size: u64) -> Report {
        Report { out_time_us: Some((seconds * 1e6) as u64), total_size: Some(size), ..Report::default() }
    }

    fn watchdog() -> Watchdog {
        Watchdog::new(Duration::from_secs(25), Duration::from_secs(10))
    }

    #[test]
    fn talking_is_not_moving() {
        let mut watchdog = watchdog();
        let second = Duration::from_secs;
        assert_eq!(watchdog.see(second(1), &report(0.0, 0)), Movement::Still);
        assert!(!watchdog.moved());
        assert_eq!(watchdog.see(second(2), &report(0.5, 100)), Movement::Advanced);
        for at in 3..20 {
            assert_eq!(watchdog.see(second(at), &report(0.5, 100)), Movement::Still);
        }
        assert_eq!(watchdog.deadline(), second(27));
        assert_eq!(watchdog.see(second(20), &report(0.5, 101)), Movement::Advanced);
        assert_eq!(watchdog.deadline(), second(45));
    }

    #[test]
    fn a_slow_but_steady_uplink_is_left_alone() {
        let mut watchdog = watchdog();
        for number in 1..60_u32 {
            let report = report(f64::from(number) * 4.0, 1000 * u64::from(number));
            let at = Duration::from_millis(5200 * u64::from(number));
            assert_eq!(watchdog.see(at, &report), Movement::Advanced);
        }
    }

    #[test]
    fn after_a_standstill_it_must_not_be_far_behind() {
        let second = Duration::from_secs;
        let mut short = watchdog();
        short.see(second(5), &report(4.0, 100));
        assert_eq!(short.see(second(14), &report(4.5, 110)), Movement::Advanced);
        let mut long = watchdog();
        long.see(second(5), &report(4.0, 100));
        assert_eq!(long.see(second(17), &report(4.5, 110)), Movement::Behind);
    }

    #[test]
    fn a_slow_uplink_alone_is_not_cured_by_connecting_again() {
        let mut watchdog = watchdog();
        for at in 1..200u64 {
            let movement = watchdog.see(Duration::from_secs(at), &report(at as f64 * 0.8, at * 100));
            assert_eq!(movement, Movement::Advanced);
        }
    }
}
