//! First convolutions of one channel, for grey pictures, as ones of three that weigh colours as luminance does.

use tch::{Kind, Tensor};

use super::Assumption;
use super::modules::{Modules, said};

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
    let weight = modules.double(&name)?;
    let luminance = Tensor::from_slice(&LUMINANCE).view([1, 3, 1, 1]);
    let coloured = weight.f_mul(&luminance).and_then(|weight| weight.f_to_kind(Kind::Float)).map_err(said)?;
    modules.give(format!("backbone.{name}"), coloured);
    assumptions.push(Assumption::new("it takes grey pictures, as luminance", None));
    Ok(true)
}
