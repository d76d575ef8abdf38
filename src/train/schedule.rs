//! The learning rate over the steps: linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017).

/// A learning-rate schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest learning rate, reached at the end of the warm-up.
    pub peak: f64,
    /// Steps of warm-up.
    pub warm_up: usize,
    /// All steps, the warm-up included.
    pub steps: usize,
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let done = (step - self.warm_up) as f64 / (self.steps.saturating_sub(self.warm_up)).max(1) as f64;
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_to_zero() {
        let schedule = Schedule { peak: 2.0, warm_up: 4, steps: 104 };
        let rates: Vec<f64> = [0, 3, 4, 54, 104, 500].map(|step| schedule.at(step)).to_vec();
        let expected = [0.5, 2.0, 2.0, 1.0, 0.0, 0.0];
        for (rate, expected) in rates.iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }
}
