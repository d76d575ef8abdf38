//! What keeps a film from flickering: one class and one scale for all of it, and maps that follow one another smoothly.

use std::iter::zip;

use cbam_core::maps::{AttentionMap, Scale, ScaleLimits};
use cbam_core::photo::Resampled;

/// The mean difference of two frames, in levels of 0 to 255, from which on a cut lies between them.
const CUT: f64 = 30.0;

/// An exponential mean over frames: a map counts as `1 - past`, the mean before it as `past`, and nothing of another shot counts.
///
/// Gone over forwards and then backwards, a frame `n` away counts `past^n` as much as the frame itself, before it and after it alike, so what
/// is shown is neither behind nor ahead.
#[derive(Debug)]
pub(super) struct Smoothing {
    past: f32,
    mean: Option<Vec<f32>>,
}

impl Smoothing {
    pub(super) fn new(past: f32) -> Self {
        Self { past, mean: None }
    }

    /// The mean up to this frame; `cut` says that those before are of another shot.
    pub(super) fn next(&mut self, values: Vec<f32>, cut: bool) -> Vec<f32> {
        let mean = match self.mean.take().filter(|mean| !cut && mean.len() == values.len()) {
            None => values,
            Some(mean) => zip(mean, values).map(|(mean, value)| self.past * mean + (1.0 - self.past) * value).collect(),
        };
        self.mean = Some(mean.clone());
        mean
    }
}

/// What spans the colours of each map.
#[derive(Debug, Clone)]
pub(super) struct Spans {
    scale: Scale,
    learnt: Vec<ScaleLimits>,
}

impl Spans {
    pub(super) fn new(scale: Scale) -> Self {
        Self { scale, learnt: Vec::new() }
    }

    /// Whether maps are to be [learnt](Self::learn) from.
    pub(super) fn are_learnt(&self) -> bool {
        self.scale == Scale::Run
    }

    /// Spans these maps of a frame too.
    pub(super) fn learn(&mut self, maps: &[AttentionMap]) {
        for (index, map) in maps.iter().enumerate() {
            let limits = Scale::Run.limits(map);
            match self.learnt.get_mut(index) {
                Some(span) => *span = span.union(limits),
                None => self.learnt.push(limits),
            }
        }
    }

    /// Of a map, by its place among the maps; its own where each frame has its own.
    pub(super) fn of(&self, index: usize, map: &AttentionMap) -> ScaleLimits {
        self.all(index).unwrap_or_else(|| self.scale.limits(map))
    }

    /// Of a map in all frames; `None` where each frame has its own.
    pub(super) fn all(&self, index: usize) -> Option<ScaleLimits> {
        match self.scale {
            Scale::Fixed(low, high) => Some(ScaleLimits { low, high }),
            Scale::Image | Scale::Percentile(..) => None,
            Scale::Run => self.learnt.get(index).copied(),
        }
    }
}

/// Where shots begin.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    before: Option<Vec<u8>>,
}

impl Cuts {
    /// Whether a frame, as the network sees it, is the first of a shot.
    pub(super) fn next(&mut self, frame: &Resampled) -> bool {
        let Some(pixels) = frame.eight_bits() else { return false };
        let cut = self.before.as_deref().is_none_or(|before| difference(before, pixels) >= CUT);
        self.before = Some(pixels.to_vec());
        cut
    }
}

fn difference(before: &[u8], now: &[u8]) -> f64 {
    if before.len() != now.len() {
        return 255.0;
    }
    let sum: u64 = zip(before, now).map(|(before, now)| u64::from(before.abs_diff(*now))).sum();
    sum as f64 / now.len().max(1) as f64
}

/// Which class a film is of: the one that is likeliest on the whole.
#[derive(Debug, Default)]
pub(super) struct Votes {
    sums: Vec<f64>,
    frames: usize,
}

impl Votes {
    pub(super) fn add<'a>(&mut self, probabilities: impl ExactSizeIterator<Item = &'a f32>) {
        self.sums.resize(probabilities.len(), 0.0);
        self.frames += 1;
        zip(&mut self.sums, probabilities).for_each(|(sum, probability)| *sum += f64::from(*probability));
    }

    /// How likely a class is on the whole; `None` if there is no such class.
    pub(super) fn mean(&self, class: usize) -> Option<f32> {
        self.sums.get(class).map(|sum| (sum / self.frames.max(1) as f64) as f32)
    }

    /// The first of the likeliest; `None` of a network that says nothing of classes.
    pub(super) fn class(&self) -> Option<usize> {
        let sums = self.sums.iter().enumerate();
        sums.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map(|(class, _)| class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_over_time_forgets_at_a_cut() {
        let mut smooth = Smoothing::new(0.5);
        let mut next = |value: f32, cut| smooth.next(vec![value], cut)[0];
        assert_eq!([next(1.0, true), next(0.0, false), next(0.0, false), next(4.0, true)], [1.0, 0.5, 0.25, 4.0]);
    }

    #[test]
    fn forwards_and_backwards_it_is_neither_behind_nor_ahead() {
        let both = |values: &[f32]| {
            let mut smooth = Smoothing::new(0.5);
            let forwards: Vec<_> = values.iter().map(|value| smooth.next(vec![*value], false)).collect();
            let mut smooth = Smoothing::new(0.5);
            let mut both: Vec<_> = forwards.into_iter().rev().map(|values| smooth.next(values, false)[0]).collect();
            both.reverse();
            both
        };
        let mut flash = [0.0; 41];
        flash[20] = 1.0;
        let seen = both(&flash);
        for away in 0..8 {
            let expected = 0.5_f32.powi(away) / 3.0;
            for at in [20 - away as usize, 20 + away as usize] {
                assert!((seen[at] - expected).abs() < 1e-4, "{at}: {}", seen[at]);
            }
        }
    }

    #[test]
    fn the_likeliest_class_on_the_whole_wins() {
        let mut votes = Votes::default();
        assert_eq!(votes.class(), None);
        for probabilities in [[0.1, 0.5, 0.4], [0.1, 0.2, 0.7], [0.1, 0.5, 0.4]] {
            votes.add(probabilities.iter());
        }
        assert_eq!(votes.class(), Some(2));
    }
}
