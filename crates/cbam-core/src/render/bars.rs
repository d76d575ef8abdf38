//! Bar charts.

use image::RgbImage;
use ndarray::Array1;

use super::{
    canvas::{Area, BAR, GREY, PALE, RULE, WHITE, draw_right, fill},
    text::Style,
};
use crate::{Error, Result, photo::ImageSize};

/// A channel gate as a bar chart: one bar per channel, in their order, on a scale from 0 to 1.
///
/// Where there are more channels than columns, a column shows the mean of its channels. Values are clamped to `[0, 1]`.
///
/// # Errors
/// [`Error::Argument`] if there are no values, or `size` is under 48×32 pixels.
pub fn bar_chart(values: &Array1<f32>, size: ImageSize) -> Result<RgbImage> {
    const AXIS: u32 = 26; // room for the scale, on the left
    const MARGIN: u32 = 6; // half a line of text, above and below
    if values.is_empty() || size.width < 48 || size.height < 32 {
        let message = format!("{} values on {size} pixels cannot be drawn; 48x32 is the least", values.len());
        return Err(Error::argument("bar chart", message));
    }
    let mut image = RgbImage::from_pixel(size.width, size.height, WHITE);
    let plot = Area { x: AXIS, y: MARGIN, width: size.width - AXIS, height: size.height - 2 * MARGIN };
    fill(&mut image, plot, PALE);
    let style = Style { height: 12.0, colour: GREY };
    let row = |value: f32| plot.y + ((1.0 - value) * (plot.height - 1) as f32).round() as u32;
    for (value, label) in [(0.0, "0"), (0.5, "0.5"), (1.0, "1")] {
        fill(&mut image, Area { y: row(value), height: 1, ..plot }, RULE);
        draw_right(&mut image, style, (AXIS - 4) as f32, row(value) as f32 - style.height / 2.0, label);
    }
    for column in 0..plot.width {
        let channel = |column: u32| u64::from(column) * values.len() as u64 / u64::from(plot.width);
        let (first, end) = (channel(column) as usize, channel(column + 1) as usize);
        // A bar that is wide enough keeps its last column free.
        if end > first && plot.width as usize / values.len() >= 4 {
            continue;
        }
        let covered = values.iter().skip(first).take(end.saturating_sub(first).max(1));
        let count = covered.len().max(1) as f32;
        let value = (covered.map(|value| value.clamp(0.0, 1.0)).sum::<f32>() / count).clamp(0.0, 1.0);
        let top = row(value);
        fill(&mut image, Area { x: plot.x + column, y: top, width: 1, height: plot.y + plot.height - top }, BAR);
    }
    Ok(image)
}
