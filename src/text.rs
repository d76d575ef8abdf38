//! Text from files and their names, made fit for a terminal and a page.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// A text in which nothing controls a terminal or turns the direction of reading: control characters, line and paragraph
/// separators, bidirectional marks and byte order marks stand as escapes (`\n`, `\u{1b}`). What holds none is unchanged.
///
/// ```
/// assert_eq!(cbam::text::printable("a\u{1b}[31m\nb.jpg"), "a\\u{1b}[31m\\nb.jpg");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A path as [`printable`] text; what is no UTF-8 in it is replaced.
pub fn printable_path(path: &Path) -> impl Display + '_ {
    Printable(path)
}

struct Printable<'a>(&'a Path);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.0.to_string_lossy()))
    }
}

/// Whether a character does something else on a terminal than to stand there.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_escaped() {
        for (text, printed) in [
            ("kaffee ☕ café\u{301} 日本.jpg", "kaffee ☕ café\u{301} 日本.jpg"),
            ("a\x1b]0;x\x07\nb", "a\\u{1b}]0;x\\u{7}\\nb"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("exe\u{202e}gpj.", "exe\\u{202e}gpj."),
            ("\u{feff}cat\u{2028}", "\\u{feff}cat\\u{2028}"),
        ] {
            assert_eq!(printable(text), printed);
            assert_eq!(printable_path(Path::new(text)).to_string(), printed);
        }
    }
}
