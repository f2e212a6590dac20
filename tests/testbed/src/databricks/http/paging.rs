//! Pages of a list that changes while it is read.
//!
//! A page token names the last item of the page it came with, not a position: items that appear at the head
//! of the list between two requests neither repeat nor hide anything. Tokens are opaque and contain `+` and
//! `=`, because real ones may: a client that does not percent-encode them must fail here, not in production.
//!
//! Invariant: while the list stands still, following `next_page_token` from the first page shows every item
//! exactly once and in order, whatever the limits.

use super::ApiError;
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
    let offset: usize = query.number("offset")?.unwrap_or(0);
    let cursor = match query.text("page_token") {
        None | Some("") => Cursor::Start,
        Some(token) => {
            read_token(list, token).ok_or_else(|| ApiError::invalid(format!("Invalid page_token '{token}'")))?
        }
    };
    items.sort_by_cached_key(&key);
    let begin = match cursor {
        Cursor::Start => offset.min(items.len()),
        Cursor::After(last) => items.partition_point(|item| key(item) <= last),
        Cursor::Before(first) => items.partition_point(|item| key(item) < first).saturating_sub(limit),
    };
    let total = items.len();
    let items: Vec<T> = items.into_iter().skip(begin).take(limit).collect();
    let more = begin + items.len() < total;
    Ok(Page {
        next: items.last().filter(|_| more).map(|item| write_token(list, NEXT, key(item))),
        previous: items.first().filter(|_| begin > 0).map(|item| write_token(list, PREVIOUS, key(item))),
        items,
    })
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
