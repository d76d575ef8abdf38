//! Drawing: colour maps, overlays at the picture's own size, panels that show a whole run, and the formats that pictures are
//! written in.

mod bars;
mod canvas;
mod colormap;
mod compare;
mod contour;
mod encode;
mod heat_map;
mod layout;
mod legend;
mod overlay;
pub mod page;
mod painting;
mod panel;
mod png;
mod refine;
mod sample;
mod text;

pub use bars::bar_chart;
pub use colormap::Colormap;
pub use compare::compare;
pub(crate) use encode::write_painting;
pub use encode::{PictureFormat, encode};
pub use heat_map::heat_map;
pub use legend::Legend;
pub use overlay::{Opacity, Overlay};
pub(crate) use painting::Painting;
pub use panel::{PanelTile, TileContent, panel};
pub(crate) use text::{ends, lacks};
