//! The only way a value gets into the script.
//!
//! Invariant: bash evaluates what [`quote`] returns to the value it was given, whatever the value is and in any locale.
//! The one value no shell can hold is NUL; the types rendered here cannot hold one either.

/// `value` as one bash word. Inside single quotes bash knows no special character but the closing quote.
pub(crate) fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What bash makes of `words`: written to an array the way the script does, and read back.
    fn evaluated(words: &[String]) -> Vec<String> {
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let program = format!("set -eu\nwords=(\n{}\n)\nprintf '%s\\0' \"${{words[@]}}\"", quoted.join("\n"));
        let output = Command::new("bash").arg("-c").arg(program).output().expect("bash runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut read: Vec<String> =
            output.stdout.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).unwrap()).collect();
        assert_eq!(read.pop().as_deref(), Some(""), "every word is terminated");
        read
    }

    #[test]
    fn bash_reads_back_what_breaks_naive_quoting() {
        let hostile =
            ["", "'", "''", "\\'", "$(reboot)", "`reboot`", "\"", "!!", "a\nb", "-n", "\\", "é 'x' \u{85}", "*"];
        let words: Vec<String> = hostile.iter().map(ToString::to_string).collect();
        assert_eq!(evaluated(&words), words);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Guarantees: bash evaluates a quoted value back to the original, for arbitrary text.
        #[test]
        fn bash_reads_back_any_text(words in proptest::collection::vec("([^\0]|['\"\\\\$`!\n]){0,24}", 1..24)) {
            prop_assert_eq!(evaluated(&words), words);
        }
    }
}
