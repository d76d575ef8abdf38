//! The batch size that serves a network best, found by trying.

use std::time::Duration;

/// The first batch that is tried.
const FIRST: usize = 8;

/// The most pictures in a batch: more only wait for one another.
const MOST: usize = 128;

/// What a batch of twice the size must take for each picture, at most, as a share of what the smaller one takes.
const GAIN: f64 = 0.95;

/// Where nothing is tried.
const USUAL: usize = 16;

/// How many pictures at once take least time each, about, in a run of `pictures` pictures. `time` runs a batch of that many and
/// tells how long it took; `None` if it cannot.
///
/// At most a sixteenth of the run is spent on trying; in a short one nothing is tried.
pub fn tuned_batch_size(pictures: usize, mut time: impl FnMut(usize) -> Option<Duration>) -> usize {
    let most = (pictures / 64).min(MOST); // each size twice: less than four times the largest
    if most < USUAL {
        return (pictures / 4).clamp(1, USUAL);
    }
    let mut each = |batch: usize| {
        time(batch)?; // the first run of a shape also sets up what later ones find
        Some(time(batch)?.as_secs_f64() / batch as f64)
    };
    let Some(mut best) = each(FIRST) else { return 1 };
    let mut size = FIRST;
    while 2 * size <= most {
        match each(2 * size) {
            Some(time) if time <= GAIN * best => (size, best) = (2 * size, time),
            _ => break,
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that takes 4 ms a batch and 1 ms for each `wide` pictures, and has room for `room`.
    fn tuned(pictures: usize, wide: f64, room: usize) -> (usize, Vec<usize>) {
        let mut tried = Vec::new();
        let size = tuned_batch_size(pictures, |batch| {
            tried.push(batch);
            (batch <= room).then(|| Duration::from_secs_f64(4e-3 + 1e-3 * batch as f64 / wide))
        });
        (size, tried)
    }

    #[test]
    fn a_batch_grows_while_that_pays() {
        assert_eq!(tuned(10_000, 1.0, 1000).0, 64); // 1.5, 1.25, 1.125, 1.0625, 1.03 ms each: 0.97 is not enough
        assert_eq!(tuned(10_000, 32.0, 1000).0, MOST);
        assert_eq!(tuned(10_000, 0.01, 1000).0, FIRST);
        assert_eq!(tuned(10_000, 32.0, 40), (32, vec![8, 8, 16, 16, 32, 32, 64]));
        assert_eq!(tuned(10_000, 32.0, 3).0, 1);
        let (size, tried) = tuned(2100, 32.0, 1000);
        assert!(size == 32 && 16 * tried.iter().sum::<usize>() <= 2100, "{tried:?}");
    }

    #[test]
    fn a_short_run_is_not_spent_on_trying() {
        for (pictures, size) in [(0, 1), (1, 1), (7, 1), (16, 4), (64, 16), (1000, 16)] {
            assert_eq!(tuned(pictures, 32.0, 1000), (size, Vec::new()), "{pictures}");
        }
    }
}
