//! Counts what is there at the same time, by whom, up to a number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Who is there, and how often.
pub(super) struct Present<K> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

/// One that is there; gone when dropped.
pub(super) struct Guest<K: Eq + Hash> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    keys: Vec<K>,
}

impl<K> Clone for Present<K> {
    fn clone(&self) -> Self {
        Present { counts: self.counts.clone() }
    }
}

impl<K> Default for Present<K> {
    fn default() -> Self {
        Present { counts: Arc::default() }
    }
}

impl<K: Eq + Hash + Clone> Present<K> {
    /// Lets one in that counts under each of these keys, unless one of them has its number already.
    pub fn enter(&self, keys: Vec<(K, usize)>) -> Option<Guest<K>> {
        let mut counts = self.counts.lock();
        if keys.iter().any(|(key, most)| counts.get(key).copied().unwrap_or_default() >= *most) {
            return None;
        }
        for (key, _) in &keys {
            *counts.entry(key.clone()).or_default() += 1;
        }
        Some(Guest { counts: self.counts.clone(), keys: keys.into_iter().map(|(key, _)| key).collect() })
    }
}

impl<K: Eq + Hash> Drop for Guest<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        for key in &self.keys {
            if let Some(count) = counts.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_let_in_beyond_a_number_and_places_come_back() {
        let present = Present::default();
        let all = || ("all", 3);
        let a: Vec<_> = (0..2).map(|_| present.enter(vec![("a", 2), all()]).unwrap()).collect();
        assert!(present.enter(vec![("a", 2), all()]).is_none());
        let b = present.enter(vec![("b", 2), all()]).unwrap();
        assert!(present.enter(vec![("b", 2), all()]).is_none(), "all places together");
        drop(a);
        assert!(present.enter(vec![("b", 2), all()]).is_some());
        drop(b);
        assert!(present.counts.lock().is_empty());
    }
}
