//! A panel: the picture, its maps and its labels on one sheet.

use image::RgbImage;
use ndarray::Array1;

use super::{
    Overlay, bar_chart,
    canvas::{Area, BAR, GREY, INK, PALE, WHITE, draw_right, fill, gradient, place, place_framed},
    layout::{FOOT, LABEL_STEP, Layout, TITLE},
    text::{Style, ends},
};
use crate::{
    Error, Result,
    maps::{AttentionMap, ScaleLimits},
    photo::{ImageSize, Photo, resize},
    text::percent,
};

/// One tile of a panel.
#[derive(Debug, Clone)]
pub struct PanelTile {
    /// The line above it; shortened if it is too long.
    pub title: String,
    /// What it shows.
    pub content: TileContent,
}

/// What a tile shows.
#[derive(Debug, Clone)]
pub enum TileContent {
    /// A map over the picture, with a colour bar.
    Map {
        /// The map.
        map: AttentionMap,
        /// The ends of its scale, and of its colour bar.
        limits: ScaleLimits,
    },
    /// A channel gate, `[C]`, as a bar chart.
    Channels(Array1<f32>),
}

pub(super) const HEADING: Style = Style { height: 17.0, colour: INK };
const TEXT: Style = Style { height: 17.0, colour: INK };
pub(super) const SMALL: Style = Style { height: 14.0, colour: GREY };

/// Draws a panel: the picture and the first map large, the labels with their probabilities beside them, then the other
/// maps, then the channel gates; maps lie over the picture as `overlay` says.
///
/// The sheet is 700 to 1,300 pixels wide, as the picture's shape asks. Pictures longer than 1:5 are squeezed to that. A transparent picture lies on
/// white. `labels` are drawn in their order, each with a bar for its
/// probability in `[0, 1]`; these need not sum to 1. The `footer`, if it is not empty, is the last line.
///
/// # Errors
/// As [`Overlay::apply`].
pub fn panel(
    photo: &Photo,
    tiles: &[PanelTile],
    labels: &[(String, f32)],
    footer: &str,
    overlay: &Overlay,
) -> Result<RgbImage> {
    overlay.check()?;
    let size = photo.size();
    if size.pixels() == 0 {
        let (expected, got) = ("a picture with pixels".to_owned(), size.to_string());
        return Err(Error::Input { layer: "panel", expected, got });
    }
    let (mut maps, mut charts) = (Vec::new(), Vec::new());
    for tile in tiles {
        match &tile.content {
            TileContent::Map { map, limits } => maps.push((tile.title.as_str(), map, *limits)),
            TileContent::Channels(values) => charts.push((tile.title.as_str(), values)),
        }
    }
    let layout = Layout::new(size, maps.len(), charts.len(), labels.len(), !footer.is_empty());
    let large = Photo::from(resize(&photo.image, layout.large)?);
    let small = Photo::from(resize(&photo.image, layout.small)?);

    let mut sheet = RgbImage::from_pixel(layout.sheet.width, layout.sheet.height, WHITE);
    let mut areas = layout.main.iter().chain(&layout.maps);
    if let Some(area) = areas.next() {
        title(&mut sheet, *area, "picture", &size.to_string());
        place_framed(&mut sheet, below_title(*area, FOOT), &large.image.to_rgb8());
    }
    for (index, ((name, map, limits), area)) in maps.into_iter().zip(areas).enumerate() {
        let picture = if index == 0 { &large } else { &small };
        let grid = map.grid();
        title(&mut sheet, *area, name, &grid.to_string());
        let drawn = overlay.apply(picture, map, limits)?.to_rgb8();
        place_framed(&mut sheet, below_title(*area, FOOT), &drawn);
        colour_bar(&mut sheet, *area, overlay, limits);
    }
    for ((name, values), area) in charts.into_iter().zip(&layout.charts) {
        title(&mut sheet, *area, name, &format!("{} channels", values.len()));
        let area = below_title(*area, 0);
        place(&mut sheet, area, &bar_chart(values, ImageSize::new(area.width, area.height))?);
    }
    draw_labels(&mut sheet, layout.labels, labels);
    if let Some(area) = layout.footer {
        SMALL.draw(&mut sheet, area.x as f32, area.y as f32, &SMALL.fit(footer, area.width as f32));
    }
    Ok(sheet)
}

/// The name on the left and a note on the right, above a tile; the note gives way to the name.
pub(super) fn title(sheet: &mut RgbImage, area: Area, name: &str, note: &str) {
    let right = (area.x + area.width) as f32;
    let room = area.width as f32 - SMALL.width(note) - 8.0;
    if HEADING.width(name) <= room {
        draw_right(sheet, SMALL, right, area.y as f32 + 3.0, note);
    }
    HEADING.draw(sheet, area.x as f32, area.y as f32, &HEADING.fit(name, area.width as f32));
}

/// What is left of a tile under its title and above `foot`.
pub(super) fn below_title(area: Area, foot: u32) -> Area {
    Area { y: area.y + TITLE, height: area.height - TITLE - foot, ..area }
}

/// The colours of a map and the values at their ends, at the foot of its tile.
fn colour_bar(sheet: &mut RgbImage, area: Area, overlay: &Overlay, limits: ScaleLimits) {
    let bar = Area { y: area.y + area.height - FOOT + 6, height: 7, ..area };
    gradient(sheet, bar, overlay);
    let y = (bar.y + bar.height + 2) as f32;
    let [low, high] = ends(limits.low, limits.high);
    SMALL.draw(sheet, area.x as f32, y, &low);
    draw_right(sheet, SMALL, (area.x + area.width) as f32, y, &high);
}

fn draw_labels(sheet: &mut RgbImage, area: Area, labels: &[(String, f32)]) {
    if labels.is_empty() {
        return;
    }
    title(sheet, area, "labels", "");
    for (index, (label, probability)) in labels.iter().enumerate() {
        let y = area.y + TITLE + index as u32 * LABEL_STEP;
        let percent = percent(*probability);
        let room = area.width as f32 - TEXT.width(&percent) - 12.0;
        TEXT.draw(sheet, area.x as f32, y as f32, &TEXT.fit(label, room));
        draw_right(sheet, TEXT, (area.x + area.width) as f32, y as f32, &percent);
        let bar = Area { y: y + 22, height: 8, ..area };
        fill(sheet, bar, PALE);
        let filled = (probability.clamp(0.0, 1.0) * area.width as f32).round() as u32;
        fill(sheet, Area { width: filled, ..bar }, BAR);
    }
}
