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
/// The last line.
const FOOTER: u32 = 16;
/// The width of the labels.
pub(super) const LABELS: u32 = 280;
/// From one label to the next.
pub(super) const LABEL_STEP: u32 = 46;
/// A bar chart, with its title.
const CHART: ImageSize = ImageSize::new(270, 130);
/// The least width of a tile, so that its title can be read.
const LEAST_WIDTH: u32 = 150;

/// The least width of the one colour bar of a comparison, so that the words under it fit.
const LEAST_BAR: u32 = 420;

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
    /// The last line.
    pub(super) footer: Option<Area>,
}

impl Layout {
    /// Lays out a panel of a picture of size `picture`, that many maps (the first one large), charts and labels.
    pub(super) fn new(picture: ImageSize, maps: usize, charts: usize, labels: usize, footer: bool) -> Self {
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
        let others = maps.saturating_sub(1);
        let small = if small.width < LEAST_WIDTH {
            small
        } else {
            let width = fitted(inner, small.width, others);
            ImageSize::new(width, (f64::from(width) / ratio).round() as u32)
        };
        let maps = flow(bottom + GAP, inner, tile(small), others);
        bottom = bottom.max(end(&maps));
        let chart = ImageSize::new(fitted(inner, CHART.width, charts), CHART.height);
        let charts = flow(bottom + GAP, inner, chart, charts);
        bottom = bottom.max(end(&charts));
        let footer = footer.then_some(Area { x: MARGIN, y: bottom + GAP, width: inner, height: FOOTER });
        bottom = footer.map_or(bottom, |footer| footer.y + footer.height);
        Self { sheet: ImageSize::new(width, bottom + MARGIN), large, small, main, labels, maps, charts, footer }
    }
}

/// Where everything on a sheet of equal tiles stands.
#[derive(Debug)]
pub(super) struct Even {
    /// The whole sheet.
    pub(super) sheet: ImageSize,
    /// The picture in a tile.
    pub(super) content: ImageSize,
    /// The line above the tiles.
    pub(super) heading: Option<Area>,
    /// The tiles, with their titles.
    pub(super) tiles: Vec<Area>,
    /// The colour bar and its words, under all tiles.
    pub(super) bar: Area,
}

impl Even {
    /// The widest sheet, without its margins.
    const WIDEST: u32 = 1270;

    /// Lays out `count` tiles (at least one) of a picture of size `picture`.
    pub(super) fn new(picture: ImageSize, count: usize, heading: bool) -> Self {
        let ratio = (f64::from(picture.width) / f64::from(picture.height)).clamp(0.2, 5.0);
        let content = of_shape(ratio, 70_000.0);
        let size = ImageSize::new(content.width.max(LEAST_WIDTH), TITLE + content.height);
        let columns = columns(Self::WIDEST, size.width, count);
        let inner = (columns * (size.width + GAP) - GAP).max(LEAST_BAR);
        let heading = heading.then_some(Area { x: MARGIN, y: MARGIN, width: inner, height: TITLE });
        let top = heading.map_or(MARGIN, |heading| heading.y + heading.height + 6);
        let tiles = flow(top, inner, size, count);
        let bar = Area { x: MARGIN, y: end(&tiles) + GAP, width: inner, height: FOOT };
        let sheet = ImageSize::new(inner + 2 * MARGIN, bar.y + bar.height + MARGIN / 2);
        Self { sheet, content, heading, tiles, bar }
    }
}

/// A size of this shape, of about that many pixels.
fn of_shape(ratio: f64, pixels: f64) -> ImageSize {
    let height = (pixels / ratio).sqrt();
    ImageSize::new((height * ratio).round() as u32, height.round() as u32)
}

/// A tile that shows a picture of size `content`.
fn tile(content: ImageSize) -> ImageSize {
    ImageSize::new(content.width.max(LEAST_WIDTH), TITLE + content.height + FOOT)
}

/// How many columns `count` tiles of this `width` take, so that their rows are as even as they can be.
fn columns(inner: u32, width: u32, count: usize) -> u32 {
    let fitting = ((inner + GAP) / (width + GAP)).max(1);
    let rows = (count as u32).div_ceil(fitting).max(1);
    (count as u32).div_ceil(rows).max(1)
}

/// The width at which that many tiles of about this `width` fill their rows; at most half as wide again.
fn fitted(inner: u32, width: u32, count: usize) -> u32 {
    let filling = (inner + GAP) / columns(inner, width, count) - GAP;
    filling.min(width + width / 2)
}

/// `count` tiles from `top` on, in rows within the width `inner`.
fn flow(top: u32, inner: u32, tile: ImageSize, count: usize) -> Vec<Area> {
    let columns = columns(inner, tile.width, count);
    let place = |index: u32| Area {
        x: MARGIN + index % columns * (tile.width + GAP),
        y: top + index / columns * (tile.height + GAP),
        width: tile.width,
        height: tile.height,
    };
    (0..count as u32).map(place).collect()
}

/// The lowest edge of `areas`.
fn end(areas: &[Area]) -> u32 {
    areas.iter().map(|area| area.y + area.height).max().unwrap_or(0)
}
