//! JSON that may go to a terminal.

use std::fmt::Write;

use cbam_core::text::is_hidden;

/// JSON in which characters that control a terminal are escaped; JSON itself asks for less.
pub fn printable(json: String) -> String {
    // Those before DEL are escaped already, but for the ends of lines between values.
    let raw = |c: char| c >= '\u{7f}' && is_hidden(c);
    if !json.contains(raw) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if raw(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}"); // into memory, which takes all
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_escaped_and_the_rest_stays() {
        let texts = ["a\u{202e}b\u{9b}c\u{7f}", "\u{1b}\n ☕ é"];
        let json = printable(serde_json::to_string_pretty(&texts).unwrap());
        assert_eq!(json, "[\n  \"a\\u202eb\\u009bc\\u007f\",\n  \"\\u001b\\n ☕ é\"\n]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), texts);
    }
}
