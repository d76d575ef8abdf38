//! Words and a colour bar under a picture.

use image::{DynamicImage, ImageBuffer, Pixel, RgbImage};

use super::{
    Overlay,
    canvas::{Area, GREY, INK, WHITE, draw_right, gradient},
    painting::in_colour,
    text::Style,
};

/// What a picture says beside its maps.
#[derive(Debug, Clone, Default)]
pub struct Legend {
    /// The line above all; `None` leaves it out.
    pub heading: Option<String>,
    /// What stands on the right of it, or below it where there is no room.
    pub note: Option<String>,
    /// What the two ends of the colour bar stand for.
    pub ends: [String; 2],
    /// What stands between them.
    pub scale: Option<String>,
}

impl Legend {
    /// A picture on whose lower edge a strip is put, with the legend and the colours of an overlay in it. The pixels above are as
    /// they were; the kind of pixels too, but grey becomes colour.
    ///
    /// The text is about a 36th of the picture's width high, 12 to 64 pixels; what is too long for the width is cut.
    pub fn under(&self, picture: DynamicImage, overlay: &Overlay) -> DynamicImage {
        let strip = DynamicImage::from(self.strip(picture.width(), overlay));
        match in_colour(picture) {
            DynamicImage::ImageRgb8(picture) => stacked(picture, strip.into_rgb8()).into(),
            DynamicImage::ImageRgba8(picture) => stacked(picture, strip.into_rgba8()).into(),
            DynamicImage::ImageRgb16(picture) => stacked(picture, strip.into_rgb16()).into(),
            DynamicImage::ImageRgba16(picture) => stacked(picture, strip.into_rgba16()).into(),
            other => other, // of floating-point, which no decoded photo is
        }
    }

    fn strip(&self, width: u32, overlay: &Overlay) -> RgbImage {
        let unit = (width / 36).clamp(12, 64);
        let margin = unit * 2 / 3;
        let room = width.saturating_sub(2 * margin);
        let [large, small] =
            [(unit, INK), (unit * 6 / 7, GREY)].map(|(height, colour)| Style { height: height as f32, colour });
        let [heading, note] = [&self.heading, &self.note].map(|text| text.as_deref().unwrap_or_default());
        let beside = large.width(heading) + large.width(note) + unit as f32 <= room as f32;
        let lines = if beside || heading.is_empty() || note.is_empty() { 1 } else { 2 };
        let bar = Area { x: margin, y: margin + lines * unit * 5 / 4, width: room, height: unit / 2 };
        let foot = bar.y + bar.height + unit / 4;
        let mut strip = RgbImage::from_pixel(width, foot + unit + margin / 2, WHITE);
        let [left, right] = [margin as f32, (margin + room) as f32];
        let fit = |text: &str| large.fit(text, room as f32);
        large.draw(&mut strip, left, margin as f32, &fit(heading));
        if lines == 1 {
            draw_right(&mut strip, large, right, margin as f32, &fit(note));
        } else {
            large.draw(&mut strip, left, (margin + unit * 5 / 4) as f32, &fit(note));
        }
        gradient(&mut strip, bar, overlay);
        let [low, high] = self.ends.each_ref().map(|end| small.fit(end, (room / 2).saturating_sub(2) as f32));
        small.draw(&mut strip, left, foot as f32, &low);
        draw_right(&mut strip, small, right, foot as f32, &high);
        if let Some(scale) = &self.scale {
            let between = room as f32 - small.width(&low) - small.width(&high) - unit as f32;
            let scale = small.fit(scale, between.max(0.0));
            small.draw(&mut strip, left + (room as f32 - small.width(&scale)) / 2.0, foot as f32, &scale);
        }
        strip
    }
}

/// One picture above another of the same width.
fn stacked<P: Pixel>(
    above: ImageBuffer<P, Vec<P::Subpixel>>,
    below: ImageBuffer<P, Vec<P::Subpixel>>,
) -> ImageBuffer<P, Vec<P::Subpixel>> {
    let (width, height) = (above.width(), above.height() + below.height());
    let mut samples = above.into_raw();
    samples.extend(below.into_raw());
    // There are as many samples as the two pictures had.
    ImageBuffer::from_raw(width, height, samples).unwrap_or_default()
}
