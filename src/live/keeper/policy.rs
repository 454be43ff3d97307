//! What to do after a failure (pure).
//!
//! Whatever may pass is tried again without limit until the stop time; the delay doubles from 1 s to 60 s with jitter
//! and is set back by a good minute. A far end that cannot be reached at all is not bothered with ffmpegs: the keeper
//! knocks at its door every few seconds and starts ffmpeg when it opens.
//!
//! Permanent are: a file that is gone, an input that cannot be read twice in a row, no ffmpeg, and ten failures in a
//! row while nothing has ever proven that the target works (a wrong key, a wrong application, an ffmpeg that cannot
//! start). Once a stream was on air for ten seconds, no number of failures ends it before its time: the platform may be
//! down for hours. An unreachable far end never counts.

use std::time::Duration;

use super::plan::Timing;
use crate::text::Message;

/// What went wrong in one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// No connection to the far end, or its name is not known.
    Unreachable,
    /// The name leads to an inner address now.
    Inner(Message),
    /// The certificate of the far end is not good.
    Certificate,
    /// It closed the connection before anything was taken.
    Refused,
    /// It closed the connection.
    Dropped,
    /// Nothing moved for too long.
    Stalled,
    /// It takes what is sent, and says that nothing arrives.
    Unheard,
    /// It moved again, too far behind the clock.
    Behind,
    /// ffmpeg cannot read the item.
    Input(usize),
    /// The item's file is not there.
    Gone(usize),
    /// There is no such program, or it may not be run.
    NoProgram,
    /// The program ended in a way we do not know.
    Crashed(String),
}

impl Fault {
    /// What a person is told.
    pub(crate) fn message(&self, host: &str) -> Message {
        match self {
            Fault::Unreachable => Message::new("live-reason-unreachable").with("host", host),
            Fault::Inner(message) => message.clone(),
            Fault::Certificate => Message::new("live-reason-certificate").with("host", host),
            Fault::Refused => Message::new("live-reason-refused").with("host", host),
            Fault::Dropped => Message::new("live-reason-dropped").with("host", host),
            Fault::Stalled => Message::new("live-reason-stalled"),
            Fault::Unheard => Message::new("live-reason-unheard"),
            Fault::Behind => Message::new("live-reason-behind"),
            Fault::Input(item) => Message::new("live-reason-input").with("number", item + 1),
            Fault::Gone(item) => Message::new("live-reason-gone").with("number", item + 1),
            Fault::NoProgram => Message::new("live-reason-no-ffmpeg"),
            Fault::Crashed(how) => Message::new("live-reason-crashed").with("how", how.as_str()),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// Wait, maybe until the far end can be reached, then try again.
    Retry { delay: Duration, knock: bool },
    /// Give up.
    Fail(Message),
}

/// Memory of what has failed so far.
#[derive(Debug)]
pub(crate) struct Policy {
    timing: Timing,
    /// Failures since the last good minute.
    row: u32,
    /// Failures in a row that speak against the target itself.
    refusals: u32,
    unread: u32,
    proven: bool,
    knocked: bool,
}

impl Policy {
    pub(crate) fn new(timing: Timing, proven: bool) -> Policy {
        Policy { timing, row: 0, refusals: 0, unread: 0, proven, knocked: false }
    }

    /// Takes note of how long an attempt was on air, however it ended.
    pub(crate) fn was_on_air(&mut self, sending: Duration) {
        if sending >= Duration::from_millis(self.timing.good_ms) {
            self.row = 0;
        }
        if sending >= Duration::from_millis(self.timing.proven_ms) {
            self.proven = true;
        }
        if sending > Duration::ZERO {
            self.unread = 0;
        }
    }

    /// Decides. `random` is from 0 to 1.
    pub(crate) fn after(&mut self, fault: &Fault, host: &str, random: f64) -> Next {
        let unreachable = *fault == Fault::Unreachable;
        match fault {
            Fault::Gone(_) | Fault::NoProgram => return Next::Fail(fault.message(host)),
            Fault::Input(_) => {
                self.unread += 1;
                if self.unread >= 2 {
                    return Next::Fail(fault.message(host));
                }
            }
            Fault::Unreachable | Fault::Stalled | Fault::Unheard | Fault::Behind => {}
            Fault::Inner(_) | Fault::Certificate | Fault::Refused | Fault::Dropped | Fault::Crashed(_) => {
                self.refusals += 1;
                if !self.proven && self.refusals >= self.timing.refusals.max(1) {
                    let last = fault.message(host);
                    let message = Message::new("live-failed-refused").with("times", self.refusals).with("last", last);
                    return Next::Fail(message);
                }
            }
        }
        let doubled = self.timing.delay_first_ms.saturating_mul(1 << self.row.min(20));
        let delay = doubled.min(self.timing.delay_most_ms) as f64 * (0.8 + 0.4 * random.clamp(0.0, 1.0));
        self.row = self.row.saturating_add(1);
        // A door that opens for a knock and is shut again for ffmpeg is not believed twice in a row: some sinks take
        // one connection only, and the knock was it.
        let knock = matches!(fault, Fault::Stalled | Fault::Behind) || unreachable && !self.knocked;
        self.knocked = knock && unreachable;
        let delay = if knock { delay.min(self.timing.delay_first_ms as f64) } else { delay };
        // Where there is no door to knock at (SRT), or it was not believed, still come back soon.
        let delay = if unreachable { delay.min(self.timing.knock_ms as f64) } else { delay };
        Next::Retry { delay: Duration::from_millis(delay as u64), knock }
    }
}

/// What the lines on stderr point at.
#[derive(Debug, Default)]
pub(crate) struct Symptoms {
    unreachable: bool,
    certificate: bool,
    closed: bool,
    silent: bool,
    input: bool,
}

impl Symptoms {
    /// Takes note of a line. `urls` are the inputs.
    pub(crate) fn see(&mut self, line: &str) {
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if has(&["certificate", "tls_verify", "peer name"]) {
            self.certificate = true;
        }
        let about_input = has(&["] file:", "Error opening input", "Impossible to open 'file:"]);
        if about_input
            && has(&["Invalid data", "Invalid argument", "Permission denied", "Error opening input", "Impossible"])
            || has(&["moov atom not found", "matches no streams", "not on whitelist"])
        {
            self.input = true;
        } else if has(&[
            "Connection refused",
            "Cannot open connection",
            "No route to host",
            "Network is unreachable",
            "Failed to resolve",
            "Name or service not known",
            "Connection to srt://",
        ]) {
            self.unreachable = true;
        } else if has(&[
            "Broken pipe",
            "Connection reset",
            "Connection timed out",
            "Input/output error",
            "End of file",
            "Server error",
            "Error number -110",
            "Operation not permitted",
        ]) {
            self.closed = true;
            self.silent |= has(&["Connection timed out", "Error number -110"]);
        }
    }

    /// Reads the end of an ffmpeg that we did not end. `sent`: something was taken by the far end; `item`: what was
    /// played.
    pub(crate) fn fault(&self, sent: bool, how: String, item: usize) -> Fault {
        if sent {
            if self.silent {
                return Fault::Stalled;
            }
            return if self.closed || self.unreachable { Fault::Dropped } else { Fault::Crashed(how) };
        }
        if self.input {
            Fault::Input(item)
        } else if self.certificate {
            Fault::Certificate
        } else if self.unreachable {
            Fault::Unreachable
        } else if self.closed {
            Fault::Refused
        } else {
            Fault::Crashed(how)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: &mut Policy, fault: &Fault, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| match policy.after(fault, "h", 0.5) {
                Next::Retry { delay, .. } => delay.as_millis() as u64,
                Next::Fail(message) => panic!("{message}"),
            })
            .collect()
    }

    #[test]
    fn delays_double_to_a_minute_and_are_set_back_by_a_good_one() {
        let mut policy = Policy::new(Timing::default(), true);
        let expected = [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000];
        assert_eq!(delays(&mut policy, &Fault::Dropped, 8), expected);
        policy.was_on_air(Duration::from_secs(59));
        assert_eq!(delays(&mut policy, &Fault::Dropped, 1), [60000]);
        policy.was_on_air(Duration::from_secs(60));
        assert_eq!(delays(&mut policy, &Fault::Dropped, 2), [1000, 2000]);
    }

    #[test]
    fn jitter_is_a_fifth_either_way() {
        for (random, expected) in [(0.0, 800), (1.0, 1200)] {
            let next = Policy::new(Timing::default(), true).after(&Fault::Dropped, "h", random);
            assert_eq!(next, Next::Retry { delay: Duration::from_millis(expected), knock: false });
        }
    }

    #[test]
    fn a_key_that_never_worked_ends_the_run() {
        let mut policy = Policy::new(Timing::default(), false);
        delays(&mut policy, &Fault::Refused, 9);
        let Next::Fail(message) = policy.after(&Fault::Refused, "h", 0.5) else { panic!() };
        assert_eq!(message.id, "live-failed-refused");
    }

    #[test]
    fn a_target_that_worked_is_tried_for_ever() {
        let mut policy = Policy::new(Timing::default(), false);
        delays(&mut policy, &Fault::Refused, 9);
        policy.was_on_air(Duration::from_secs(10));
        delays(&mut policy, &Fault::Refused, 1000);
    }

    #[test]
    fn an_unreachable_far_end_never_counts_and_is_knocked_at() {
        let mut policy = Policy::new(Timing::default(), false);
        for _ in 0..500 {
            let Next::Retry { delay, .. } = policy.after(&Fault::Unreachable, "h", 0.5) else { panic!() };
            assert!(delay <= Duration::from_secs(3));
        }
        let mut policy = Policy::new(Timing::default(), false);
        let knocks: Vec<bool> = (0..4)
            .map(|_| matches!(policy.after(&Fault::Unreachable, "h", 0.5), Next::Retry { knock: true, .. }))
            .collect();
        assert_eq!(knocks, [true, false, true, false]);
    }

    #[test]
    fn what_cannot_pass_ends_the_run_at_once() {
        for fault in [Fault::Gone(0), Fault::NoProgram] {
            assert!(matches!(Policy::new(Timing::default(), true).after(&fault, "h", 0.5), Next::Fail(_)));
        }
        let mut policy = Policy::new(Timing::default(), true);
        delays(&mut policy, &Fault::Input(0), 1);
        assert!(matches!(policy.after(&Fault::Input(0), "h", 0.5), Next::Fail(_)));
    }

    #[test]
    fn the_words_of_ffmpeg_are_understood() {
        let crash = || Fault::Crashed("1".into());
        for (lines, sent, expected) in [
            (
                vec![
                    "[tcp @ 0x5] [error] Connection to tcp://127.0.0.1:1?tcp_nodelay=0 failed: Connection refused",
                    "[rtmp @ 0x5] [error] Cannot open connection tcp://127.0.0.1:1?tcp_nodelay=0",
                    "[error] rtmp://127.0.0.1:1: Connection refused",
                ],
                false,
                Fault::Unreachable,
            ),
            (vec!["[error] srt://127.0.0.1:29990: Input/output error"], false, Fault::Refused),
            (
                vec![
                    "[srt @ 0x55] [error] Connection to srt://127.0.0.1:29990 failed: Input/output error",
                    "[error] srt://127.0.0.1:29990: Input/output error",
                ],
                false,
                Fault::Unreachable,
            ),
            (vec!["[error] rtmp://127.0.0.1:21935/nope/key: Input/output error"], false, Fault::Refused),
            (vec!["[error] av_interleaved_write_frame(): Broken pipe"], false, Fault::Refused),
            (vec!["[error] av_interleaved_write_frame(): Broken pipe"], true, Fault::Dropped),
            (vec!["[error] file:g.mp4: Invalid data found when processing input"], false, Fault::Input(7)),
            (vec!["[in#0 @ 0x5] [error] Error opening input: Invalid data found"], false, Fault::Input(7)),
            (vec!["[fatal] Stream map '0:a:0' matches no streams."], false, Fault::Input(7)),
            (vec!["[concat @ 0x5] [error] Impossible to open 'file:/tmp/a.mp4'"], false, Fault::Input(7)),
            (
                vec!["[tls @ 0x5] [error] Unable to verify peer certificate: The certificate is NOT trusted."],
                false,
                Fault::Certificate,
            ),
            (vec!["[error] Unrecognized option 'x'."], false, crash()),
            (vec![], true, crash()),
        ] {
            let mut symptoms = Symptoms::default();
            lines.iter().for_each(|line| symptoms.see(line));
            assert_eq!(symptoms.fault(sent, "1".into(), 7), expected, "{lines:?}");
        }
    }
}
