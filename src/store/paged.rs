//! Pages of lists that are small enough to be sorted in memory: a tenant's streams and schedules.

use super::rows::Cursor;

/// Which page.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Only items beyond this place…
    pub cursor: Option<Cursor>,
    /// …or those before it.
    pub before: bool,
    /// From the last to the first.
    pub descending: bool,
    /// Items a page.
    pub limit: usize,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// In order.
    pub items: Vec<T>,
    /// Where the page after starts.
    pub next: Option<Cursor>,
    /// Where the page before ends, for [`Place::before`].
    pub previous: Option<Cursor>,
    /// Items on all pages.
    pub total: u64,
}

impl<T> Paged<T> {
    /// The page of `all` at `place`. Keys are unique; items come and go between two pages without harm.
    pub fn of(mut all: Vec<(Vec<u8>, T)>, place: &Place) -> Paged<T> {
        let total = all.len() as u64;
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        if place.descending {
            all.reverse();
        }
        let cut = place.cursor.as_ref().map(|cursor| {
            let at = cursor.as_bytes();
            all.partition_point(|(key, _)| match (place.descending, place.before) {
                (false, false) => key.as_slice() <= at,
                (false, true) => key.as_slice() < at,
                (true, false) => key.as_slice() >= at,
                (true, true) => key.as_slice() > at,
            })
        });
        let (start, end) = match (cut, place.before) {
            (None, _) => (0, place.limit.min(all.len())),
            (Some(cut), false) => (cut, cut.saturating_add(place.limit).min(all.len())),
            (Some(cut), true) => (cut.saturating_sub(place.limit), cut),
        };
        let cursor_of = |at: usize| all.get(at).map(|(key, _)| Cursor::from_bytes(key.clone()));
        let next = if end < all.len() && end > start { cursor_of(end - 1) } else { None };
        let previous = if start > 0 { cursor_of(start) } else { None };
        let items = all.into_iter().skip(start).take(end - start).map(|(_, item)| item).collect();
        Paged { items, next, previous, total }
    }

    /// The same page of something else.
    ///
    /// # Errors
    /// The first that `change` returns.
    pub fn try_map<U, E>(self, change: impl FnMut(T) -> Result<U, E>) -> Result<Paged<U>, E> {
        let Paged { items, next, previous, total } = self;
        Ok(Paged { items: items.into_iter().map(change).collect::<Result<_, E>>()?, next, previous, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(place: &Place) -> (Vec<u8>, Option<Cursor>, Option<Cursor>) {
        let all = (0..7_u8).rev().map(|number| (vec![number], number)).collect();
        let page = Paged::of(all, place);
        assert_eq!(page.total, 7);
        (page.items, page.next, page.previous)
    }

    #[test]
    fn pages_go_forth_and_back() {
        for descending in [false, true] {
            let mut place = Place { limit: 3, descending, ..Place::default() };
            let expect =
                |numbers: &[u8]| numbers.iter().map(|n| if descending { 6 - n } else { *n }).collect::<Vec<_>>();
            let (items, next, previous) = page(&place);
            assert_eq!((items, previous), (expect(&[0, 1, 2]), None));
            place.cursor = next;
            let (items, next, previous) = page(&place);
            assert_eq!(items, expect(&[3, 4, 5]));
            place.cursor = next;
            let (items, next, _) = page(&place);
            assert_eq!((items, next), (expect(&[6]), None));
            place.cursor = previous;
            place.before = true;
            let (items, next, previous) = page(&place);
            assert_eq!((items, previous), (expect(&[0, 1, 2]), None));
            assert!(next.is_some());
        }
        assert_eq!(page(&Place { limit: 9, ..Place::default() }).1, None);
    }
}
