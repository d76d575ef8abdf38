//! What the network is shown: the clean picture, the picture pasted into clutter, and stamps on a background.
//!
//! A cluttered view puts the picture, at 0.4 to 1 of the canvas, on a background that has nothing to do with it, so
//! that there is something to look away from. A composite puts a cut-out object (a stamp) on a background and
//! knows exactly where it is. All randomness of a view derives from the seed and the view's own number.

use image::{RgbImage, RgbaImage, imageops};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Pictures, canvas};
use crate::Result;

/// The side of the canvas on which masks and targets are kept; both grids that the gates use divide it.
pub(super) const MASK_SIDE: usize = 56;

/// The random numbers of one purpose and one number.
pub(super) fn rng(seed: u64, purpose: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose << 48 | number);
    rng
}

/// Where a picture lies on the canvas, all as fractions of the canvas's side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) side: f32,
    pub(super) flipped: bool,
    /// Left, top, right, bottom of what hides part of it.
    pub(super) occluder: Option<[f32; 4]>,
}

/// Makes views from pictures, backgrounds and stamps.
pub(super) struct Studio {
    pictures: Pictures,
    wallpapers: Vec<RgbImage>,
    stamps: Vec<RgbaImage>,
    side: u32,
    seed: u64,
}

impl Studio {
    /// Reads the backgrounds and stamps into memory, shrunk; one that cannot be read is passed over and counted.
    pub(super) fn new(
        pictures: Pictures,
        backgrounds: &Pictures,
        stamps: &Pictures,
        side: u32,
        seed: u64,
    ) -> (Self, Vec<crate::Error>) {
        let (wallpapers, bad_wallpapers) =
            read_all(backgrounds, |index| canvas::shrink(&backgrounds.open(index)?.image, 2 * side));
        let (stamps, bad_stamps) = read_all(stamps, |index| {
            let stamp = stamps.open(index)?.image.to_rgba8();
            let factor = f64::from(side) / f64::from(stamp.width().max(stamp.height()));
            let scaled = |length: u32| ((f64::from(length) * factor.min(1.0)).round() as u32).max(1);
            canvas::resize_rgba(&stamp, scaled(stamp.width()), scaled(stamp.height()))
        });
        let stamps = stamps.into_iter().filter(|stamp| opaque_share(stamp) > 0.1).collect();
        let bad = bad_wallpapers.into_iter().chain(bad_stamps).collect();
        (Self { pictures, wallpapers, stamps, side, seed }, bad)
    }

    /// Whether it can make cluttered views and composites at all.
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.pictures.len(), self.wallpapers.len(), self.stamps.len()]
    }

    /// The middle square of a picture.
    pub(super) fn clean(&self, picture: usize) -> Result<RgbImage> {
        canvas::centre_square(&self.pictures.open(picture)?.image.to_rgb8(), self.side)
    }

    /// A clean picture pasted into clutter; `number` tells one view of it from another.
    pub(super) fn cluttered(&self, clean: &RgbImage, number: u64) -> Result<(RgbImage, Placement)> {
        let rng = &mut rng(self.seed, 1, number);
        let mut view = self.background(rng)?;
        let side = rng.random_range(0.4..=1.0f32);
        let (left, top) = (rng.random_range(0.0..=1.0 - side), rng.random_range(0.0..=1.0 - side));
        let flipped = rng.random_bool(0.5);
        let pixels = |fraction: f32| (fraction * self.side as f32).round() as u32;
        let mut pasted = canvas::resize_to(clean, pixels(side).max(1), pixels(side).max(1))?;
        if flipped {
            imageops::flip_horizontal_in_place(&mut pasted);
        }
        imageops::replace(&mut view, &pasted, i64::from(pixels(left)), i64::from(pixels(top)));
        let occluder = if rng.random_bool(0.4) { Some(self.occlude(&mut view, [left, top], side, rng)?) } else { None };
        canvas::jitter(&mut view, rng);
        Ok((view, Placement { left, top, side, flipped, occluder }))
    }

    /// A stamp on a background, and its mask `[MASK_SIDE, MASK_SIDE]` of coverage in 0..=1.
    pub(super) fn composite(&self, number: u64) -> Result<(RgbImage, Array2<f32>)> {
        let rng = &mut rng(self.seed, 2, number);
        let mut view = self.background(rng)?;
        let stamp = &self.stamps[rng.random_range(0..self.stamps.len())];
        let longer = rng.random_range(0.25..=0.75) * f64::from(self.side);
        let factor = longer / f64::from(stamp.width().max(stamp.height()));
        let scaled = |length: u32| ((f64::from(length) * factor).round() as u32).clamp(1, self.side);
        let mut stamp = canvas::resize_rgba(stamp, scaled(stamp.width()), scaled(stamp.height()))?;
        if rng.random_bool(0.5) {
            imageops::flip_horizontal_in_place(&mut stamp);
        }
        let left = rng.random_range(0..=self.side - stamp.width());
        let top = rng.random_range(0..=self.side - stamp.height());
        canvas::lay_over(&mut view, &stamp, left, top);
        canvas::jitter(&mut view, rng);
        let mut mask = Array2::<f32>::zeros((MASK_SIDE, MASK_SIDE));
        let cell = self.side as usize / MASK_SIDE;
        for (x, y, pixel) in stamp.enumerate_pixels() {
            let (row, column) = ((top + y) as usize / cell, (left + x) as usize / cell);
            if let Some(value) = mask.get_mut((row, column)) {
                *value += f32::from(pixel[3]) / 255.0 / (cell * cell) as f32;
            }
        }
        Ok((view, mask))
    }

    /// A wallpaper (40 %), a zoomed texture, a blurred picture or shuffled tiles (20 % each).
    fn background(&self, rng: &mut ChaCha8Rng) -> Result<RgbImage> {
        let kind = rng.random_range(0..5);
        if kind < 2 {
            let wallpaper = &self.wallpapers[rng.random_range(0..self.wallpapers.len())];
            return canvas::random_square(wallpaper, rng.random_range(0.4..=1.0), self.side, rng);
        }
        let other = self.pictures.open(rng.random_range(0..self.pictures.len()))?.image.to_rgb8();
        match kind {
            2 => canvas::random_square(&other, rng.random_range(0.1..=0.3), self.side, rng),
            3 => canvas::blurred(&canvas::centre_square(&other, self.side)?, rng),
            _ => Ok(canvas::shuffled_tiles(&canvas::centre_square(&other, self.side)?, rng)),
        }
    }

    /// Hides a rectangle of 15 to 40 % a side, over the pasted picture, with a piece of another background.
    fn occlude(&self, view: &mut RgbImage, [left, top]: [f32; 2], side: f32, rng: &mut ChaCha8Rng) -> Result<[f32; 4]> {
        let (width, height) = (side * rng.random_range(0.15..=0.4f32), side * rng.random_range(0.15..=0.4f32));
        let x = left + rng.random_range(0.0..=side - width);
        let y = top + rng.random_range(0.0..=side - height);
        let pixels = |fraction: f32| (fraction * self.side as f32).round() as u32;
        let piece = canvas::resize_to(&self.background(rng)?, pixels(width).max(1), pixels(height).max(1))?;
        imageops::replace(view, &piece, i64::from(pixels(x)), i64::from(pixels(y)));
        Ok([x, y, x + width, y + height])
    }
}

/// Reads pictures side by side; returns those that could be read, in order, and the errors of the others.
fn read_all<T: Send>(
    pictures: &Pictures,
    read: impl Fn(usize) -> Result<T> + Send + Sync,
) -> (Vec<T>, Vec<crate::Error>) {
    let results: Vec<Result<T>> = (0..pictures.len()).into_par_iter().map(read).collect();
    let (mut read, mut bad) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(picture) => read.push(picture),
            Err(error) => bad.push(error),
        }
    }
    (read, bad)
}

fn opaque_share(stamp: &RgbaImage) -> f32 {
    let opaque = stamp.pixels().filter(|pixel| pixel[3] > 127).count();
    opaque as f32 / (stamp.width() * stamp.height()) as f32
}
