//! Text into markup: the only way into the page.

use kiln_policy::is_hidden;

/// Text that can be nothing but text: no tag, no attribute, no entity, and nothing that hides or reorders.
pub(super) fn text(plain: &str) -> String {
    let mut markup = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            '`' => markup.push_str("&#96;"),
            c if is_hidden(c) => {
                markup.push_str(&format!("<span class=\"hidden\">{}</span>", c.escape_default()));
            }
            c => markup.push(c),
        }
    }
    markup
}

/// A sentence of Kiln's, which may go over several lines.
pub(super) fn lines(plain: &str) -> String {
    plain.split('\n').map(text).collect::<Vec<_>>().join("\n")
}

/// What the author says, marked as that.
pub(super) fn author(plain: &str) -> String {
    if plain.is_empty() { String::new() } else { format!("<bdi class=\"author\">{}</bdi>", text(plain)) }
}

/// Text that a machine means.
pub(super) fn code(plain: &str) -> String {
    format!("<code>{}</code>", text(plain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_becomes_text() {
        let expected = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp;lt; &#39;&#96;";
        assert_eq!(text("<script>alert(\"1\")</script> &lt; '`"), expected);
        assert_eq!(text("a\u{202e}b"), "a<span class=\"hidden\">\\u{202e}</span>b");
        assert_eq!(lines("a\nb\r"), "a\nb<span class=\"hidden\">\\r</span>");
    }

    proptest! {
        #[test]
        fn no_text_opens_a_tag_or_an_attribute(plain in any::<String>()) {
            let rest = text(&plain).replace("<span class=\"hidden\">", "").replace("</span>", "");
            prop_assert!(!rest.contains(['<', '>', '"', '\'', '`']) && !rest.chars().any(is_hidden));
        }
    }
}
