//! Places for work that takes much of the machine, given to tenants in turns: whoever brings two hundred files waits
//! for their own files, not the others for them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::auth::Tenant;
use crate::error::{Error, Result};

/// What waits, by whom; whoever was served goes to the end of the line.
#[derive(Debug)]
struct Line<K, T> {
    waiting: VecDeque<(K, VecDeque<T>)>,
}

impl<K: PartialEq, T> Line<K, T> {
    fn push(&mut self, whose: K, what: T) {
        match self.waiting.iter_mut().find(|(other, _)| *other == whose) {
            Some((_, things)) => things.push_back(what),
            None => self.waiting.push_back((whose, VecDeque::from([what]))),
        }
    }

    fn next(&mut self) -> Option<T> {
        let (whose, mut things) = self.waiting.pop_front()?;
        let next = things.pop_front();
        if !things.is_empty() {
            self.waiting.push_back((whose, things));
        }
        next
    }
}

struct State {
    free: usize,
    line: Line<Tenant, oneshot::Sender<Place>>,
}

/// A number of places.
#[derive(Clone)]
pub(crate) struct Turns {
    state: Arc<Mutex<State>>,
}

/// A place that was given; free again when dropped.
pub(crate) struct Place {
    of: Option<Turns>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(turns) = self.of.take() {
            turns.give_back();
        }
    }
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        write!(formatter, "{} free, {} tenants waiting", state.free, state.line.waiting.len())
    }
}

impl Turns {
    pub fn new(places: usize) -> Turns {
        let line = Line { waiting: VecDeque::new() };
        Turns { state: Arc::new(Mutex::new(State { free: places, line })) }
    }

    /// Waits for the tenant's turn. Whoever stops waiting is passed over.
    pub async fn place(&self, whose: &Tenant) -> Result<Place> {
        let given = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place { of: Some(self.clone()) });
            }
            let (give, given) = oneshot::channel();
            state.line.push(whose.clone(), give);
            given
        };
        given.await.map_err(|lost| Error::Internal(anyhow::Error::new(lost).context("a place")))
    }

    fn give_back(&self) {
        loop {
            let next = {
                let mut state = self.state.lock();
                let next = state.line.next();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Place { of: Some(self.clone()) }) {
                Ok(()) => return,
                // Nobody waits there any more; this place is still to be given.
                Err(mut place) => place.of = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    #[test]
    fn everybody_who_waits_is_served_in_turns_and_each_in_order() {
        let table = [
            ("", ""),
            ("a1", "a1"),
            ("a1 a2 a3", "a1 a2 a3"),
            ("a1 a2 a3 b1 a4 c1 b2", "a1 b1 c1 a2 b2 a3 a4"),
            ("c1 c2 b1 b2 a1 a2", "c1 b1 a1 c2 b2 a2"),
        ];
        for (came, expected) in table {
            let mut line = Line { waiting: VecDeque::new() };
            came.split_whitespace().for_each(|one| line.push(&one[..1], one));
            let served: Vec<_> = std::iter::from_fn(|| line.next()).collect();
            assert_eq!(served.join(" "), expected, "{came}");
        }
        // One who comes while others are being served waits for one of each, not for all of them.
        let mut line = Line { waiting: VecDeque::new() };
        (0..100).for_each(|number| line.push('a', number));
        assert_eq!(line.next(), Some(0));
        line.push('b', 1000);
        assert_eq!((line.next(), line.next(), line.next()), (Some(1), Some(1000), Some(2)));
    }

    #[tokio::test]
    async fn places_are_never_more_and_none_is_lost() {
        let turns = Turns::new(2);
        let (al, bo) = (Tenant::parse("al").unwrap(), Tenant::parse("bo").unwrap());
        let held = (turns.place(&al).await.unwrap(), turns.place(&al).await.unwrap());
        let (mut first, mut second) = (Box::pin(turns.place(&al)), Box::pin(turns.place(&bo)));
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, &mut first).await.is_err());
        assert!(tokio::time::timeout(soon, &mut second).await.is_err());
        // Gives up waiting: its place goes to the next.
        drop(first);
        drop(held.0);
        let third = second.await.unwrap();
        // Was given a place and goes away without having noticed.
        let mut fourth = Box::pin(turns.place(&bo));
        assert!(tokio::time::timeout(soon, &mut fourth).await.is_err());
        drop(held.1);
        drop(fourth);
        drop(third);
        assert_eq!(turns.state.lock().free, 2);
        let order = Mutex::new(Vec::new());
        let (turns, order) = (Turns::new(1), &order);
        let held = turns.place(&al).await.unwrap();
        let work = |whose: Tenant, count: usize| {
            let turns = turns.clone();
            join_all((0..count).map(move |_| {
                let (turns, whose) = (turns.clone(), whose.clone());
                async move {
                    let _place = turns.place(&whose).await.unwrap();
                    order.lock().push(whose.to_string());
                    tokio::task::yield_now().await;
                }
            }))
        };
        let (many, few) = (work(al, 50), work(bo, 2));
        let free = async { drop(held) };
        tokio::join!(many, few, free);
        let order = order.lock();
        assert_eq!(order.len(), 52);
        assert!(order.iter().take(4).filter(|whose| *whose == "bo").count() == 2, "{order:?}");
    }
}
