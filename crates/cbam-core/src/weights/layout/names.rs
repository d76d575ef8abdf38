//! Names of tensors: in the order of their numbers, word by word, and in messages.

use std::cmp::Ordering;

/// How many keys a message lists.
pub(super) const LISTED: usize = 8;

/// Some keys for a message.
pub(super) fn listed<S: AsRef<str>>(keys: &[S]) -> String {
    let more = if keys.len() > LISTED { format!(" and {} more", keys.len() - LISTED) } else { String::new() };
    let first: Vec<&str> = keys.iter().take(LISTED).map(AsRef::as_ref).collect();
    format!("{}{more}", first.join(", "))
}

/// Orders names so that 10 stands behind 9.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}

/// The words and numbers of a name.
fn parts(name: &str) -> Vec<(u64, String)> {
    let mut parts: Vec<(u64, String)> = Vec::new();
    let mut digits = false;
    for c in name.chars() {
        if c.is_ascii_digit() != digits || parts.is_empty() {
            digits = c.is_ascii_digit();
            parts.push((0, String::new()));
        }
        if let Some((_, part)) = parts.last_mut() {
            part.push(c);
        }
    }
    let number = |part: String| match part.parse::<u64>() {
        Ok(number) => (number, String::new()),
        Err(_) => (0, part),
    };
    parts.into_iter().map(|(_, part)| number(part)).collect()
}

/// The words and numbers of a name in lower case: `SEBlock.fc1` is `se`, `block`, `fc`, `1`.
pub(super) fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| chars[before]).filter(|c| c.is_alphanumeric());
        let lower_follows = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        let begins = match before {
            None => true,
            Some(before) if before.is_ascii_digit() != c.is_ascii_digit() => true,
            Some(before) => c.is_uppercase() && (before.is_lowercase() || lower_follows),
        };
        match words.last_mut() {
            _ if !c.is_alphanumeric() => {}
            Some(word) if !begins => word.extend(c.to_lowercase()),
            _ => words.push(c.to_lowercase().collect()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_word_by_word() {
        for (name, expected) in [
            ("SEBlock.fc1", "se block fc 1"),
            ("shared_MLP.0", "shared mlp 0"),
            ("SpatialGate.spatial", "spatial gate spatial"),
            ("aggregate_fc", "aggregate fc"),
            ("cbam12", "cbam 12"),
            ("__", ""),
        ] {
            assert_eq!(words(name).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let mut names = ["fc.10", "fc.9", "fc2", "fc", "layer12.1", "layer2.0"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["fc", "fc2", "fc.9", "fc.10", "layer2.0", "layer12.1"]);
    }
}
