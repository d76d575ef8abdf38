//! A training picture: a random part of it, maybe mirrored, in slightly other colours.

use image::{RgbImage, imageops};
use rand::Rng;

use crate::Result;
use crate::photo::{ImageSize, compose};

/// The proportions of a part: as wide as this many heights, and the inverse.
const RATIO: f64 = 4.0 / 3.0;
/// How often a part is drawn that may not fit.
const ATTEMPTS: usize = 10;

/// A random part of between `least` and all of the picture's area, resized (as in Szegedy et al. 2015), mirrored with chance ½,
/// with [`compose::jitter`].
pub(super) fn augment(picture: &RgbImage, size: ImageSize, least: f64, rng: &mut impl Rng) -> Result<RgbImage> {
    let part = random_part(picture.dimensions(), size, least, rng);
    let mut view = compose::resize_part(picture, part, size.width, size.height)?;
    if rng.random_bool(0.5) {
        imageops::flip_horizontal_in_place(&mut view);
    }
    compose::jitter(&mut view, rng);
    Ok(view)
}

/// Left, top, width and height of the part, in pixels: within the picture, and at least one pixel.
fn random_part((width, height): (u32, u32), size: ImageSize, least: f64, rng: &mut impl Rng) -> [f64; 4] {
    let [width, height] = [width, height].map(f64::from);
    for _ in 0..ATTEMPTS {
        let area = width * height * rng.random_range(least..=1.0);
        let ratio = RATIO.powf(rng.random_range(-1.0..=1.0)) * f64::from(size.width) / f64::from(size.height);
        let part = [(area * ratio).sqrt(), (area / ratio).sqrt()];
        if part[0] <= width && part[1] <= height {
            let part = part.map(|side| side.max(1.0));
            let left = rng.random_range(0.0..=(width - part[0]).max(0.0));
            let top = rng.random_range(0.0..=(height - part[1]).max(0.0));
            return [left, top, part[0], part[1]];
        }
    }
    // A long picture: what fits of it, in the middle.
    let shape = f64::from(size.width) / f64::from(size.height);
    let part = if width / height > shape { [height * shape, height] } else { [width, width / shape] };
    [(width - part[0]) / 2.0, (height - part[1]) / 2.0, part[0], part[1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::{Stream, rng};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_part_lies_in_the_picture_and_has_its_area(
            width in 1u32..500, height in 1u32..500, least in 0.05..1.0f64, seed in any::<u64>()
        ) {
            let size = ImageSize::new(224, 224);
            let [left, top, part_width, part_height] = random_part((width, height), size, least, &mut rng(seed, Stream::Augment, 0));
            let slack = 1e-9 * f64::from(width.max(height));
            prop_assert!(left >= 0.0 && top >= 0.0);
            prop_assert!(left + part_width <= f64::from(width) + slack && top + part_height <= f64::from(height) + slack);
            let share = part_width * part_height / f64::from(width * height);
            let long = width.max(height) > width.min(height);
            prop_assert!(share <= 1.0 + 1e-9 && (share >= least * 0.999 || long), "{share}");
        }
    }

    #[test]
    fn the_same_numbers_make_the_same_picture() {
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, 90]));
        let view = |seed| augment(&picture, ImageSize::new(32, 32), 0.25, &mut rng(seed, Stream::Augment, 2)).unwrap();
        assert_eq!(view(1), view(1));
        assert_ne!(view(1), view(2));
    }
}
