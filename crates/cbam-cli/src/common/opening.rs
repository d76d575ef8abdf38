//! The options that say what a weights file does not say itself.

use cbam_core::backbone::Arch;
use cbam_core::network::OpenOptions;
use cbam_core::{Error, Remedy};
use clap::Args;

use crate::common::doubts::{Doubts, remedies};
use crate::common::values::listed;

/// What is known of a weights file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What a weights file does not say")]
pub struct Opening {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes the doc of a group of options for the program's own")]
    pub doubts: Doubts,
    /// Take the weights for this backbone (resnet50, vgg16, …): tensors that it has no use for are left out, and named. Attention
    /// is not, unless --drop-attention
    #[arg(long, value_name = "NAME", value_parser = listed::<Arch>(Arch::ALL), hide_possible_values = true, requires = "weights")]
    pub arch: Option<Arch>,
    /// With --arch: leave out the attention too
    #[arg(long, requires = "arch")]
    drop_attention: bool,
}

impl Opening {
    /// As the library takes them.
    pub fn options(&self) -> OpenOptions {
        let mut options = self.doubts.options();
        options.arch = self.arch;
        options.drop_attention = self.drop_attention;
        options
    }
}

/// The error of a file that is refused, with the options that take it; `input` are those that say how pictures are taken.
pub fn advised(error: Error, input: Option<&str>) -> Error {
    error.advised(&|remedy| {
        let Remedy::Backbone { arch, drop_attention, normalises } = remedy else { return remedies(remedy) };
        let drop = if *drop_attention { " --drop-attention" } else { "" };
        let input = input.filter(|_| *normalises);
        let input =
            input.map_or_else(String::new, |input| format!(", and {input} then say how pictures are normalised"));
        Some(format!("--arch {arch}{drop} takes it without{input}"))
    })
}
