//! Rectangles, pictures and colours of a panel.

use image::{Rgb, RgbImage, imageops};

use super::{Overlay, text::Style};

pub(super) const WHITE: Rgb<u8> = Rgb([255; 3]);
/// Text.
pub(super) const INK: Rgb<u8> = Rgb([33, 37, 41]);
/// Text that matters less.
pub(super) const GREY: Rgb<u8> = Rgb([108, 117, 125]);
/// The ground of charts.
pub(super) const PALE: Rgb<u8> = Rgb([241, 243, 245]);
/// Lines in charts.
pub(super) const RULE: Rgb<u8> = Rgb([206, 212, 218]);
/// Bars.
pub(super) const BAR: Rgb<u8> = Rgb([66, 99, 165]);

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Fills the part of `area` that lies in the picture.
pub(super) fn fill(image: &mut RgbImage, area: Area, colour: Rgb<u8>) {
    for y in area.y..area.y.saturating_add(area.height).min(image.height()) {
        for x in area.x..area.x.saturating_add(area.width).min(image.width()) {
            image.put_pixel(x, y, colour);
        }
    }
}

/// Puts `tile` in the middle of `area`, with a hairline round it.
pub(super) fn place_framed(image: &mut RgbImage, area: Area, tile: &RgbImage) {
    let x = area.x + area.width.saturating_sub(tile.width()) / 2;
    let y = area.y + area.height.saturating_sub(tile.height()) / 2;
    let frame =
        Area { x: x.saturating_sub(1), y: y.saturating_sub(1), width: tile.width() + 2, height: tile.height() + 2 };
    fill(image, frame, RULE);
    place(image, area, tile);
}

/// Puts `tile` in the middle of `area`.
pub(super) fn place(image: &mut RgbImage, area: Area, tile: &RgbImage) {
    let x = area.x + area.width.saturating_sub(tile.width()) / 2;
    let y = area.y + area.height.saturating_sub(tile.height()) / 2;
    imageops::replace(image, tile, i64::from(x), i64::from(y));
}

/// Draws `text` so that it ends at `right`.
pub(super) fn draw_right(image: &mut RgbImage, style: Style, right: f32, y: f32, text: &str) {
    style.draw(image, right - style.width(text), y, text);
}

/// Fills `area` with the colours of an overlay, low on the left, as they lie on white at full strength.
pub(super) fn gradient(image: &mut RgbImage, area: Area, overlay: &Overlay) {
    let last = area.width.saturating_sub(1).max(1) as f32;
    for column in 0..area.width {
        let stripe = Area { x: area.x + column, width: 1, ..area };
        let value = column as f32 / last;
        let strength = overlay.opacity.strength(1.0, value);
        let on_white = |colour: u8| (255.0 + (f32::from(colour) - 255.0) * strength).round() as u8;
        fill(image, stripe, Rgb(overlay.colormap.color(value).map(on_white)));
    }
}
