//! Large numbers on the command line.

/// A number of pixels: `200M` is 200,000,000.
pub(crate) fn pixels(text: &str) -> Result<u64, String> {
    amount(text, 1000).ok_or_else(|| "write a number from 1, such as 50000000 or 50M".into())
}

/// A number above 0 with K, M or G for one, two or three times `step`.
pub(crate) fn amount(text: &str, step: u64) -> Option<u64> {
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
