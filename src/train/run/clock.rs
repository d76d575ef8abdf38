//! How fast a training is.

use std::time::Instant;

/// Measures from step to step.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<Instant>,
    /// Seconds per picture.
    average: Option<f64>,
}

impl Clock {
    /// A step of that many pictures ends: pictures per second, averaged over about ten steps; not a number at the first one.
    pub(super) fn images_per_second(&mut self, pictures: usize) -> f64 {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            let seconds = (now - last).as_secs_f64() / pictures.max(1) as f64;
            self.average = Some(self.average.map_or(seconds, |average| 0.9 * average + 0.1 * seconds));
        }
        self.average.map_or(f64::NAN, f64::recip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_pause_is_seen() {
        let mut clock = Clock::default();
        assert!(clock.images_per_second(10).is_nan());
        std::thread::sleep(Duration::from_millis(20));
        let speed = clock.images_per_second(10);
        assert!(speed > 0.0 && speed <= 500.0, "{speed}");
    }
}
