//! The backbones: their names, their stages, and how the networks of one name differ. The networks themselves, to be trained, are in
//! the crate `cbam`.

mod arch;
mod stage;
pub mod table;
mod variant;

pub use arch::Arch;
pub use stage::{InnerKind, InnerSite, Stage};
pub use variant::{Stem, StrideIn, Variant};
