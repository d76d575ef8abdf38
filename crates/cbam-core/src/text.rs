//! Text: read in the encodings that editors write, and made fit for a terminal and a page; enums that have names.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// The text of a text file's bytes, without its byte order mark: UTF-8, or UTF-16 with such a mark, as Windows' editors write it.
///
/// # Errors
/// What is wrong with the bytes, and what would be right.
pub fn decode_text(bytes: &[u8]) -> Result<String, String> {
    const AS_UTF8: &str = "save it as UTF-8";
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks(2).map(|pair| pair.try_into().map(unit));
        let units = units.collect::<Result<Vec<_>, _>>().map_err(|_| "half a character at its end".to_owned());
        units
            .and_then(|units| String::from_utf16(&units).map_err(|error| format!("broken UTF-16 ({error}); {AS_UTF8}")))
    };
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(format!("text in UTF-32; {AS_UTF8}")),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => match std::str::from_utf8(rest) {
            Ok(text) if text.contains('\0') => {
                Err(format!("holds null bytes, as UTF-16 without a mark does; {AS_UTF8}"))
            }
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                let (place, before) = (error.valid_up_to(), &rest[..error.valid_up_to()]);
                let line = memchr::memchr_iter(b'\n', before).count() + 1;
                let byte = rest.get(place).copied().unwrap_or_default();
                Err(format!("line {line} is not UTF-8 (byte 0x{byte:02x}); {AS_UTF8}"))
            }
        },
    }
}

/// A text in which nothing controls a terminal or turns the direction of reading: control characters, line and paragraph
/// separators, bidirectional marks and byte order marks stand as escapes (`\n`, `\u{1b}`). What holds none is unchanged.
///
/// ```
/// assert_eq!(cbam_core::text::printable("a\u{1b}[31m\nb.jpg"), "a\\u{1b}[31m\\nb.jpg");
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

/// A share in per cent, with one digit after the point: `92.1 %`; `< 0.1 %` for what would be rounded to nothing but is
/// not.
pub fn percent(share: f32) -> String {
    match share * 100.0 {
        tiny if tiny > 0.0 && tiny < 0.1 => "< 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
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

/// Whether a character does something else on a terminal than to stand there; [`printable`] escapes it.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Gives an enum its names: `ALL`, `name`, `Display`, which pads, and `FromStr`, whose error is about the argument that is named here
/// and lists the names. What follows `read by` makes the name that is meant of the text that is given.
///
/// ```ignore
/// named! { Resample as "resample"; Nearest => "nearest", Bilinear => "bilinear", Bicubic => "bicubic" }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __named {
    ($kind:ident as $argument:literal $(, read by $meant:ident)?; $($variant:ident => $name:literal),+ $(,)?) => {
        impl $kind {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                let name = text;
                $(let name = $meant(name);)?
                Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| {
                    $crate::Error::argument($argument, $crate::text::none_of(text, &Self::ALL.map(Self::name)))
                })
            }
        }
    };
}
#[doc(hidden)]
pub use crate::__named as named;

/// The message about a text that is none of these names.
#[doc(hidden)]
pub fn none_of(text: &str, names: &[&str]) -> String {
    match names {
        [one, other] => format!("{text:?} is neither {one} nor {other}"),
        names => format!("{text:?} is none of {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_off_and_utf_16_is_read() {
        let of = |units: fn(u16) -> [u8; 2], mark: &[u8]| {
            [mark, &"käse\n☕".encode_utf16().flat_map(units).collect::<Vec<_>>()].concat()
        };
        for bytes in [
            "käse\n☕".as_bytes().to_vec(),
            ["\u{feff}".as_bytes(), "käse\n☕".as_bytes()].concat(),
            of(u16::to_le_bytes, &[0xff, 0xfe]),
            of(u16::to_be_bytes, &[0xfe, 0xff]),
        ] {
            assert_eq!(decode_text(&bytes).unwrap(), "käse\n☕");
        }
        for (bytes, part) in [
            (&b"a\nb\xe9\n"[..], "line 2 is not UTF-8 (byte 0xe9)"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
            (b"a\0b\0", "UTF-16 without a mark"),
            (b"\xff\xfea\0b", "half a character"),
            (b"\xff\xfe\0\xd8", "broken UTF-16"),
        ] {
            let message = decode_text(bytes).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(decode_text(b"").unwrap(), "");
    }

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
