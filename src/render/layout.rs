//! Where things stand on a panel.

use super::canvas::Area;
use crate::photo::ImageSize;

/// Around the sheet.
pub(super) const MARGIN: u32 = 24;
/// Between tiles.
pub(super) const GAP: u32 = 18;
/// The line above a tile.
pub(super) const TITLE: u32 = 24;
/// A colour bar and its numbers, under a map.
pub(super) const FOOT: u32 = 30;
/// The width of the labels.
pub(super) const LABELS: u32 = 280;
/// From one label to the next.
pub(super) const LABEL_STEP: u32 = 46;
/// A bar chart, with its title.
const CHART: ImageSize = ImageSize::new(270, 130);
/// The least width of a tile, so that its title can be read.
const LEAST_WIDTH: u32 = 150;

/// Where everything on a panel stands.
#[derive(Debug)]
pub(super) struct Layout {
    /// The whole sheet.
    pub(super) sheet: ImageSize,
    /// The picture in a large tile.
    pub(super) large: ImageSize,
    /// The picture in a small tile.
    pub(super) small: ImageSize,
    /// The picture, and then the main map if there is one: large tiles.
    pub(super) main: Vec<Area>,
    /// The labels.
    pub(super) labels: Area,
    /// The other maps: small tiles.
    pub(super) maps: Vec<Area>,
    /// The charts.
    pub(super) charts: Vec<Area>,
}

impl Layout {
    /// Lays out a panel of a picture of size `picture`, so many maps (the first one large), charts and labels.
    pub(super) fn new(picture: ImageSize, maps: usize, charts: usize, labels: usize) -> Self {
        let ratio = (f64::from(picture.width) / f64::from(picture.height)).clamp(0.2, 5.0);
        let (large, small) = (of_shape(ratio, 140_000.0), of_shape(ratio, 44_000.0));

        // Wide pictures stand under each other, others side by side; the labels stand beside them.
        let main_count = 1 + maps.min(1);
        let main_width = if ratio > 2.0 { tile(large).width } else { 2 * tile(large).width + GAP };
        let width = MARGIN + main_width + 2 * GAP + LABELS + MARGIN;
        let main = flow(MARGIN, main_width, tile(large), main_count);
        let labels = Area {
            x: width - MARGIN - LABELS,
            y: MARGIN,
            width: LABELS,
            height: if labels == 0 { 0 } else { TITLE + labels as u32 * LABEL_STEP },
        };

        let inner = width - 2 * MARGIN;
        let mut bottom = end(&main).max(labels.y + labels.height);
        let maps = flow(bottom + GAP, inner, tile(small), maps.saturating_sub(1));
        bottom = bottom.max(end(&maps));
        let charts = flow(bottom + GAP, inner, CHART, charts);
        bottom = bottom.max(end(&charts));
        Self { sheet: ImageSize::new(width, bottom + MARGIN), large, small, main, labels, maps, charts }
    }
}

/// A size of this shape, of about so many pixels.
fn of_shape(ratio: f64, pixels: f64) -> ImageSize {
    let height = (pixels / ratio).sqrt();
    ImageSize::new((height * ratio).round() as u32, height.round() as u32)
}

/// A tile that shows a picture of size `content`.
fn tile(content: ImageSize) -> ImageSize {
    ImageSize::new(content.width.max(LEAST_WIDTH), TITLE + content.height + FOOT)
}

/// `count` tiles from `top` on, in rows that fill `width` as evenly as they can.
fn flow(top: u32, width: u32, tile: ImageSize, count: usize) -> Vec<Area> {
    let count = count as u32;
    let fitting = ((width + GAP) / (tile.width + GAP)).max(1);
    let rows = count.div_ceil(fitting).max(1);
    let columns = count.div_ceil(rows).max(1);
    let place = |index: u32| Area {
        x: MARGIN + index % columns * (tile.width + GAP),
        y: top + index / columns * (tile.height + GAP),
        width: tile.width,
        height: tile.height,
    };
    (0..count).map(place).collect()
}

/// The lowest edge of `areas`.
fn end(areas: &[Area]) -> u32 {
    areas.iter().map(|area| area.y + area.height).max().unwrap_or(0)
}
