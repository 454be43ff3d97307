//! What plays next, and where to go on after a failure (pure).

use super::plan::{Item, Order, Plan};

/// Going on after a failure, this much is shown again: it may have been lost on the way.
const REWIND: f64 = 2.0;

/// A shuffled list that is looped by one ffmpeg holds whole passes up to about this many entries, so that the order
/// differs from turn to turn and the list stays small.
const SHUFFLED_ENTRIES: usize = 200;

/// What one ffmpeg plays.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Places in the plan, in playing order; at least one.
    pub(crate) items: Vec<usize>,
    /// Again and again.
    pub(crate) repeat: bool,
    /// Seconds into the first item.
    pub(crate) seek: f64,
}

/// Where in the plan we are.
#[derive(Debug)]
pub(crate) struct Playlist {
    items: Vec<Item>,
    order: Order,
    seed: u64,
    repeat: bool,
    /// One ffmpeg may play all items.
    together: bool,
    pass: u64,
    /// Within the pass.
    place: usize,
    seek: f64,
}

impl Playlist {
    pub(crate) fn new(plan: &Plan) -> Playlist {
        let uniform = plan.items.windows(2).all(|pair| pair[0].has_audio() == pair[1].has_audio());
        Playlist {
            items: plan.items.clone(),
            order: plan.order,
            seed: plan.seed,
            repeat: plan.repeat,
            together: plan.items.len() == 1 || plan.together && uniform,
            pass: 0,
            place: 0,
            seek: 0.0,
        }
    }

    /// The next thing to play; nothing when all is through.
    pub(crate) fn step(&self) -> Option<Step> {
        let order = self.order_of(self.pass);
        if self.place >= order.len() {
            return None;
        }
        if !self.together {
            return Some(Step { items: vec![order[self.place]], repeat: false, seek: self.seek });
        }
        let mut items = order[self.place..].to_vec();
        if self.repeat {
            match self.order {
                Order::Listed => items.extend_from_slice(&order[..self.place]),
                Order::Shuffled => {
                    let mut pass = self.pass;
                    while items.len() + self.items.len() <= SHUFFLED_ENTRIES && self.items.len() > 1 {
                        pass += 1;
                        items.extend(self.order_of(pass));
                    }
                }
            }
        }
        Some(Step { items, repeat: self.repeat, seek: if self.repeat { 0.0 } else { self.seek } })
    }

    /// The step was played to its end.
    pub(crate) fn finished(&mut self) {
        self.seek = 0.0;
        if self.together {
            // A looped ffmpeg that ends all the same begins another pass.
            self.place = if self.repeat { 0 } else { self.items.len() };
            self.pass += u64::from(self.repeat);
            return;
        }
        self.place += 1;
        if self.place >= self.items.len() && self.repeat {
            self.place = 0;
            self.pass += 1;
        }
    }

    /// The step broke off after `out_time` seconds: the next one goes on there.
    pub(crate) fn broke_off(&mut self, step: &Step, out_time: f64) {
        let mut left = out_time + step.seek;
        if step.repeat {
            // One turn is enough to find the item; ffmpeg cannot seek in what it loops, so it begins anew.
            let turn: f64 = step.items.iter().map(|item| self.items[*item].duration()).sum();
            if self.items.len() == 1 || turn <= 0.0 {
                return;
            }
            left %= turn;
        }
        for (offset, item) in step.items.iter().enumerate() {
            let duration = self.items[*item].duration();
            // An item of which only the last second is missing is not begun again.
            if duration <= 0.0 || left + 1.0 < duration {
                self.advance(offset);
                self.seek = if step.repeat { 0.0 } else { (left - REWIND).max(0.0) };
                return;
            }
            left = (left - duration).max(0.0);
        }
        self.finished();
    }

    /// `out_time` is about one turn of the step, or more, or nobody knows.
    pub(crate) fn is_through(&self, step: &Step, out_time: f64) -> bool {
        let turn: f64 = step.items.iter().map(|item| self.items[*item].duration()).sum();
        out_time >= 0.9 * (turn - step.seek)
    }

    /// Forgets where in the item we were: going on there did not work.
    pub(crate) fn begin_item_again(&mut self) {
        self.seek = 0.0;
    }

    /// An item of the step, as a place in the plan, that plays after `out_time` seconds.
    pub(crate) fn playing(&self, step: &Step, out_time: f64) -> usize {
        let turn: f64 = step.items.iter().map(|item| self.items[*item].duration()).sum();
        let mut left = out_time + step.seek;
        if step.repeat && turn > 0.0 {
            left %= turn;
        }
        for item in &step.items {
            let duration = self.items[*item].duration();
            if duration <= 0.0 || left < duration {
                return *item;
            }
            left -= duration;
        }
        step.items.last().copied().unwrap_or_default()
    }

    fn advance(&mut self, places: usize) {
        self.place += places;
        while self.place >= self.items.len() && self.repeat {
            self.place -= self.items.len();
            self.pass += 1;
        }
    }

    fn order_of(&self, pass: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        if self.order == Order::Shuffled {
            mix(&mut order, self.seed, pass);
            // The same film twice running looks like a fault. The pass before may have been turned likewise, which
            // never moves its last item when there are more than two.
            if pass > 0 && order.len() > 2 {
                let mut before: Vec<usize> = (0..self.items.len()).collect();
                mix(&mut before, self.seed, pass - 1);
                if before.last() == order.first() {
                    order.swap(0, 1);
                }
            }
        }
        order
    }
}

/// Fisher and Yates, fed by splitmix64.
fn mix(order: &mut [usize], seed: u64, pass: u64) {
    let mut state = seed ^ pass.wrapping_mul(0xa076_1d64_78bd_642f);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    for last in (1..order.len()).rev() {
        order.swap(last, (next() % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::keeper::plan::tests::item;

    fn playlist(count: usize, together: bool, repeat: bool, order: Order) -> Playlist {
        Playlist {
            items: (0..count).map(|_| item("x.mp4", 10.0, true)).collect(),
            order,
            seed: 7,
            repeat,
            together: together || count == 1,
            pass: 0,
            place: 0,
            seek: 0.0,
        }
    }

    fn step(items: &[usize], repeat: bool, seek: f64) -> Option<Step> {
        Some(Step { items: items.to_vec(), repeat, seek })
    }

    #[test]
    fn one_file_in_a_loop_is_left_to_ffmpeg() {
        let mut playlist = playlist(1, false, true, Order::Listed);
        assert_eq!(playlist.step(), step(&[0], true, 0.0));
        let now = playlist.step().unwrap();
        playlist.broke_off(&now, 35.0);
        assert_eq!(playlist.step(), step(&[0], true, 0.0));
    }

    #[test]
    fn one_file_played_once_goes_on_where_it_broke_off() {
        let mut playlist = playlist(1, false, false, Order::Listed);
        let first = playlist.step().unwrap();
        playlist.broke_off(&first, 6.0);
        assert_eq!(playlist.step(), step(&[0], false, 4.0));
        let second = playlist.step().unwrap();
        playlist.broke_off(&second, 3.0);
        assert_eq!(playlist.step(), step(&[0], false, 5.0));
        playlist.begin_item_again();
        assert_eq!(playlist.step(), step(&[0], false, 0.0));
        playlist.finished();
        assert_eq!(playlist.step(), None);
    }

    #[test]
    fn unequal_items_are_played_one_by_one() {
        let mut once = playlist(2, false, false, Order::Listed);
        assert_eq!(once.step(), step(&[0], false, 0.0));
        once.finished();
        let second = once.step().unwrap();
        assert_eq!(second.items, [1]);
        once.broke_off(&second, 5.0);
        assert_eq!(once.step(), step(&[1], false, 3.0));
        once.finished();
        assert_eq!(once.step(), None);
        let mut again = playlist(2, false, true, Order::Listed);
        let order: Vec<usize> = (0..5)
            .map(|_| {
                let item = again.step().unwrap().items[0];
                again.finished();
                item
            })
            .collect();
        assert_eq!(order, [0, 1, 0, 1, 0]);
    }

    #[test]
    fn an_item_that_was_nearly_through_is_not_begun_again() {
        let mut playlist = playlist(2, false, false, Order::Listed);
        let first = playlist.step().unwrap();
        playlist.broke_off(&first, 9.8);
        assert_eq!(playlist.step(), step(&[1], false, 0.0));
        let mut together = self::playlist(3, true, false, Order::Listed);
        let all = together.step().unwrap();
        together.broke_off(&all, 19.5);
        assert_eq!(together.step(), step(&[2], false, 0.0));
    }

    #[test]
    fn equal_items_are_played_by_one_ffmpeg() {
        let mut once = playlist(3, true, false, Order::Listed);
        let all = once.step().unwrap();
        assert_eq!(Some(all.clone()), step(&[0, 1, 2], false, 0.0));
        assert_eq!(once.playing(&all, 15.0), 1);
        assert!(once.is_through(&all, 29.0) && !once.is_through(&all, 20.0));
        once.broke_off(&all, 15.0);
        assert_eq!(once.step(), step(&[1, 2], false, 3.0));
        once.finished();
        assert_eq!(once.step(), None);

        let mut looped = playlist(3, true, true, Order::Listed);
        let all = looped.step().unwrap();
        assert_eq!(Some(all.clone()), step(&[0, 1, 2], true, 0.0));
        looped.broke_off(&all, 45.0);
        assert_eq!(looped.step(), step(&[1, 2, 0], true, 0.0));
        let turned = looped.step().unwrap();
        assert_eq!(looped.playing(&turned, 41.0), 2);
        looped.broke_off(&turned, 25.0);
        assert_eq!(looped.step(), step(&[0, 1, 2], true, 0.0));
    }

    #[test]
    fn shuffled_passes_differ_hold_everything_and_never_repeat_at_once() {
        for seed in 0..50 {
            let playlist = Playlist { seed, ..playlist(5, true, true, Order::Shuffled) };
            let items = playlist.step().unwrap().items;
            assert_eq!(items.len(), SHUFFLED_ENTRIES);
            for pass in items.chunks(5) {
                let mut sorted = pass.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, [0, 1, 2, 3, 4]);
            }
            assert!(items.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(items.chunks(5).skip(1).any(|pass| pass != &items[..5]));
            assert_eq!(playlist.step().unwrap().items, items, "the same seed gives the same order");
        }
    }

    #[test]
    fn unknown_lengths_are_survived() {
        let mut playlist = playlist(2, true, true, Order::Listed);
        playlist.items = vec![item("a", 0.0, true), item("b", f64::NAN, true)];
        let step = playlist.step().unwrap();
        playlist.broke_off(&step, 100.0);
        assert_eq!(playlist.step().unwrap().items, [0, 1]);
        assert_eq!(playlist.playing(&step, 50.0), 0);
    }
}
