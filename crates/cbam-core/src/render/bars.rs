//! Bar charts.

use image::RgbImage;
use ndarray::Array1;

use super::{
    canvas::{Area, BAR, GREY, PALE, RULE, WHITE, draw_right, fill},
    text::Style,
};
use crate::{Error, Result, photo::ImageSize};

/// A channel gate as a bar chart: one bar per channel, the strongest first, on a scale from 0 to 1, and above them the numbers of the
/// three strongest channels, where there is room.
///
/// Where there are more channels than columns, a column shows the mean of its channels. Values are clamped to `[0, 1]`.
///
/// # Errors
/// [`Error::Argument`] if there are no values, or `size` is under 48×32 pixels.
pub fn bar_chart(values: &Array1<f32>, size: ImageSize) -> Result<RgbImage> {
    const AXIS: u32 = 26; // room for the scale, on the left
    const MARGIN: u32 = 6; // half a line of text, above and below
    const LINE: u32 = 16; // the numbers of the strongest
    if values.is_empty() || size.width < 48 || size.height < 32 {
        let message = format!("{} values on {size} pixels cannot be drawn; 48x32 is the least", values.len());
        return Err(Error::argument("bar chart", message));
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    let style = Style { height: 12.0, colour: GREY };
    let strongest: Vec<_> = order.iter().take(3).map(ToString::to_string).collect();
    let strongest = format!("strongest: {}", strongest.join(", "));
    let head = if size.height >= 80 && style.width(&strongest) <= (size.width - AXIS) as f32 { LINE } else { 0 };

    let mut image = RgbImage::from_pixel(size.width, size.height, WHITE);
    let plot = Area { x: AXIS, y: MARGIN + head, width: size.width - AXIS, height: size.height - 2 * MARGIN - head };
    fill(&mut image, plot, PALE);
    if head > 0 {
        style.draw(&mut image, AXIS as f32, 0.0, &strongest);
    }
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
        let covered = order.iter().skip(first).take(end.saturating_sub(first).max(1));
        let count = covered.len().max(1) as f32;
        let value = (covered.map(|channel| values[*channel].clamp(0.0, 1.0)).sum::<f32>() / count).clamp(0.0, 1.0);
        let top = row(value);
        fill(&mut image, Area { x: plot.x + column, y: top, width: 1, height: plot.y + plot.height - top }, BAR);
    }
    Ok(image)
}
