//! Occlusion (Zeiler & Fergus 2014): what the class's probability loses when a grey square hides a part of the picture.
//!
//! The square moves over the picture in steps, over its edge at the end if need be. Each place of the map is the mean loss over the
//! squares that hid it, where it is over 0. Grey is 0 after normalisation, the middle of the range of pixels.

use ndarray::{Array2, s};

use super::variants::{GoOn, Subject};
use crate::Result;

/// The map on the coarsest grid on which it can be computed exactly: its cells are squares, whose side divides the picture,
/// the window and the stride.
pub(super) fn map(subject: &Subject<'_>, go_on: &mut GoOn<'_>) -> Result<Array2<f32>> {
    let ([height, width], channels) = (subject.sides(), subject.channels());
    let (window, stride) = (subject.options.window, subject.options.stride);
    let starts = |side: usize| (0..=side.saturating_sub(window).div_ceil(stride)).map(move |step| step * stride);
    let corners: Vec<_> = starts(height).flat_map(|y| starts(width).map(move |x| (y, x))).collect();

    let cell = [height, width, window, stride].into_iter().reduce(gcd).unwrap_or(1).max(1);
    let mut lost = Array2::<f32>::zeros((height / cell, width / cell));
    let mut times = Array2::<f32>::zeros(lost.dim());
    let whole = subject.probabilities(subject.copies(1, |_, _| ()).view())?.first().copied().unwrap_or_default();
    subject.in_batches(corners.len(), go_on, |batch| {
        let corners = &corners[batch];
        let hidden = subject.copies(corners.len(), |copy, pixels| {
            let (y, x) = corners[copy];
            for row in pixels.chunks_exact_mut(channels * width).skip(y).take(window) {
                row[channels * x..channels * (x + window).min(width)].fill(0.0);
            }
        });
        for (&(y, x), probability) in corners.iter().zip(subject.probabilities(hidden.view())?) {
            let (bottom, right) = ((y + window).min(height), (x + window).min(width));
            let place = s![y / cell..bottom / cell, x / cell..right / cell];
            lost.slice_mut(place).mapv_inplace(|sum| sum + whole - probability);
            times.slice_mut(place).mapv_inplace(|count| count + 1.0);
        }
        Ok(())
    })?;
    Ok((lost / times).mapv_into(|loss| loss.max(0.0)))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
