//! A comparison: the picture and several maps of it side by side, under one colour bar.

use image::RgbImage;

use super::{
    Legend, Overlay, PanelTile, TileContent, bar_chart,
    canvas::{Area, WHITE, draw_right, gradient, place, place_framed},
    layout::Even,
    panel::{HEADING, SMALL, below_title, title},
};
use crate::{
    Error, Result,
    photo::{ImageSize, Photo, resize},
};

/// Draws the picture and every tile at one size, in their order, over one colour bar.
///
/// Maps lie over the picture as `overlay` says, each on the scale of its own limits; channel gates are drawn as bar
/// charts. Pictures longer than 1:5 are squeezed to that. A transparent picture lies on white.
///
/// # Errors
/// As [`Overlay::apply`].
pub fn compare(photo: &Photo, tiles: &[PanelTile], legend: &Legend, overlay: &Overlay) -> Result<RgbImage> {
    overlay.check()?;
    let size = photo.size();
    if size.pixels() == 0 {
        let (expected, got) = ("a picture with pixels".to_owned(), size.to_string());
        return Err(Error::Input { layer: "comparison", expected, got });
    }
    let layout = Even::new(size, 1 + tiles.len(), legend.heading.is_some());
    let small = Photo::from(resize(&photo.image, layout.content)?);
    let mut sheet = RgbImage::from_pixel(layout.sheet.width, layout.sheet.height, WHITE);
    if let (Some(heading), Some(area)) = (&legend.heading, layout.heading) {
        HEADING.draw(&mut sheet, area.x as f32, area.y as f32, &HEADING.fit(heading, area.width as f32));
    }
    let mut areas = layout.tiles.iter();
    if let Some(area) = areas.next() {
        title(&mut sheet, *area, "picture", &size.to_string());
        place_framed(&mut sheet, below_title(*area, 0), &small.image.to_rgb8());
    }
    for (tile, area) in tiles.iter().zip(areas) {
        let inner = below_title(*area, 0);
        match &tile.content {
            TileContent::Map { map, limits } => {
                title(&mut sheet, *area, &tile.title, &map.grid().to_string());
                place_framed(&mut sheet, inner, &overlay.apply(&small, map, *limits)?.to_rgb8());
            }
            TileContent::Channels(values) => {
                title(&mut sheet, *area, &tile.title, &format!("{} channels", values.len()));
                place(&mut sheet, inner, &bar_chart(values, ImageSize::new(inner.width, inner.height))?);
            }
        }
    }
    gradient(&mut sheet, Area { height: 9, ..layout.bar }, overlay);
    let y = (layout.bar.y + 12) as f32;
    SMALL.draw(&mut sheet, layout.bar.x as f32, y, &legend.ends[0]);
    draw_right(&mut sheet, SMALL, (layout.bar.x + layout.bar.width) as f32, y, &legend.ends[1]);
    Ok(sheet)
}
