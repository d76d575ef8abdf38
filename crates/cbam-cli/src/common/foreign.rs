//! The options about how other people's networks are taken: TorchScript, and what no file says itself.

use std::path::PathBuf;

use cbam_core::photo::Preprocess;
use clap::{Args, ValueHint};

use crate::backend::Script;
use crate::common::input::InputOptions;

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
    /// The network of --weights by its graph, a .pt2 of torch.export or ONNX: for a weights file of a network that its names do not
    /// tell. Such a file as --weights brings both
    #[arg(long, value_name = "FILE", conflicts_with = "torchscript", value_hint = ValueHint::FilePath)]
    pub graph: Option<PathBuf>,
    /// Which of its outputs are maps, counted from 0 [default: all that have the shape of maps]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', value_parser = output_index)]
    pub torchscript_outputs: Vec<usize>,
    /// Which of its outputs is of the classes, counted from 0 [default: the first that has the shape; told, where others have it]
    #[arg(long, value_name = "N", value_parser = output_index)]
    pub torchscript_classes: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes the doc of a group of options for the program's own")]
    pub input: InputOptions,
}

impl Foreign {
    /// The scripted network that is named, if one is; it sees pictures of this short side, or of the usual one.
    pub fn script(&self, short_side: Option<u32>) -> Option<Script> {
        let path = self.torchscript.clone()?;
        let defaults = self.input.change().apply(Preprocess::imagenet());
        let preprocess = Preprocess {
            short_side: short_side.unwrap_or(defaults.short_side),
            multiple: if self.input.square { 1 } else { defaults.multiple },
            ..defaults
        };
        let maps = (!self.torchscript_outputs.is_empty()).then(|| self.torchscript_outputs.clone());
        Some(Script { path, preprocess, maps, classes: self.torchscript_classes, outputs: self.input.outputs })
    }
}

fn output_index(text: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|_| "write the places of outputs, from 0: 1,2".into())
}
