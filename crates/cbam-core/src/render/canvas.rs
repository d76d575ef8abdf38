//! Rectangles, pictures and colours of a panel.

use image::{Rgb, RgbImage, imageops};

use super::{Colormap, text::Style};

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

/// Fills `area` with a colour map, low on the left.
pub(super) fn gradient(image: &mut RgbImage, area: Area, colormap: Colormap) {
    let last = area.width.saturating_sub(1).max(1) as f32;
    for column in 0..area.width {
        let stripe = Area { x: area.x + column, width: 1, ..area };
        fill(image, stripe, Rgb(colormap.color(column as f32 / last)));
    }
}
