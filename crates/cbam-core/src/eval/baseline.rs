//! Maps that know nothing of the picture: what any other has to beat.

use ndarray::Array2;

use crate::photo::ImageSize;

/// A map that is 1 at the central pixel, `(height / 2, width / 2)`, and 0 elsewhere, `[height, width]`.
pub fn centre_point(size: ImageSize) -> Array2<f32> {
    let (height, width) = (size.height as usize, size.width as usize);
    Array2::from_shape_fn((height, width), |place| f32::from(u8::from(place == (height / 2, width / 2))))
}

/// A Gaussian around the central pixel, `[height, width]`, in `(0, 1]`: its standard deviation is a quarter of the width
/// across and a quarter of the height down, so that it fills the picture as objects do that are photographed on purpose.
pub fn centre_gaussian(size: ImageSize) -> Array2<f32> {
    let (height, width) = (size.height as usize, size.width as usize);
    let fall = |position: usize, side: usize| {
        let away = (position as f64 - (side / 2) as f64) / (side as f64 / 4.0);
        (-0.5 * away * away).exp()
    };
    Array2::from_shape_fn((height, width), |(y, x)| (fall(y, height) * fall(x, width)) as f32)
}
