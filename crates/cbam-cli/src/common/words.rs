//! Words of command lines.

/// A word as a POSIX shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_wants_it() {
        let line = ["cbam-eval", "--images", "my photos", "it's", ""].map(quoted);
        assert_eq!(line, ["cbam-eval", "--images", "'my photos'", "'it'\\''s'", "''"]);
    }
}
