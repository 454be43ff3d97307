//! Lists of objects: found, ordered and shown from index rows alone, so that a page of a hundred thousand costs what
//! it shows.
//!
//! Every listed record keeps a *card* beside its index row `card`: what a wall of pictures shows, with the text that is
//! searched and the numbers that are sorted by. The orders `title`, `size` and `duration` have index rows of their own;
//! a search walks the cards and keeps only the best of its page.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::names::folded;
use crate::error::{Error, Result};
use crate::store::Range;
use crate::store::rows::{Cursor, Index, Reader, Record, index_prefix};

/// A kind of row that is listed.
pub trait Listed: Record {
    /// What a list shows of it.
    type Card: Serialize + DeserializeOwned + Send + 'static;
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Time of creation.
    Created,
    /// Title, whatever its case.
    Title,
    /// Bytes.
    Size,
    /// Seconds.
    Duration,
}

/// Which page of which list.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Only rows that contain all these words.
    pub search: String,
    /// Sorted by.
    pub order: Order,
    /// From the largest to the smallest.
    pub descending: bool,
    /// Rows a page.
    pub limit: usize,
    /// Only rows beyond this place…
    pub cursor: Option<Cursor>,
    /// …or, read backwards, those before it.
    pub before: bool,
}

impl Default for Ask {
    /// The newest 24.
    fn default() -> Self {
        Ask { search: String::new(), order: Order::Created, descending: true, limit: 24, cursor: None, before: false }
    }
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Found<C> {
    /// Id and card of each row.
    pub items: Vec<(Uuid, C)>,
    /// Where the page after starts, for [`Ask::cursor`].
    pub next: Option<Cursor>,
    /// Where the page before ends, for [`Ask::cursor`] with [`Ask::before`].
    pub previous: Option<Cursor>,
    /// Rows that match, on all pages.
    pub total: u64,
}

/// What is kept beside a `card` index row, besides the card.
pub(super) struct Facets<'t> {
    /// Bits that filters look at.
    pub flags: u8,
    /// Bytes.
    pub size: u64,
    /// Milliseconds.
    pub duration: u64,
    /// As shown.
    pub title: &'t str,
    /// More text that is searched.
    pub words: &'t [&'t str],
}

const HEAD: usize = 1 + 8 + 8 + 4;

/// A card as it is kept beside an index row.
pub(super) fn stored(facets: &Facets<'_>, card: &impl Serialize) -> Vec<u8> {
    let mut text = folded(facets.title);
    for word in facets.words {
        text.push('\n');
        text.push_str(&folded(word));
    }
    let mut value = vec![facets.flags];
    value.extend(facets.size.to_be_bytes());
    value.extend(facets.duration.to_be_bytes());
    value.extend((text.len() as u32).to_be_bytes());
    value.extend(text.as_bytes());
    // Plain data of this program's own making: writing it as JSON cannot fail.
    value.extend(serde_json::to_vec(card).unwrap_or_default());
    value
}

/// The index rows of a listed record.
pub(super) fn indexes(facets: &Facets<'_>, card: &impl Serialize) -> Vec<Index> {
    vec![
        Index { name: "card", key: Vec::new(), value: stored(facets, card) },
        Index::text("title", facets.title),
        Index::number("size", facets.size),
        Index::number("duration", facets.duration),
    ]
}

/// A stored card, taken apart without being read.
struct Stored<'v> {
    flags: u8,
    size: &'v [u8],
    duration: &'v [u8],
    text: &'v [u8],
    card: &'v [u8],
}

impl<'v> Stored<'v> {
    fn parse(value: &'v [u8]) -> Option<Stored<'v>> {
        let (head, rest) = value.split_at_checked(HEAD)?;
        let (length, size, duration) = (&head[17..], &head[1..9], &head[9..17]);
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let (text, card) = rest.split_at_checked(length)?;
        Some(Stored { flags: head[0], size, duration, text, card })
    }

    fn key(&self, order: Order) -> Vec<u8> {
        match order {
            Order::Created => Vec::new(),
            Order::Title => {
                let title = self.text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                Index::text("title", &String::from_utf8_lossy(title)).key
            }
            Order::Size => self.size.to_vec(),
            Order::Duration => self.duration.to_vec(),
        }
    }
}

fn read<C: DeserializeOwned>(card: &[u8]) -> Result<C> {
    serde_json::from_slice(card).map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("card")))
}

/// The card of one row, if the row is listed.
pub(super) fn card<T: Listed>(rows: &Reader<'_>, id: Uuid) -> Result<Option<T::Card>> {
    match rows.index_value::<T>("card", b"", id)? {
        None => Ok(None),
        Some(value) => Stored::parse(&value).map(|stored| read(stored.card)).transpose(),
    }
}

/// A page of a list. `cards` names the index that keeps the cards of the list: `card`, or another one that holds only
/// some. `filter` looks at an id and its flags; where neither it nor a search is given, `total` says how many rows there
/// are, so that nobody has to count.
pub(super) fn page<T: Listed>(
    rows: &Reader<'_>,
    cards: &str,
    ask: &Ask,
    filter: Option<&dyn Fn(Uuid, u8) -> bool>,
    total: impl FnOnce(&Reader<'_>) -> Result<u64>,
) -> Result<Found<T::Card>> {
    let words: Vec<String> = folded(&ask.search).split_whitespace().map(str::to_owned).collect();
    // Read backwards, the page before a place is the page after it.
    let reverse = ask.descending != ask.before;
    // The other orders have index rows for the whole list only.
    let straight = words.is_empty() && filter.is_none() && (cards == "card" || ask.order == Order::Created);
    let (mut found, total) = if straight {
        (walk::<T>(rows, cards, ask, reverse)?, total(rows)?)
    } else {
        search::<T>(rows, cards, ask, reverse, &words, filter)?
    };
    let more = found.len() > ask.limit;
    found.truncate(ask.limit);
    if ask.before {
        found.reverse();
    }
    let place = |entry: Option<&Entry<T::Card>>| entry.map(|entry| Cursor::from_bytes(entry.key.clone()));
    let (first, last) = (place(found.first()), place(found.last()));
    let (previous, next) = if ask.before {
        (first.filter(|_| more), last)
    } else {
        (first.filter(|_| ask.cursor.is_some()), last.filter(|_| more))
    };
    Ok(Found { items: found.into_iter().map(|entry| (entry.id, entry.card)).collect(), next, previous, total })
}

/// A row of a page with its place: the key of the order and the id.
struct Entry<C> {
    key: Vec<u8>,
    id: Uuid,
    card: C,
}

fn id_of(key: &[u8]) -> Option<Uuid> {
    key.split_last_chunk::<16>().map(|(_, id)| Uuid::from_bytes(*id))
}

/// One more than the page, straight from the order's index.
fn walk<T: Listed>(rows: &Reader<'_>, cards: &str, ask: &Ask, reverse: bool) -> Result<Vec<Entry<T::Card>>> {
    let index = match ask.order {
        Order::Created => cards,
        Order::Title => "title",
        Order::Size => "size",
        Order::Duration => "duration",
    };
    let prefix = index_prefix::<T>(index);
    let after = ask.cursor.as_ref().map(|cursor| [&prefix, cursor.as_bytes()].concat());
    let mut found = Vec::new();
    let mut failed = None;
    let range = Range { prefix: &prefix, after: after.as_deref(), reverse };
    rows.scan(range, |key, value| {
        let key = &key[prefix.len()..];
        let Some(id) = id_of(key) else { return ControlFlow::Continue(()) };
        let card = if ask.order == Order::Created {
            Stored::parse(value).map(|stored| read(stored.card)).transpose()
        } else {
            card::<T>(rows, id)
        };
        match card {
            Ok(Some(card)) => found.push(Entry { key: key.to_vec(), id, card }),
            Ok(None) => {}
            Err(cause) => {
                failed = Some(cause);
                return ControlFlow::Break(());
            }
        }
        if found.len() > ask.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(found), Err)
}

/// One more than the page, and how many match, by looking at every card.
fn search<T: Listed>(
    rows: &Reader<'_>,
    cards: &str,
    ask: &Ask,
    reverse: bool,
    words: &[String],
    filter: Option<&dyn Fn(Uuid, u8) -> bool>,
) -> Result<(Vec<Entry<T::Card>>, u64)> {
    let prefix = index_prefix::<T>(cards);
    let mut best: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut total = 0;
    rows.scan(Range { prefix: &prefix, after: None, reverse }, |key, value| {
        let key = &key[prefix.len()..];
        let (Some(id), Some(stored)) = (id_of(key), Stored::parse(value)) else { return ControlFlow::Continue(()) };
        let text = || std::str::from_utf8(stored.text).unwrap_or_default();
        if filter.is_some_and(|filter| !filter(id, stored.flags))
            || !words.iter().all(|word| text().contains(word.as_str()))
        {
            return ControlFlow::Continue(());
        }
        total += 1;
        let mut place = stored.key(ask.order);
        place.extend_from_slice(key);
        let beyond = ask.cursor.as_ref().is_none_or(|cursor| match reverse {
            true => place.as_slice() < cursor.as_bytes(),
            false => place.as_slice() > cursor.as_bytes(),
        });
        // In order of creation the first ones found are the best ones.
        let full = best.len() > ask.limit;
        if !beyond || (full && ask.order == Order::Created) {
            return ControlFlow::Continue(());
        }
        best.insert(place, stored.card.to_vec());
        if full {
            if reverse {
                best.pop_first()
            } else {
                best.pop_last()
            };
        }
        ControlFlow::Continue(())
    })?;
    let mut found = Vec::with_capacity(best.len());
    for (key, card) in best {
        if let Some(id) = id_of(&key) {
            found.push(Entry { key, id, card: read(&card)? });
        }
    }
    if reverse {
        found.reverse();
    }
    Ok((found, total))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::auth::{SystemLicence, Tenant};
    use crate::clock::Clock;
    use crate::store::rows::Header;
    use crate::store::{SpaceStore, Store};

    #[derive(Clone, Serialize, Deserialize)]
    struct Thing {
        title: String,
        size: u64,
    }
    impl Record for Thing {
        const KIND: &'static str = "thing";
        fn indexes(&self, _: &Header) -> Vec<Index> {
            let flags = (self.size % 2) as u8;
            let facets = Facets { flags, size: self.size, duration: 0, title: &self.title, words: &["Common.mp4"] };
            indexes(&facets, &self.title)
        }
    }
    impl Listed for Thing {
        type Card = String;
    }

    async fn library(home: &std::path::Path) -> SpaceStore {
        let store = Store::open_redb(home.to_owned(), Clock::system()).unwrap();
        #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
        let scope = SystemLicence::new().scope(&Tenant::parse("al").unwrap(), "test");
        let rows = store.tenant(&scope);
        rows.create().await.unwrap();
        rows.write(move |rows| {
            for (title, size) in [("delta", 4), ("Alpha", 1), ("charlie", 3), ("bravo", 2), ("bravo", 5)] {
                rows.insert(scope.tenant(), scope.actor(), Thing { title: title.into(), size })?;
            }
            Ok(())
        })
        .await
        .unwrap();
        rows
    }

    async fn walk_all(rows: &SpaceStore, ask: Ask, odd: bool) -> Vec<String> {
        let (mut seen, mut ask) = (Vec::new(), Ask { limit: 2, ..ask });
        loop {
            let asked = ask.clone();
            let page = rows
                .read(move |rows| {
                    let filter = |_: Uuid, flags: u8| flags == 1;
                    let filter: Option<&dyn Fn(Uuid, u8) -> bool> = if odd { Some(&filter) } else { None };
                    page::<Thing>(rows, "card", &asked, filter, |_| Ok(5))
                })
                .await
                .unwrap();
            assert!(page.items.len() <= 2);
            seen.extend(page.items.into_iter().map(|(_, title)| title));
            let Some(next) = page.next else { return seen };
            ask.cursor = Some(next);
        }
    }

    #[tokio::test]
    async fn every_order_shows_every_row_once_searched_or_not() {
        let home = tempfile::tempdir().unwrap();
        let rows = library(home.path()).await;
        let ask = |order, descending, search: &str| Ask { order, descending, search: search.into(), ..Ask::default() };
        for search in ["", "COMMON", "common mp4"] {
            let newest = walk_all(&rows, ask(Order::Created, true, search), false).await;
            assert_eq!(newest, ["bravo", "bravo", "charlie", "Alpha", "delta"]);
            let titles = walk_all(&rows, ask(Order::Title, false, search), false).await;
            assert_eq!(titles, ["Alpha", "bravo", "bravo", "charlie", "delta"]);
            let sizes = walk_all(&rows, ask(Order::Size, true, search), false).await;
            assert_eq!(sizes, ["bravo", "delta", "charlie", "bravo", "Alpha"]);
        }
        assert_eq!(walk_all(&rows, ask(Order::Size, false, "a"), true).await, ["Alpha", "charlie", "bravo"]);
        assert_eq!(walk_all(&rows, ask(Order::Title, false, "nothing"), false).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn the_page_before_is_the_page_one_came_from() {
        let home = tempfile::tempdir().unwrap();
        let rows = library(home.path()).await;
        for search in ["", "common"] {
            let ask = Ask { order: Order::Title, descending: false, limit: 2, search: search.into(), ..Ask::default() };
            let turn = |cursor: Option<Cursor>, before: bool| {
                let (rows, ask) = (rows.clone(), Ask { cursor, before, ..ask.clone() });
                async move { rows.read(move |rows| page::<Thing>(rows, "card", &ask, None, |_| Ok(5))).await.unwrap() }
            };
            let first = turn(None, false).await;
            assert!(first.previous.is_none() && first.total == 5);
            let second = turn(first.next.clone(), false).await;
            let third = turn(second.next.clone(), false).await;
            assert!(third.next.is_none());
            let back = turn(third.previous, true).await;
            assert_eq!(back.items, second.items);
            let begin = turn(back.previous, true).await;
            assert_eq!((&begin.items, begin.previous.is_none(), begin.next), (&first.items, true, first.next));
        }
    }
}
