//! The small things all pages of `/proc` have in common.

/// The number of that place in a line; `None` if there is none or it is no number.
pub(crate) fn number(fields: &[&str], place: usize) -> Option<u64> {
    fields.get(place)?.parse().ok()
}

/// The fields of a line.
pub(crate) fn of(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

/// The value behind `key` in a page of lines such as `MemTotal:  1024 kB` or `pgfault 42`.
pub(crate) fn value(page: &str, key: &str) -> Option<u64> {
    let line = |line: &str| {
        let rest = line.strip_prefix(key)?;
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        // Not merely the beginning of a longer key.
        if !rest.starts_with([' ', '\t']) {
            return None;
        }
        rest.split_ascii_whitespace().next()?.parse().ok()
    };
    page.lines().find_map(line)
}

/// As [`value`], of a value in kibibytes, in bytes.
pub(crate) fn bytes(page: &str, key: &str) -> Option<u64> {
    value(page, key).map(|kibibytes| kibibytes.saturating_mul(1024))
}

/// Whether a name fits a pattern, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_and_values_may_lack() {
        let page = "MemTotal:       16 kB\nMemTotalHuge:    2 kB\nMemFree: x kB\npgfault 7\n";
        assert_eq!(bytes(page, "MemTotal"), Some(16 * 1024));
        assert_eq!(value(page, "pgfault"), Some(7));
        assert_eq!((value(page, "MemFree"), value(page, "Mem"), value(page, "Swap")), (None, None, None));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("loop*", "loop0") && matches("*", "") && matches("a*c", "abc") && matches("sda", "sda"));
        assert!(!matches("loop*", "aloop") && !matches("sda", "sda1") && !matches("a*aa", "aa"));
    }
}
