//! The samples behind a pixel's colours: its alpha, and what is left out.

use super::layout::{Layout, photometric};

/// Where a pixel's alpha stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alpha {
    /// Its number among the pixel's samples.
    pub(super) at: usize,
    /// Whether the colours are multiplied by it already.
    pub(super) multiplied: bool,
    /// Whether nothing says that it is one.
    guessed: bool,
}

impl Alpha {
    /// The first of the samples behind the colours that is said to be one; or the fourth of RGB, of which nothing is said.
    pub(super) fn of(layout: &Layout, colours: usize) -> Option<Self> {
        let more = layout.samples.saturating_sub(colours);
        if layout.photometric == photometric::INKS {
            return None; // what is printed has none
        }
        if layout.extra.is_empty() && layout.photometric == photometric::RGB && more == 1 {
            return Some(Self { at: colours, multiplied: false, guessed: true });
        }
        let index = layout.extra.iter().take(more).position(|kind| matches!(kind, 1 | 2 | 999))?;
        Some(Self { at: colours + index, multiplied: layout.extra[index] == 1, guessed: false })
    }

    /// The samples of each pixel that are shown: its colours, and its alpha.
    pub(super) fn chosen<T: Copy>(alpha: Option<Self>, layout: &Layout, colours: usize, values: Vec<T>) -> Vec<T> {
        let in_place = alpha.is_none_or(|alpha| alpha.at == colours);
        if in_place && layout.samples == channels(colours, alpha) {
            return values;
        }
        let pixels = values.chunks_exact(layout.samples);
        pixels.flat_map(|pixel| pixel[..colours].iter().chain(alpha.map(|alpha| &pixel[alpha.at]))).copied().collect()
    }

    /// Takes a guessed alpha that is 0 everywhere out of the chosen samples: it is none. The note says so, or what was guessed.
    pub(super) fn or_none<T: Copy + Default + PartialEq>(
        alpha: Option<Self>,
        colours: usize,
        values: &mut Vec<T>,
    ) -> (Option<Self>, Option<String>) {
        let guessed = alpha.is_some_and(|alpha| alpha.guessed);
        let pixels = || values.chunks_exact(colours + 1);
        if !guessed {
            return (alpha, None);
        }
        if pixels().any(|pixel| pixel[colours] != T::default()) {
            return (alpha, Some("its fourth sample is taken for its alpha: nothing says what it is".to_owned()));
        }
        *values = pixels().flat_map(|pixel| &pixel[..colours]).copied().collect();
        (None, Some("its alpha is 0 everywhere: taken as none".to_owned()))
    }
}

/// Samples of a pixel that are shown.
pub(super) fn channels(colours: usize, alpha: Option<Alpha>) -> usize {
    colours + usize::from(alpha.is_some())
}

/// How many samples are not shown, in words.
pub(super) fn left_out(layout: &Layout, colours: usize, alpha: Option<Alpha>) -> Option<String> {
    match layout.samples.saturating_sub(channels(colours, alpha)) {
        0 => None,
        1 => Some("one more sample of each pixel is left out".to_owned()),
        more => Some(format!("{more} more samples of each pixel are left out")),
    }
}

/// Turns black and white round where white is 0, and takes the alpha out of colours that are multiplied by it.
pub(super) fn finish<T: Copy + Into<u64> + TryFrom<u64>>(
    samples: &mut [T],
    colours: usize,
    alpha: Option<Alpha>,
    inverted: bool,
    full: T,
) {
    let multiplied = alpha.is_some_and(|alpha| alpha.multiplied);
    if !inverted && !multiplied {
        return;
    }
    let full = full.into();
    let number = |value: u64, old: T| T::try_from(value).unwrap_or(old);
    for pixel in samples.chunks_exact_mut(channels(colours, alpha)) {
        let (values, coverage) = pixel.split_at_mut(colours);
        for value in values {
            if inverted {
                *value = number(full - (*value).into(), *value);
            }
            if let (true, Some(coverage)) = (multiplied, coverage.first()) {
                let coverage: u64 = (*coverage).into();
                let plain = ((*value).into() * full + coverage / 2).checked_div(coverage).unwrap_or(0);
                *value = number(plain.min(full), *value);
            }
        }
    }
}
