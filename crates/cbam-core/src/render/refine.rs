//! A map along the edges of its picture.
//!
//! The guided filter (He, Sun, Tang 2010), with the picture's colours as guide: in every small window the map becomes the affine
//! function of the colours that is nearest to it, and what a pixel gets is the mean over the windows that hold it. Where the
//! colours change, the map may change; where they do not, it is smooth. The coefficients are found on a smaller picture and
//! enlarged (He, Sun 2015).

use std::iter::zip;

use image::{DynamicImage, RgbImage};
use ndarray::Array2;
use rayon::prelude::*;

use crate::maps::{AttentionMap, Resample};
use crate::photo::{ImageSize, Part, resize, rgb_on_white};
use crate::{Error, Result};

/// The longest that the short side of the smaller picture is, and its long side.
const SHORT_SIDE: u32 = 192;
const LONG_SIDE: u32 = 2048;
/// Half the side of a window, in cells of the map.
const RADIUS: f32 = 1.5;
/// What keeps the affine function flat, where a window's colours differ by less: a variance of colours in `[0, 1]`.
const FLATNESS: f32 = 1e-3;

/// The colours of a covariance, the upper half.
const PAIRS: [(usize, usize); 6] = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];

/// A map at the size of the `part` of a picture that it lies over, along the edges there; from 0 to the map's own greatest value, which it
/// reaches.
pub(super) fn refined(map: &AttentionMap, image: &DynamicImage, part: Part, resample: Resample) -> Result<Array2<f32>> {
    let whole = ImageSize::new(image.width(), image.height());
    let seen =
        (part != Part::whole(whole)).then(|| image.crop_imm(part.left, part.top, part.size.width, part.size.height));
    let image = seen.as_ref().unwrap_or(image);
    let small = smaller(part.size);
    let coarse = map.clone().of_input().resample(small, resample)?;
    let top = map.values().iter().copied().fold(0.0, f32::max);
    let grid = map.grid();
    let cell = f64::from(small.width) / f64::from(grid.width) + f64::from(small.height) / f64::from(grid.height);
    let radius = ((RADIUS * cell as f32 / 2.0).round() as usize).max(1);
    let lines = Lines::fit(&rgb_on_white(&resize(image, small)?), coarse.values(), top.max(f32::MIN_POSITIVE), radius);
    let mut refined = lines.along(&rgb_on_white(image), part.size, top)?;
    // Means are lower than a peak was: the colours still reach from one end of the scale to the other.
    let peak = refined.iter().copied().fold(0.0, f32::max);
    if peak > 0.0 {
        refined.mapv_inplace(|value| (value * (top / peak)).min(top));
    }
    Ok(refined)
}

/// A size of the same shape whose sides are [`SHORT_SIDE`] and [`LONG_SIDE`] at most.
fn smaller(size: ImageSize) -> ImageSize {
    let long_side = size.width.max(size.height);
    let scale = (f64::from(SHORT_SIDE) / f64::from(size.short_side())).min(f64::from(LONG_SIDE) / f64::from(long_side));
    if scale >= 1.0 {
        return size;
    }
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    ImageSize::new(side(size.width), side(size.height))
}

/// The affine function of red, green and blue, in `[0, 1]`, at each pixel of the smaller picture: three slopes and a constant.
struct Lines {
    width: usize,
    height: usize,
    values: Vec<[f32; 4]>,
}

impl Lines {
    /// Those nearest to a map whose greatest value is `top`, in windows of a `radius`.
    fn fit(picture: &RgbImage, map: &Array2<f32>, top: f32, radius: usize) -> Self {
        let (height, width) = map.dim();
        let map: Vec<f32> = map.iter().map(|value| value / top).collect();
        let colour = |channel: usize| picture.pixels().map(move |pixel| f32::from(pixel[channel]) / 255.0).collect();
        let colours: [Vec<f32>; 3] = std::array::from_fn(colour);
        let product = |a: &[f32], b: &[f32]| zip(a, b).map(|(a, b)| a * b).collect::<Vec<f32>>();
        let sums: Vec<Vec<f32>> = (0..13_usize)
            .into_par_iter()
            .map(|index| {
                let plane = match index {
                    0..3 => colours[index].clone(),
                    3 => map.clone(),
                    4..7 => product(&colours[index - 4], &map),
                    _ => product(&colours[PAIRS[index - 7].0], &colours[PAIRS[index - 7].1]),
                };
                window_means(plane, width, radius)
            })
            .collect();
        let fitted = |at: usize| {
            let mean = |index: usize| sums[index][at];
            let covariance = |pair: usize| mean(7 + pair) - mean(PAIRS[pair].0) * mean(PAIRS[pair].1);
            let with_map = std::array::from_fn(|channel| mean(4 + channel) - mean(channel) * mean(3));
            let slopes = solve(std::array::from_fn(covariance), with_map);
            let constant = mean(3) - (0..3).map(|channel| slopes[channel] * mean(channel)).sum::<f32>();
            [slopes[0], slopes[1], slopes[2], constant]
        };
        let fitted: Vec<[f32; 4]> = (0..width * height).into_par_iter().with_min_len(4096).map(fitted).collect();
        let smooth = |part: usize| window_means(fitted.iter().map(|line| line[part] * top).collect(), width, radius);
        let parts: Vec<Vec<f32>> = (0..4).into_par_iter().map(smooth).collect();
        let values = (0..width * height).map(|at| std::array::from_fn(|part| parts[part][at])).collect();
        Self { width, height, values }
    }

    /// What they say of a picture of `size`.
    fn along(&self, picture: &RgbImage, size: ImageSize, top: f32) -> Result<Array2<f32>> {
        let [width, height] = [size.width, size.height].map(|side| side as usize);
        let between = |to: usize, old: usize, new: usize| {
            let at = ((to as f32 + 0.5) * old as f32 / new as f32 - 0.5).clamp(0.0, (old - 1) as f32);
            let first = at as usize;
            (first, (first + 1).min(old - 1), at - first as f32)
        };
        let mix =
            |a: &[f32; 4], b: &[f32; 4], part: f32| std::array::from_fn::<_, 4, _>(|i| a[i] + (b[i] - a[i]) * part);
        let columns: Vec<_> = (0..width).map(|column| between(column, self.width, width)).collect();
        let mut values = vec![0.0; width * height];
        let rows = values.par_chunks_exact_mut(width).zip(picture.par_chunks_exact(3 * width)).enumerate();
        rows.for_each(|(row, (values, pixels))| {
            let (above, below, part) = between(row, self.height, height);
            let [above, below] = [above, below].map(|row| &self.values[row * self.width..][..self.width]);
            let lines: Vec<[f32; 4]> = zip(above, below).map(|(a, b)| mix(a, b, part)).collect();
            for ((value, pixel), (left, right, part)) in zip(zip(values, pixels.as_chunks::<3>().0), &columns) {
                let line = mix(&lines[*left], &lines[*right], *part);
                let [red, green, blue] = pixel.map(|sample| f32::from(sample) / 255.0);
                *value = (line[0] * red + line[1] * green + line[2] * blue + line[3]).clamp(0.0, top);
            }
        });
        Array2::from_shape_vec((height, width), values).map_err(Error::internal)
    }
}

/// The mean over the window of a `radius` round each pixel, as far as it lies in the picture.
fn window_means(mut plane: Vec<f32>, width: usize, radius: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let mut means = vec![0.0; plane.len()];
    let span = |at: usize, end: usize| (at.saturating_sub(radius), (at + radius + 1).min(end));
    // Along the rows: sums from the left end, and differences of these.
    let mut sums = vec![0.0; width + 1];
    for row in plane.chunks_exact_mut(width) {
        for (column, value) in row.iter().enumerate() {
            sums[column + 1] = sums[column] + f64::from(*value);
        }
        for (column, value) in row.iter_mut().enumerate() {
            let (from, to) = span(column, width);
            *value = ((sums[to] - sums[from]) / (to - from) as f64) as f32;
        }
    }
    // Along the columns, all at once: a sum that rows enter and leave.
    let mut sum = vec![0.0_f64; width];
    let row = |row: usize| row * width..(row + 1) * width;
    for at in 0..height {
        let (from, to) = span(at, height);
        let entering = if at == 0 { 0..to } else { span(at - 1, height).1..to };
        let leaving = if at == 0 { 0..0 } else { span(at - 1, height).0..from };
        for entering in entering {
            zip(&mut sum, &plane[row(entering)]).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        for leaving in leaving {
            zip(&mut sum, &plane[row(leaving)]).for_each(|(sum, value)| *sum -= f64::from(*value));
        }
        let share = 1.0 / (to - from) as f64;
        zip(&mut means[row(at)], &sum).for_each(|(mean, sum)| *mean = (sum * share) as f32);
    }
    means
}

/// The slopes: the solution of the covariance of colours, its upper half, and [`FLATNESS`] on its diagonal, for the covariance with
/// the map.
fn solve([rr, rg, rb, gg, gb, bb]: [f32; 6], [r, g, b]: [f32; 3]) -> [f32; 3] {
    let [rr, gg, bb] = [rr, gg, bb].map(|variance| variance.max(0.0) + FLATNESS);
    let (c00, c01, c02) = (gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg);
    let (c11, c12, c22) = (rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg);
    let determinant = rr * c00 + rg * c01 + rb * c02;
    // With something on its diagonal a covariance has a determinant over 0, but for rounding.
    let inverse = 1.0 / determinant.max(FLATNESS * FLATNESS * FLATNESS);
    [c00 * r + c01 * g + c02 * b, c01 * r + c11 * g + c12 * b, c02 * r + c12 * g + c22 * b].map(|slope| slope * inverse)
}
