//! Drawing: colour maps, overlays at the picture's own size, and panels that show a whole run.

mod bars;
mod canvas;
mod colormap;
mod compare;
mod contour;
mod heat_map;
mod layout;
mod overlay;
mod panel;
mod sample;
mod text;

pub use bars::bar_chart;
pub use colormap::Colormap;
pub use compare::{Legend, compare};
pub use heat_map::heat_map;
pub(crate) use overlay::Painting;
pub use overlay::{Opacity, Overlay};
pub use panel::{PanelTile, TileContent, panel};
