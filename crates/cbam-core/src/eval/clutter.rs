//! Pictures made difficult: each is put, smaller, on a ground that has nothing to do with it.
//!
//! Four kinds of ground are those that training uses ([`distill`](crate::train::distill())): a wallpaper, a texture (a
//! small part of another picture, enlarged), another picture blurred, another picture cut into shuffled tiles; as there, a
//! piece of another ground may hide a part, and colours are changed. The fifth, [`Shapes`](ClutterKind::Shapes), is never
//! trained on: stripes, and bright discs, bars and triangles behind and over the picture.

use image::{DynamicImage, Rgb, RgbImage, imageops};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{BoundingBox, Region};
use crate::photo::clutter::{ClutterKind, HIDDEN, HIDDEN_SIDE, MIRRORED, SIDE};
use crate::photo::{ImageSize, compose};
use crate::{Error, Result};

/// Makes cluttered pictures; the same from the same seed, name, picture and grounds.
#[derive(Debug)]
pub struct Clutter {
    seed: u64,
    short_side: u32,
    /// Other pictures, by name.
    others: Vec<(String, RgbImage)>,
    wallpapers: Vec<RgbImage>,
}

/// A picture on its clutter.
#[derive(Debug, Clone)]
pub struct Cluttered {
    /// What there is to see.
    pub picture: RgbImage,
    /// What the picture lies on.
    pub kind: ClutterKind,
    /// Where it lies, in pixels.
    pub place: BoundingBox,
    /// Whether it is mirrored.
    pub flipped: bool,
    /// Whether a part of it is hidden.
    pub hidden: bool,
}

impl Clutter {
    /// A generator whose pictures have a short side of at most `short_side`. It needs [other pictures](Self::add_other).
    pub fn new(seed: u64, short_side: u32) -> Self {
        Self { seed, short_side: short_side.max(1), others: Vec::new(), wallpapers: Vec::new() }
    }

    /// Adds a picture that grounds are made from, never one for itself: it is known by its name.
    ///
    /// # Errors
    /// [`Error::Argument`] if it cannot be resized.
    pub fn add_other(&mut self, name: &str, picture: &DynamicImage) -> Result<()> {
        self.others.push((name.to_owned(), compose::shrink(picture, self.short_side)?));
        Ok(())
    }

    /// Adds a wallpaper.
    ///
    /// # Errors
    /// [`Error::Argument`] if it cannot be resized.
    pub fn add_wallpaper(&mut self, picture: &DynamicImage) -> Result<()> {
        self.wallpapers.push(compose::shrink(picture, self.short_side)?);
        Ok(())
    }

    /// How many other pictures and wallpapers there are.
    pub fn grounds(&self) -> (usize, usize) {
        (self.others.len(), self.wallpapers.len())
    }

    /// The picture called `name` on a ground that training uses, or on [`ClutterKind::Shapes`] if `untrained`.
    ///
    /// Wallpapers take two fifths of the grounds if there are any, and the other three kinds equal parts. The picture
    /// takes 0.4 to 1 of each side; with chance 0.4 a rectangle of 15 to 40 % of its sides hides a part of it.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are fewer than two other pictures, or the picture cannot be resized.
    pub fn make(&self, name: &str, picture: &DynamicImage, untrained: bool) -> Result<Cluttered> {
        if self.others.len() < 2 {
            return Err(Error::argument(
                "clutter",
                "needs at least two pictures, to put one on what is left of the other",
            ));
        }
        let picture = compose::shrink(picture, self.short_side)?;
        let size = ImageSize::new(picture.width(), picture.height());
        let mut rng = self.rng(name, untrained);
        let (mut view, kind) =
            if untrained { (stripes(size, &mut rng), ClutterKind::Shapes) } else { self.ground(name, size, &mut rng)? };
        if untrained {
            (0..40).for_each(|_| Shape::draw(&mut view, [0, 0, size.width, size.height], 0.03..0.09, &mut rng));
        }
        let share = rng.random_range(SIDE);
        let scaled = |side: u32| ((f64::from(side) * share).round() as u32).clamp(1, side);
        let (width, height) = (scaled(size.width), scaled(size.height));
        let (left, top) = (rng.random_range(0..=size.width - width), rng.random_range(0..=size.height - height));
        let flipped = rng.random_bool(MIRRORED);
        let mut pasted = compose::resize_to(&picture, width, height)?;
        if flipped {
            imageops::flip_horizontal_in_place(&mut pasted);
        }
        imageops::replace(&mut view, &pasted, i64::from(left), i64::from(top));
        let hidden = if untrained {
            (0..5).for_each(|_| Shape::draw(&mut view, [left, top, width, height], 0.04..0.08, &mut rng));
            true
        } else {
            let hidden = rng.random_bool(HIDDEN);
            if hidden {
                self.hide(name, &mut view, [left, top, width, height], &mut rng)?;
            }
            compose::jitter(&mut view, &mut rng);
            hidden
        };
        let [x0, y0, x1, y1] = [left, top, left + width, top + height].map(f64::from);
        Ok(Cluttered { picture: view, kind, place: BoundingBox { x0, y0, x1, y1 }, flipped, hidden })
    }

    /// What everything that is drawn depends on, for the key of a cache.
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(self.short_side.to_le_bytes());
        for (name, picture) in &self.others {
            hash.update(name.as_bytes());
            hash.update(picture.as_raw());
        }
        for wallpaper in &self.wallpapers {
            hash.update(wallpaper.as_raw());
        }
        hash.finalize().to_vec()
    }

    fn rng(&self, name: &str, untrained: bool) -> ChaCha8Rng {
        let digest = Sha256::digest(name.as_bytes());
        let stream = digest.iter().take(7).fold(0, |stream: u64, byte| stream << 8 | u64::from(*byte));
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream << 1 | u64::from(untrained));
        rng
    }

    fn ground(&self, name: &str, size: ImageSize, rng: &mut ChaCha8Rng) -> Result<(RgbImage, ClutterKind)> {
        let wallpapers = f64::from(ClutterKind::WALLPAPERS_OF_FIVE) / 5.0;
        if !self.wallpapers.is_empty() && rng.random_bool(wallpapers) {
            let wallpaper = &self.wallpapers[rng.random_range(0..self.wallpapers.len())];
            let kind = ClutterKind::Wallpaper;
            return Ok((kind.ground(wallpaper, size, rng)?, kind));
        }
        let first = rng.random_range(0..self.others.len());
        let next = if self.others[first].0 == name { (first + 1) % self.others.len() } else { first };
        let kind = ClutterKind::OF_PICTURES[rng.random_range(0..ClutterKind::OF_PICTURES.len() as i32) as usize];
        Ok((kind.ground(&self.others[next].1, size, rng)?, kind))
    }

    /// Hides a rectangle of what lies at `[left, top, width, height]` with a piece of another ground.
    fn hide(&self, name: &str, view: &mut RgbImage, place: [u32; 4], rng: &mut ChaCha8Rng) -> Result<()> {
        let [left, top, width, height] = place;
        let mut part = |side: u32| ((f64::from(side) * rng.random_range(HIDDEN_SIDE)).round() as u32).clamp(1, side);
        let (wide, high) = (part(width), part(height));
        let (x, y) = (left + rng.random_range(0..=width - wide), top + rng.random_range(0..=height - high));
        let (piece, _) = self.ground(name, ImageSize::new(wide, high), rng)?;
        imageops::replace(view, &piece, i64::from(x), i64::from(y));
        Ok(())
    }
}

impl Cluttered {
    /// Where the objects of the picture lie now. `region` is the one of the picture as it was.
    pub fn region(&self, region: &Region) -> Region {
        let (height, width) = region.inside.dim();
        let BoundingBox { x0: left, y0: top, x1: right, y1: bottom } = self.place;
        let (across, down) = ((right - left) / width as f64, (bottom - top) / height as f64);
        let moved = |b: &BoundingBox| {
            let [x0, x1] = [b.x0, b.x1].map(|x| x * across);
            let [x0, x1] = if self.flipped { [right - left - x1, right - left - x0] } else { [x0, x1] };
            BoundingBox { x0: left + x0, y0: top + b.y0 * down, x1: left + x1, y1: top + b.y1 * down }
        };
        let shape = (self.picture.height() as usize, self.picture.width() as usize);
        // A pixel belongs to the object if its centre falls on a pixel of the object.
        let taken = |from: &Array2<bool>| {
            Array2::from_shape_fn(shape, |(y, x)| {
                let (x, y) = (x as f64 + 0.5 - left, y as f64 + 0.5 - top);
                let x = if self.flipped { right - left - x } else { x };
                let (column, row) = ((x / across).floor(), (y / down).floor());
                let on = (0.0..width as f64).contains(&column) && (0.0..height as f64).contains(&row);
                on && from[[row as usize, column as usize]]
            })
        };
        let boxes = region.boxes.iter().map(moved).collect();
        Region { inside: taken(&region.inside), void: region.void.as_ref().map(taken), boxes }
    }
}

/// Slanted stripes of two colours.
fn stripes(size: ImageSize, rng: &mut ChaCha8Rng) -> RgbImage {
    let short_side = f64::from(size.short_side());
    let period = short_side * rng.random_range(0.04..0.12);
    let (sin, cos) = rng.random_range(0.0..std::f64::consts::PI).sin_cos();
    let colours = [bright(rng), bright(rng)];
    RgbImage::from_fn(size.width, size.height, |x, y| {
        let along = f64::from(x) * cos + f64::from(y) * sin;
        colours[usize::from(along.rem_euclid(period) < period / 2.0)]
    })
}

fn bright(rng: &mut ChaCha8Rng) -> Rgb<u8> {
    let mut colour = [rng.random_range(0..64), rng.random_range(192..=255), rng.random()];
    colour.rotate_left(rng.random_range(0..3));
    Rgb(colour)
}

/// A disc, a bar or a triangle.
struct Shape;

impl Shape {
    /// Draws one, its radius a share of the short side, with its centre anywhere in `[left, top, width, height]`.
    fn draw(view: &mut RgbImage, place: [u32; 4], radius: std::ops::Range<f64>, rng: &mut ChaCha8Rng) {
        let [left, top, width, height] = place.map(f64::from);
        let (x, y) = (left + rng.random_range(0.0..width), top + rng.random_range(0.0..height));
        let radius = (rng.random_range(radius) * width.min(height)).max(1.0);
        let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
        let (kind, colour) = (rng.random_range(0..3), bright(rng));
        let reach = |middle: f64, side: u32| {
            let (low, high) = ((middle - 1.5 * radius).floor(), (middle + 1.5 * radius).ceil());
            low.max(0.0) as u32..(high.max(0.0) as u32).min(side)
        };
        for row in reach(y, view.height()) {
            for column in reach(x, view.width()) {
                let (dx, dy) = ((f64::from(column) + 0.5 - x) / radius, (f64::from(row) + 0.5 - y) / radius);
                let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
                let inside = match kind {
                    0 => u * u + v * v < 1.0,
                    1 => u.abs() < 1.4 && v.abs() < 0.4,
                    _ => v > -0.6 && v < 1.0 - 1.6 * u.abs(),
                };
                if inside {
                    view.put_pixel(column, row, colour);
                }
            }
        }
    }
}
