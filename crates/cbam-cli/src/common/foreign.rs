//! The options about how other people's networks are taken: TorchScript, and what no file says itself.

use std::path::PathBuf;

use cbam_core::classes::Outputs;
use cbam_core::photo::Preprocess;
use clap::{Args, ValueHint};

use crate::backend::{InputChange, Script};
use crate::common::values::listed;

/// The options about a weights file, by the names of their fields. clap forgets what they require beside what `--weights` conflicts with.
pub const OF_WEIGHTS: &[&str] = &["part", "stride_in", "pool_order", "stem_pool", "padding", "arch", "drop_attention"];

/// How a network is taken that does not say all of it itself.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Other people's networks")]
pub struct Foreign {
    /// A network that PyTorch scripted or traced; opening it runs its code, so it must be one that you trust
    ///
    /// Its first output [N, classes] is of the classes (see --outputs); outputs [N, h, w] and [N, C, h, w], C at most 64, are
    /// maps, named output:1, output:2 and so on, or output:1:3 for one of several channels. Outputs [N, C, h, w] that the
    /// classes are made of are features too, on which explanations look: gradcam:output:1. A network that gives out its
    /// classes alone has rise (by default, which takes a while) and occlusion.
    #[arg(long, value_name = "FILE", conflicts_with = "weights", value_hint = ValueHint::FilePath)]
    pub torchscript: Option<PathBuf>,
    /// The network of --weights by its graph, which torch.export wrote (.pt2): for a weights file of a network that its names do not
    /// tell. A .pt2 as --weights brings both
    #[arg(long, value_name = "FILE", conflicts_with = "torchscript", value_hint = ValueHint::FilePath)]
    pub graph: Option<PathBuf>,
    /// Which of its outputs are maps, counted from 0 [default: all that have the shape of maps]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', value_parser = output_index)]
    pub torchscript_outputs: Vec<usize>,
    /// Which of its outputs is of the classes, counted from 0 [default: the first that has the shape; told, where others have it]
    #[arg(long, value_name = "N", value_parser = output_index)]
    pub torchscript_classes: Option<usize>,
    /// What the numbers are that the network of --weights, --graph or --torchscript gives out for its classes [default: what
    /// weights of this program say; softmax, or sigmoid for a single number; of TorchScript and graphs a guess, which is told]
    ///
    /// softmax: scores, of which one class is right; sigmoid: a score for each class by itself, as multi-label networks have
    /// them; probabilities: they stay as they are, and must lie in [0, 1]. A network that gives out one number has two
    /// answers: class 1 is what the number says, class 0 what is left.
    #[arg(long, value_name = "KIND", value_parser = listed::<Outputs>(Outputs::ALL), hide_possible_values = true)]
    pub outputs: Option<Outputs>,
    /// What the network expects to be subtracted from red, green and blue, of values from 0 to 1; one number is for all three
    /// [default: the network's own; of TorchScript and of most weights files ImageNet's, 0.485,0.456,0.406]
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

impl Foreign {
    /// The scripted network that is named, if one is; it sees pictures of this short side, or of the usual one.
    pub fn script(&self, short_side: Option<u32>) -> Option<Script> {
        let path = self.torchscript.clone()?;
        let defaults = self.input_change().apply(Preprocess::imagenet());
        let preprocess = Preprocess {
            short_side: short_side.unwrap_or(defaults.short_side),
            multiple: if self.square { 1 } else { defaults.multiple },
            ..defaults
        };
        let maps = (!self.torchscript_outputs.is_empty()).then(|| self.torchscript_outputs.clone());
        Some(Script { path, preprocess, maps, classes: self.torchscript_classes, outputs: self.outputs })
    }

    /// How the network takes pictures, where that is said.
    pub fn input_change(&self) -> InputChange {
        let in_pixels = |values: [f32; 3]| values.map(|value| 255.0 * value);
        InputChange { mean: self.mean.map(in_pixels), std: self.std.map(in_pixels), square: self.square }
    }
}

fn output_index(text: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|_| "write the places of outputs, from 0: 1,2".into())
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
