//! Pages of a list that changes while it is read.
//!
//! A page token names the last item of the page it came with, not a position: items that appear at the head
//! of the list between two requests neither repeat nor hide anything. Tokens are opaque and contain `+` and
//! `=`, because real ones may: a client that does not percent-encode them must fail here, not in production.
//!
//! Invariant: while the list stands still, following `next_page_token` from the first page shows every item
//! exactly once and in order, whatever the limits.

use super::ApiError;
use super::distort::{OVERSIZE, OVERSIZED, REPEATING};
use super::query::Query;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
    pub(super) previous: Option<String>,
}

enum Cursor<K> {
    Start,
    After(K),
    Before(K),
}

/// Puts `items` in the order of `key`, which must be unique for each, and cuts one page out of them.
pub(super) fn page<T, K: Ord + Serialize + DeserializeOwned>(
    list: &str,
    mut items: Vec<T>,
    key: impl Fn(&T) -> K,
    limit: usize,
    query: &Query,
) -> Result<Page<T>, ApiError> {
    items.sort_by_cached_key(&key);
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let key_at = |place: usize| items.get(place).and_then(Option::as_ref).map(&key);
    let Page { items: places, next, previous } = page_of(list, items.len(), key_at, |_| true, limit, query)?;
    let items = places.into_iter().filter_map(|place| items.get_mut(place)?.take()).collect();
    Ok(Page { items, next, previous })
}

/// Cuts one page out of a list of `length` that is in order already: the places of those that shall be shown.
///
/// `key` gives the key at each place, `shown` whether the item there belongs to the list; neither is asked
/// about more places than it takes to fill the page.
pub(super) fn page_of<K: Ord + Serialize + DeserializeOwned>(
    list: &str,
    length: usize,
    key: impl Fn(usize) -> Option<K>,
    shown: impl Fn(usize) -> bool,
    limit: usize,
    query: &Query,
) -> Result<Page<usize>, ApiError> {
    let mut offset: usize = query.number("offset")?.unwrap_or(0);
    let mut limit = match query.text(OVERSIZED) {
        Some(_) => limit.saturating_mul(OVERSIZE),
        None => limit,
    };
    let cursor = match query.text("page_token") {
        None | Some("") => Cursor::Start,
        Some(token) => {
            read_token(list, token).ok_or_else(|| ApiError::invalid(format!("Invalid page_token '{token}'")))?
        }
    };
    if !matches!(cursor, Cursor::Start) {
        offset = 0;
    }
    let begin = match cursor {
        Cursor::Start => 0,
        Cursor::After(last) => {
            let begin = first_without(length, |place| key(place).is_some_and(|key| key <= last));
            match query.text(REPEATING).and_then(|_| (0..begin).rev().find(|place| shown(*place))) {
                Some(last) => {
                    limit = limit.saturating_add(1);
                    last
                }
                None => begin,
            }
        }
        Cursor::Before(first) => {
            let end = first_without(length, |place| key(place).is_some_and(|key| key < first));
            (0..end).rev().filter(|place| shown(*place)).take(limit).last().unwrap_or(end)
        }
    };
    let mut places: Vec<usize> =
        (begin..length).filter(|place| shown(*place)).skip(offset).take(limit.saturating_add(1)).collect();
    let more = places.len() > limit;
    places.truncate(limit);
    let token = |direction: &str, place: usize| key(place).map(|key| write_token(list, direction, key));
    let next = places.last().filter(|_| more).and_then(|last| token(NEXT, *last));
    let previous =
        places.first().filter(|first| (0..**first).rev().any(&shown)).and_then(|first| token(PREVIOUS, *first));
    Ok(Page { items: places, next, previous })
}

/// The first place for which a condition is false that is true up to some place and false from there on.
fn first_without(length: usize, condition: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        match condition(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

const NEXT: &str = "next";
const PREVIOUS: &str = "previous";

fn write_token(list: &str, direction: &str, key: impl Serialize) -> String {
    let plain = serde_json::json!([list, direction, key]).to_string();
    let hex: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("CAE+{hex}==")
}

fn read_token<K: DeserializeOwned>(list: &str, token: &str) -> Option<Cursor<K>> {
    let hex = token.strip_prefix("CAE+")?.strip_suffix("==")?;
    let plain: Option<Vec<u8>> =
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    let (of_list, direction, key): (String, String, K) = serde_json::from_slice(&plain?).ok()?;
    match (of_list == list, direction.as_str()) {
        (true, NEXT) => Some(Cursor::After(key)),
        (true, PREVIOUS) => Some(Cursor::Before(key)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(token: Option<&str>) -> Query {
        let mut uri = url::form_urlencoded::Serializer::new("/?".to_owned());
        if let Some(token) = token {
            uri.append_pair("page_token", token);
        }
        Query::of(&uri.finish().parse().unwrap())
    }

    type Key = (i64, i64);

    fn cut(list: &[Key], limit: usize, token: Option<&str>) -> Page<Key> {
        page("list", list.to_vec(), |key| *key, limit, &query(token)).unwrap()
    }

    proptest! {
        #[test]
        fn concatenated_pages_equal_the_list(
            keys in prop::collection::btree_set((0..50i64, 0..50i64), 0..120),
            limits in prop::collection::vec(1..30usize, 1..5),
        ) {
            let list: Vec<Key> = keys.into_iter().collect();
            let (mut seen, mut token) = (Vec::new(), None);
            // The limit may change from one page to the next.
            for limit in limits.iter().cycle() {
                let page = cut(&list, *limit, token.as_deref());
                prop_assert!(page.items.len() <= *limit);
                seen.extend(page.items);
                token = page.next;
                if token.is_none() { break; }
            }
            prop_assert_eq!(seen, list);
        }

        #[test]
        fn the_previous_page_of_the_next_page_is_this_page(
            keys in prop::collection::btree_set((0..50i64, 0..50i64), 2..60),
            limit in 1..10usize,
        ) {
            let list: Vec<Key> = keys.into_iter().collect();
            let first = cut(&list, limit, None);
            prop_assert!(first.previous.is_none());
            if let Some(next) = first.next {
                let second = cut(&list, limit, Some(&next));
                let back = cut(&list, limit, second.previous.as_deref());
                prop_assert_eq!(back.items, first.items);
            }
        }

        #[test]
        fn items_that_appear_while_paging_neither_repeat_nor_hide_others(
            keys in prop::collection::btree_set((0..50i64, 0..50i64), 1..60),
            limit in 1..10usize,
        ) {
            let mut list: Vec<Key> = keys.into_iter().collect();
            let expected = list.clone();
            let (mut seen, mut token, mut newer) = (Vec::new(), None, 0);
            loop {
                let page = cut(&list, limit, token.as_deref());
                seen.extend(page.items);
                token = page.next;
                if token.is_none() { break; }
                newer -= 1;
                list.insert(0, (newer, 0));
            }
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn any_text_is_a_token_or_an_error(token in ".{0,40}") {
            let _ = page("list", vec![(1, 1)], |key| *key, 1, &query(Some(&token)));
        }
    }

    #[test]
    fn a_token_of_another_list_is_refused_and_its_own_is_not() {
        let token = cut(&[(1, 0), (2, 0)], 1, None).next.unwrap();
        assert!(read_token::<Key>("list", &token).is_some());
        assert!(read_token::<Key>("other", &token).is_none());
    }

    #[test]
    fn a_token_that_was_not_percent_encoded_is_refused() {
        let token = cut(&[(1, 0), (2, 0)], 1, None).next.unwrap();
        let uri = format!("/?page_token={token}").parse().unwrap();
        let refused = page("list", vec![(1, 0)], |key| *key, 1, &Query::of(&uri));
        assert!(refused.is_err());
    }
}
