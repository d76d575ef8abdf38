//! First convolutions of one channel, for grey pictures, as ones of three that weigh colours as luminance does.

use ndarray::{Array, Axis, Ix4, concatenate};

use super::Assumption;
use super::modules::Modules;

/// The weights of red, green and blue in luminance (ITU-R BT.601), as Pillow and torchvision have it.
const LUMINANCE: [f64; 3] = [0.299, 0.587, 0.114];

/// The channels of pictures, grey or not.
pub(super) const fn channels(grey: bool) -> i64 {
    if grey { 1 } else { 3 }
}

/// Gives a first convolution that was taken its three channels, if it has one; says so then.
pub(super) fn coloured(modules: &Modules, conv: &str, assumptions: &mut Vec<Assumption>) -> Result<bool, String> {
    let name = format!("{conv}.weight");
    let [_, inputs, ..] = modules.axes::<4>(&name)?;
    if inputs != 1 {
        return Ok(false);
    }
    let weight = modules.double::<Ix4>(&name, &modules.shape(&name)?)?;
    let coloured = LUMINANCE.map(|share| weight.mapv(|value| (value * share) as f32));
    let coloured = concatenate(Axis(1), &coloured.each_ref().map(Array::view));
    let coloured = coloured.map_err(|error| format!("{name}: {error}"))?;
    modules.give(format!("backbone.{name}"), coloured.into());
    assumptions.push(Assumption::new("it takes grey pictures, as luminance", None));
    Ok(true)
}
