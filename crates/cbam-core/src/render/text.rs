//! Text in the embedded font.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, GlyphId, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    let bytes = include_bytes!("../../assets/fonts/DejaVuSans.ttf");
    // The file is part of the program, and a test draws with it.
    FontRef::try_from_slice(bytes).expect("the embedded font is whole")
});

/// A size and a colour of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// From the top of the tallest to the bottom of the lowest letter, in pixels.
    pub(super) height: f32,
    /// The colour.
    pub(super) colour: Rgb<u8>,
}

impl Style {
    /// The width of `text`, in pixels.
    pub(super) fn width(self, text: &str) -> f32 {
        self.layout(text).1
    }

    /// Draws `text` with its top left corner at `(x, y)`; what lies outside the picture is cut off.
    pub(super) fn draw(self, image: &mut RgbImage, x: f32, y: f32, text: &str) {
        for mut glyph in self.layout(text).0 {
            glyph.position.x += x;
            glyph.position.y += y;
            let Some(outline) = FONT.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| {
                let (px, py) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py)) else { return };
                if let Some(pixel) = image.get_pixel_mut_checked(px, py) {
                    for (sample, ink) in pixel.0.iter_mut().zip(self.colour.0) {
                        let ground = f32::from(*sample);
                        *sample = (ground + (f32::from(ink) - ground) * coverage.clamp(0.0, 1.0)).round() as u8;
                    }
                }
            });
        }
    }

    /// `text`, shortened with an ellipsis where it is wider than `width` pixels.
    pub(super) fn fit(self, text: &str, width: f32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let ends = text.char_indices().map(|(end, _)| end).rev();
        let mut shorter = ends.map(|end| format!("{}…", text[..end].trim_end_matches([' ', ','])));
        shorter.find(|text| self.width(text) <= width).unwrap_or_default()
    }

    /// The glyphs on one line whose top left corner is the origin, and its width.
    fn layout(self, text: &str) -> (Vec<Glyph>, f32) {
        let font = FONT.as_scaled(PxScale::from(self.height));
        let mut x = 0.0;
        let mut last: Option<GlyphId> = None;
        let mut glyphs = Vec::with_capacity(text.len());
        for character in text.chars() {
            let id = font.glyph_id(character);
            x += last.map_or(0.0, |last| font.kern(last, id));
            glyphs.push(id.with_scale_and_position(self.height, point(x, font.ascent())));
            x += font.h_advance(id);
            last = Some(id);
        }
        (glyphs, x)
    }
}

/// Whether the font lacks a character of `text`.
pub(crate) fn lacks(text: &str) -> bool {
    text.chars().any(|character| !character.is_control() && FONT.glyph_id(character) == GlyphId(0))
}

/// The ends of a scale, in two significant digits, or in as many more as tell them apart.
pub(crate) fn ends(low: f32, high: f32) -> [String; 2] {
    let in_digits = |digits| [low, high].map(|end| number(end, digits));
    let apart = (2..9).map(in_digits).find(|[first, second]| first != second || low.total_cmp(&high).is_eq());
    apart.unwrap_or_else(|| in_digits(9))
}

/// A number in that many significant digits, or all of them before its point.
fn number(value: f32, digits: usize) -> String {
    let magnitude = value.abs();
    match magnitude {
        0.0 => "0".to_owned(),
        _ if !(0.001..10_000.0).contains(&magnitude) => format!("{value:.*e}", digits - 1),
        _ => {
            let digits = (digits as f32 - 1.0 - magnitude.log10().floor()).max(0.0) as usize;
            let text = format!("{value:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_scale_can_be_told_apart() {
        let written = |low, high| ends(low, high).join(" ");
        assert_eq!(written(0.0, 0.836), "0 0.84");
        assert_eq!(written(0.25, 14.4), "0.25 14");
        assert_eq!(written(0.501, 0.502), "0.501 0.502");
        assert_eq!(written(0.996, 1.0), "0.996 1");
        assert_eq!(written(1234.0, 1235.0), "1234 1235");
        assert_eq!(written(0.000_012_3, 23_456.0), "1.2e-5 2.3e4");
        assert_eq!(written(0.5, 0.5), "0.5 0.5");
    }

    #[test]
    fn the_font_knows_what_it_lacks() {
        assert!(!lacks("espresso, 68.3 %  ·  Käse") && lacks("漢字"));
    }
}
