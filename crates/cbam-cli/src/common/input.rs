//! The options about what a network takes pictures for, and what its numbers are.

use cbam_core::classes::Outputs;
use cbam_core::photo::Channels;
use cbam_core::text::named;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::backend::InputChange;
use crate::common::values::listed;

/// What no file of a network says of how it is taken.
#[derive(Debug, Clone, Default, Args)]
pub struct InputOptions {
    /// What the numbers are that the network of --weights, --graph or --torchscript gives out for its classes [default: what
    /// weights of this program say; softmax, or sigmoid for a single number; of TorchScript and graphs a guess, which is told]
    ///
    /// softmax: scores, of which one class is right; sigmoid: a score for each class by itself, as multi-label networks have
    /// them; probabilities: they stay as they are, and must lie in [0, 1]. A network that gives out one number has two
    /// answers: class 1 is what the number says, class 0 what is left.
    #[arg(long, value_name = "KIND", value_parser = listed::<Outputs>(Outputs::OF_CLASSES), hide_possible_values = true)]
    pub outputs: Option<Outputs>,
    /// What values the network takes pixels for, from the darkest to the brightest: 0..1, 0..255 or -1..1; --mean and --std are of
    /// these, and without them nothing is subtracted [default: as --mean says]
    #[arg(long, value_name = "LOW..HIGH", value_parser = listed::<Scaling>(Scaling::ALL), hide_possible_values = true, allow_hyphen_values = true)]
    pub scale_to: Option<Scaling>,
    /// What stands for a pixel: rgb, bgr (as `OpenCV` has them; --mean and --std follow that order), or grey [default: rgb, and grey for
    /// a network of one channel]
    #[arg(long, value_name = "ORDER", value_parser = listed::<Channels>(Channels::ALL), hide_possible_values = true)]
    pub channels: Option<Channels>,
    /// What the network expects to be subtracted from red, green and blue, of values from 0 to 1 (or as --scale-to says); one number
    /// is for all three [default: the network's own; of TorchScript, graphs and most weights files ImageNet's, 0.485,0.456,0.406]
    #[arg(long, value_name = "R,G,B", value_parser = three)]
    pub mean: Option<[f32; 3]>,
    /// What they are divided by after that [default: the network's own, or ImageNet's, 0.229,0.224,0.225]
    #[arg(long, value_name = "R,G,B", value_parser = positive_three)]
    pub std: Option<[f32; 3]>,
    /// Squeeze pictures to squares of --size: with --torchscript of exactly that many pixels, for a network that takes nothing
    /// else, with graphs of what they take, with others of the nearest multiple of 32
    #[arg(long)]
    pub square: bool,
}

impl InputOptions {
    /// How the network takes pictures, where that is said.
    pub fn change(&self) -> InputChange {
        let (low, span) = self.scale_to.unwrap_or_default().range();
        // Who says the range, and no mean, wants nothing to be subtracted.
        let given = |values: Option<[f32; 3]>, other: f32| values.or(self.scale_to.map(|_| [other; 3]));
        let mean = given(self.mean, 0.0).map(|mean| mean.map(|mean| 255.0 * (mean - low) / span));
        let std = given(self.std, 1.0).map(|std| std.map(|std| 255.0 * std / span));
        InputChange { mean, std, channels: self.channels, square: self.square }
    }
}

/// What values pixels have for a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scaling {
    /// From 0 to 1.
    #[default]
    #[serde(rename = "0..1")]
    One,
    /// From 0 to 255.
    #[serde(rename = "0..255")]
    Bytes,
    /// From -1 to 1.
    #[serde(rename = "-1..1")]
    Around,
}

named! {
    Scaling as "scale-to", read by meant;
    One => "0..1", Bytes => "0..255", Around => "-1..1",
}

fn meant(text: &str) -> String {
    text.trim().to_owned()
}

impl Scaling {
    /// The least value, and from it to the greatest.
    const fn range(self) -> (f32, f32) {
        match self {
            Self::One => (0.0, 1.0),
            Self::Bytes => (0.0, 255.0),
            Self::Around => (-1.0, 2.0),
        }
    }
}

fn three(text: &str) -> Result<[f32; 3], String> {
    let values: Result<Vec<f32>, _> = text.split(',').map(|value| value.trim().parse()).collect();
    match values.unwrap_or_default()[..] {
        [all] if all.is_finite() => Ok([all; 3]),
        [r, g, b] if [r, g, b].iter().all(|value| value.is_finite()) => Ok([r, g, b]),
        _ => Err("write three numbers, R,G,B, or one for all three".into()),
    }
}

fn positive_three(text: &str) -> Result<[f32; 3], String> {
    let values = three(text)?;
    if values.iter().all(|value| *value > 0.0) { Ok(values) } else { Err("must be over 0, as it divides".into()) }
}
