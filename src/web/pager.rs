//! Lists on pages: which page is asked for, and the addresses of the pages before and after it.

use crate::store::paged::{Paged, Place};
use crate::store::rows::Cursor;

/// Rows a page.
pub(super) const ROWS: usize = 24;

/// The page that an address asks for. A place that is none of ours is the first page.
pub(super) fn place(cursor: Option<&str>, before: Option<&str>, descending: bool) -> Place {
    let read = |text: Option<&str>| text.and_then(Cursor::decode);
    let (after, before) = (read(cursor), read(before));
    Place { before: before.is_some(), cursor: before.or(after), descending, limit: ROWS }
}

/// A path with a query; empty values are left out.
pub(super) fn address(path: &str, values: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// Addresses of the page before and of the page after.
pub(super) fn neighbours<T>(path: &str, values: &[(&str, &str)], page: &Paged<T>) -> (Option<String>, Option<String>) {
    let to = |name: &str, cursor: &Option<Cursor>| {
        let cursor = cursor.as_ref()?.encode();
        Some(address(path, &[values, &[(name, cursor.as_str())]].concat()))
    };
    (to("before", &page.previous), to("cursor", &page.next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_leads_to_its_neighbours_and_keeps_what_was_asked() {
        let cursor = Cursor::from_bytes(vec![1, 2]);
        let page: Paged<u8> = Paged { items: vec![], next: Some(cursor.clone()), previous: None, total: 0 };
        let (previous, next) = neighbours("/streams", &[("q", "a b"), ("filter", "")], &page);
        assert_eq!(previous, None);
        let next = next.unwrap();
        assert_eq!(next, format!("/streams?q=a+b&cursor={}", cursor.encode()));
        assert_eq!(place(Some(&cursor.encode()), None, true).cursor, Some(cursor));
        assert_eq!(place(Some("?"), None, true).cursor, None);
    }
}
