//! What of the platform's answers is getting on, and what only looks like it: whoever gets on has its tries forgotten, so
//! nothing may count that could be said for ever.

use std::time::Duration;

use super::Upload;

/// A part that brings less is one in vain, but for the last one: parts are multiples of it.
const LEAST: u64 = 256 << 10;
/// The largest part that can be set: so much may have arrived without an answer, whatever is set now.
const LARGEST_PART: u64 = 64 << 20;
/// Before another session: each one costs a sixth of a usual day's units. After these it is given up.
const BETWEEN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// What it means that so much is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gain {
    /// It gets on.
    On,
    /// It does not.
    Nothing,
    /// That cannot be: more than was sent.
    Odd,
}

impl Upload {
    /// What it means that `there` bytes are there after a part of `part` bytes, or after a mere question.
    pub(super) fn gain(&self, there: u64, part: Option<u64>) -> Gain {
        let before = self.sent.max(self.reached);
        let most = match part {
            Some(part) => before.max(self.sent.saturating_add(part)),
            None => before.saturating_add(LARGEST_PART),
        };
        if there > most.min(self.total) {
            return Gain::Odd;
        }
        let least = LEAST.min(self.total.saturating_sub(self.reached)).max(1);
        if there >= self.reached.saturating_add(least) { Gain::On } else { Gain::Nothing }
    }

    /// How long to wait before another session; none where there were enough.
    pub(super) fn before_another_session(&self) -> Option<Duration> {
        BETWEEN.get(self.sessions.saturating_sub(1) as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::youtube::upload::{UploadState, UploadTexts};

    fn upload(total: u64, sent: u64, reached: u64) -> Upload {
        Upload {
            video_id: Uuid::nil(),
            channel_id: Uuid::nil(),
            texts: UploadTexts::default(),
            state: UploadState::Sending,
            total,
            sent,
            session: None,
            sessions: 1,
            reached,
            platform_id: None,
            pictured: true,
            listed: true,
            tries: 0,
            not_before: None,
            trouble: None,
            ended_at: None,
            account: None,
        }
    }

    #[test]
    fn only_more_than_ever_is_getting_on_and_crumbs_are_not() {
        let (part, total) = (1 << 20, 10 << 20);
        let begun = upload(total, 2 << 20, 2 << 20);
        assert_eq!(begun.gain(3 << 20, Some(part)), Gain::On);
        assert_eq!(begun.gain((2 << 20) + LEAST, Some(part)), Gain::On);
        for there in [0, 1 << 20, 2 << 20, (2 << 20) + 1, (2 << 20) + LEAST - 1] {
            assert_eq!(begun.gain(there, Some(part)), Gain::Nothing, "{there}");
            assert_eq!(begun.gain(there, None), Gain::Nothing, "{there}");
        }
        // It went back: what had been there before is nothing new.
        let back = upload(total, 1 << 20, 4 << 20);
        assert_eq!(back.gain(2 << 20, Some(part)), Gain::Nothing);
        assert_eq!(back.gain(4 << 20, Some(part)), Gain::Nothing);
        // The rest may be small, and is there once.
        let last = upload(total, total - 7, total - 7);
        assert_eq!((last.gain(total - 1, Some(7)), last.gain(total, Some(7))), (Gain::Nothing, Gain::On));
        let whole = upload(total, total, total);
        assert_eq!((whole.gain(total, None), whole.gain(0, None)), (Gain::Nothing, Gain::Nothing));
    }

    #[test]
    fn more_than_was_sent_is_odd() {
        let (part, total) = (1 << 20, 200 << 20);
        let begun = upload(total, 2 << 20, 2 << 20);
        assert_eq!(begun.gain((3 << 20) + 1, Some(part)), Gain::Odd);
        assert_eq!(begun.gain(total, Some(part)), Gain::Odd);
        assert_eq!(begun.gain(u64::MAX, None), Gain::Odd);
        // A part may have arrived before a crash, and was not written down.
        assert_eq!(begun.gain((2 << 20) + LARGEST_PART, None), Gain::On);
        assert_eq!(begun.gain((2 << 20) + LARGEST_PART + 1, None), Gain::Odd);
    }

    #[test]
    fn the_third_session_is_the_last_one_and_waits_grow() {
        let waits =
            [1, 2, 3, 4, u32::MAX].map(|sessions| Upload { sessions, ..upload(1, 0, 0) }.before_another_session());
        assert!(waits[0] < waits[1] && waits[0].is_some());
        assert_eq!(waits[2..], [None, None, None]);
    }
}
