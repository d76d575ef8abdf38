//! What the pipeline needs of a network.

use ndarray::ArrayView4;

use crate::maps::{MapName, Readout};
use crate::photo::Preprocess;
use crate::{Error, Result};

/// A network that looks at pictures. One thread owns it, so it need not be [`Send`].
pub trait Inspect {
    /// How a picture becomes its input.
    fn preprocess(&self) -> Preprocess;

    /// The names of its classes, in the order of [`Readout::probabilities`].
    fn labels(&self) -> &[String];

    /// The maps that its readouts hold, with every stage and head by name, channel gates included.
    fn map_names(&self) -> Vec<MapName>;

    /// Looks at a batch, `[N, 3, H, W]`, normalised; `queries` are the points, as fractions of width and height, whose
    /// rows of attention weights are wanted. Returns one readout per picture.
    ///
    /// # Errors
    /// What the network refuses.
    fn inspect(&mut self, batch: ArrayView4<'_, f32>, queries: &[[f32; 2]]) -> Result<Vec<Readout>>;
}

/// Checks that the network has these maps.
pub(super) fn check_maps(wanted: &[MapName], held: &[MapName]) -> Result<()> {
    let has = |name: &MapName| match name {
        MapName::Spatial(None) => held.iter().any(|held| matches!(held, MapName::Spatial(_))),
        MapName::PatchAt(..) => held.contains(&MapName::Patch(None)),
        name => held.contains(name),
    };
    match wanted.iter().find(|name| !has(name)) {
        None => Ok(()),
        Some(name) => {
            let held: Vec<_> = held.iter().map(ToString::to_string).collect();
            Err(Error::argument(format!("map {name}"), format!("this network has {}", held.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_points_stand_for_held_maps() {
        let held: Vec<MapName> =
            ["fused", "spatial:stage5", "patch", "patch:0", "channel:stage5"].map(|name| name.parse().unwrap()).into();
        for (name, ok) in [
            ("fused", true),
            ("spatial", true),
            ("spatial:stage5", true),
            ("spatial:stage4", false),
            ("patch@3,4", true),
            ("patch:1", false),
            ("channel:stage5", true),
            ("channel:stage1", false),
            ("gradcam", false),
        ] {
            assert_eq!(check_maps(&[name.parse().unwrap()], &held).is_ok(), ok, "{name}");
        }
        let error = check_maps(&[MapName::GradCam], &held).unwrap_err().to_string();
        assert!(error.contains("gradcam") && error.contains("spatial:stage5"), "{error}");
        assert!(check_maps(&[MapName::PatchAt(0, 0)], &[MapName::Fused]).is_err());
        assert!(check_maps(&[MapName::Spatial(None)], &[MapName::Fused]).is_err());
    }
}
