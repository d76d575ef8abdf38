//! How long something takes, in words.

/// `1.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_in_words() {
        assert_eq!(
            [0.0, 9.96, 59.4, 59.6, 3600.0, 7500.0].map(duration),
            ["0.0 s", "10 s", "59 s", "1 min 0 s", "1 h 0 min", "2 h 5 min"]
        );
    }
}
