//! What the network is shown: the clean picture, the picture pasted into clutter, and stamps on a background.
//!
//! A cluttered view puts the picture, at 0.4 to 1 of the canvas, on a background that has nothing to do with it, so
//! that there is something to look away from. A composite puts a cut-out object (a stamp) on a background and
//! knows exactly where it is. All randomness of a view derives from the seed and the view's own number.

use std::ops::RangeInclusive;

use image::{RgbImage, RgbaImage, imageops};
use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Pictures;
use super::random::{Stream, Views, rng};
use super::teacher::Framing;
use crate::photo::clutter::{ClutterKind, HIDDEN, HIDDEN_SIDE, MIRRORED, SIDE};
use crate::photo::{ImageSize, Photo, compose};
use crate::{Error, Result};

/// The side in pixels of a cell of the masks and targets; it divides the strides of all gates.
pub(super) const CELL: u32 = 4;

/// Where a picture lies on the canvas, all as fractions of the canvas's width and height.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) side: f32,
    pub(super) flipped: bool,
    /// Left, top, right, bottom of what hides part of it.
    pub(super) occluder: Option<[f32; 4]>,
}

/// Backgrounds, shrunk and held in memory, and the errors of those that cannot be read.
pub(super) fn read_backgrounds(backgrounds: &Pictures, side: u32) -> (Vec<RgbImage>, Vec<Error>) {
    read_all(backgrounds, |index| Ok(compose::shrink(&backgrounds.open(index)?.image, 2 * side)?))
}

/// Stamps, shrunk and held in memory, and the errors of those that cannot be read; without those that are little but
/// transparency.
pub(super) fn read_stamps(stamps: &Pictures, side: u32) -> (Vec<RgbaImage>, Vec<Error>) {
    let (mut stamps, bad) = read_all(stamps, |index| {
        let stamp = stamps.open(index)?.image.to_rgba8();
        let factor = f64::from(side) / f64::from(stamp.width().max(stamp.height()));
        let scaled = |length: u32| ((f64::from(length) * factor.min(1.0)).round() as u32).max(1);
        Ok(compose::resize_rgba(&stamp, scaled(stamp.width()), scaled(stamp.height()))?)
    });
    stamps.retain(|stamp| {
        let opaque = stamp.pixels().filter(|pixel| pixel[3] > 127).count();
        opaque as f32 > 0.1 * (stamp.width() * stamp.height()) as f32
    });
    (stamps, bad)
}

/// Makes views of one size from pictures, backgrounds and stamps.
pub(super) struct Studio<'a> {
    /// What there is to look at.
    pub(super) pictures: Pictures,
    /// What to put it on.
    pub(super) backgrounds: &'a [RgbImage],
    /// Cut-out objects.
    pub(super) stamps: &'a [RgbaImage],
    /// The size of the views.
    pub(super) size: ImageSize,
    /// The seed, and which of its views are this studio's.
    pub(super) seed: u64,
    pub(super) views: Views,
}

impl Studio<'_> {
    /// Rows and columns of the masks.
    pub(super) fn mask_grid(&self) -> (usize, usize) {
        ((self.size.height / CELL) as usize, (self.size.width / CELL) as usize)
    }

    /// A picture as each of these looks sees it: the middle of it, in their shape.
    pub(super) fn clean(&self, picture: usize, framings: &[Framing]) -> Result<Vec<RgbImage>> {
        let picture = self.pictures.open(picture)?.image.to_rgb8();
        let seen = |framing: &Framing| {
            let mut seen = compose::centre(&picture, framing.size)?;
            if framing.mirrored {
                imageops::flip_horizontal_in_place(&mut seen);
            }
            Ok(seen)
        };
        framings.iter().map(seen).collect()
    }

    /// A clean picture pasted into clutter; `number` tells one view of it from another.
    pub(super) fn cluttered(&self, clean: &RgbImage, number: u64) -> Result<(RgbImage, Placement)> {
        let rng = &mut rng(self.seed, Stream::Cluttered(self.views), number);
        let mut view = self.background(rng)?;
        let side = rng.random_range(single(SIDE));
        let (left, top) = (rng.random_range(0.0..=1.0 - side), rng.random_range(0.0..=1.0 - side));
        let flipped = rng.random_bool(MIRRORED);
        let [width, height] = self.pixels([side, side]);
        let mut pasted = compose::resize_to(clean, width.max(1), height.max(1))?;
        if flipped {
            imageops::flip_horizontal_in_place(&mut pasted);
        }
        let [x, y] = self.pixels([left, top]);
        imageops::replace(&mut view, &pasted, i64::from(x), i64::from(y));
        let occluder =
            if rng.random_bool(HIDDEN) { Some(self.occlude(&mut view, [left, top], side, rng)?) } else { None };
        compose::jitter(&mut view, rng);
        Ok((view, Placement { left, top, side, flipped, occluder }))
    }

    /// A stamp on a background, and its mask of coverage in 0..=1, on the mask grid.
    pub(super) fn composite(&self, number: u64) -> Result<(RgbImage, Array2<f32>)> {
        let rng = &mut rng(self.seed, Stream::Composite(self.views), number);
        let mut view = self.background(rng)?;
        let stamp = &self.stamps[rng.random_range(0..self.stamps.len())];
        let short_side = self.size.width.min(self.size.height);
        let longer = rng.random_range(0.25..=0.75) * f64::from(short_side);
        let factor = longer / f64::from(stamp.width().max(stamp.height()));
        let scaled = |length: u32| ((f64::from(length) * factor).round() as u32).clamp(1, short_side);
        let mut stamp = compose::resize_rgba(stamp, scaled(stamp.width()), scaled(stamp.height()))?;
        if rng.random_bool(0.5) {
            imageops::flip_horizontal_in_place(&mut stamp);
        }
        let left = rng.random_range(0..=self.size.width - stamp.width());
        let top = rng.random_range(0..=self.size.height - stamp.height());
        compose::lay_over(&mut view, &stamp, left, top);
        compose::jitter(&mut view, rng);
        let mut mask = Array2::<f32>::zeros(self.mask_grid());
        for (x, y, pixel) in stamp.enumerate_pixels() {
            let cell = [(top + y) / CELL, (left + x) / CELL].map(|place| place as usize);
            if let Some(value) = mask.get_mut(cell) {
                *value += f32::from(pixel[3]) / 255.0 / (CELL * CELL) as f32;
            }
        }
        Ok((view, mask))
    }

    /// A wallpaper (40 %), a zoomed texture, a blurred picture or shuffled tiles (20 % each).
    fn background(&self, rng: &mut ChaCha8Rng) -> Result<RgbImage> {
        let kind = rng.random_range(0..5);
        let Some(other) = (kind as u32).checked_sub(ClutterKind::WALLPAPERS_OF_FIVE) else {
            let wallpaper = &self.backgrounds[rng.random_range(0..self.backgrounds.len())];
            return Ok(ClutterKind::Wallpaper.ground(wallpaper, self.size, rng)?);
        };
        let of = self.other(rng.random_range(0..self.pictures.len()))?.image.to_rgb8();
        Ok(ClutterKind::OF_PICTURES[other as usize].ground(&of, self.size, rng)?)
    }

    /// The picture at this position, or the next one that can be read: a bad one costs no other its view.
    fn other(&self, position: usize) -> Result<Photo> {
        let count = self.pictures.len();
        let mut others = (0..count).map(|next| self.pictures.open((position + next) % count));
        let first = others.next().ok_or_else(|| Error::argument("images", "no pictures to make grounds of"))?;
        first.or_else(|error| others.find_map(Result::ok).ok_or(error))
    }

    /// Hides a rectangle of 15 to 40 % a side, over the pasted picture, with a piece of another background.
    fn occlude(&self, view: &mut RgbImage, [left, top]: [f32; 2], side: f32, rng: &mut ChaCha8Rng) -> Result<[f32; 4]> {
        let (width, height) =
            (side * rng.random_range(single(HIDDEN_SIDE)), side * rng.random_range(single(HIDDEN_SIDE)));
        let x = left + rng.random_range(0.0..=side - width);
        let y = top + rng.random_range(0.0..=side - height);
        let [wide, high] = self.pixels([width, height]);
        let piece = compose::resize_to(&self.background(rng)?, wide.max(1), high.max(1))?;
        let [left, top] = self.pixels([x, y]);
        imageops::replace(view, &piece, i64::from(left), i64::from(top));
        Ok([x, y, x + width, y + height])
    }

    /// Fractions of the width and the height in pixels.
    fn pixels(&self, [x, y]: [f32; 2]) -> [u32; 2] {
        [x * self.size.width as f32, y * self.size.height as f32].map(|length| length.round() as u32)
    }
}

/// Reads pictures side by side; returns those that could be read, in order, and the errors of the others.
fn read_all<T: Send>(pictures: &Pictures, read: impl Fn(usize) -> Result<T> + Send + Sync) -> (Vec<T>, Vec<Error>) {
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

/// In single precision.
fn single(range: RangeInclusive<f64>) -> RangeInclusive<f32> {
    *range.start() as f32..=*range.end() as f32
}
