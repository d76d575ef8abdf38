//! Numbers on the command line.

use std::num::NonZeroUsize;

/// A number of pixels: `200M` is 200,000,000.
///
/// # Errors
/// What would be right, if it is no such number.
pub fn pixels(text: &str) -> Result<u64, String> {
    amount(text, 1000).ok_or_else(|| "write a number from 1, such as 50000000 or 50M".into())
}

/// A number above 0 with K, M or G for one, two or three times `step`.
pub fn amount(text: &str, step: u64) -> Option<u64> {
    let text = text.trim();
    let (digits, power) = match text.chars().last()?.to_ascii_uppercase() {
        'K' => (&text[..text.len() - 1], 1),
        'M' => (&text[..text.len() - 1], 2),
        'G' => (&text[..text.len() - 1], 3),
        _ => (text, 0),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(step.pow(power)).filter(|amount| *amount > 0)
}

/// The most threads that may be asked for: where so many cannot be made, the threads of libtorch end the program.
const MAX_THREADS: usize = 1024;

/// A number of threads, as a command line gives it.
///
/// # Errors
/// What would be right, if it is no number from 1 to `MAX_THREADS`.
pub fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MAX_THREADS);
    number.ok_or_else(|| format!("not a number from 1 to {MAX_THREADS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_threads_is_one_that_can_be_made() {
        assert_eq!(threads("7").unwrap().get(), 7);
        for text in ["0", "-1", "1025", "99999999999999999999999", "two", ""] {
            assert_eq!(threads(text).unwrap_err(), "not a number from 1 to 1024", "{text}");
        }
    }
}
