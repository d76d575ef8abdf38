//! The options that say what a weights file does not say itself.

use std::path::Path;

use cbam_core::backbone::Arch;
use cbam_core::network::{NetworkFile, OpenOptions};
use cbam_core::text::printable_path;
use cbam_core::weights::Checkpoint;
use cbam_core::{Error, Remedy, Result};
use clap::Args;

use crate::common::doubts::{Doubts, options_for, remedies};
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

/// The error about a file whose network is not known, with the way to open any network.
fn with_export(error: Error) -> Error {
    /// Python that writes a network's graph.
    const EXPORT: &str =
        "torch.export.save(torch.export.export(model.eval(), (torch.randn(2, 3, 224, 224),)), \"net.pt2\")";
    match error {
        Error::Weights { path, message, remedy } => {
            let message = format!(
                "{message}\nAny network opens by its graph: write it in Python with\n    {EXPORT}\nand give --weights net.pt2; \
                 ONNX will do too"
            );
            Error::Weights { path, message, remedy }
        }
        other => other,
    }
}

/// The network of a weights file as the file has it, and what a user should know of it, a line each. `check` is what compares it with a
/// reference.
///
/// # Errors
/// [`Error::Io`] or [`Error::Weights`], with the options that help.
pub fn open_weights(path: &Path, options: &OpenOptions, check: &str) -> Result<(NetworkFile, Vec<String>)> {
    let advised = |error| advised(error, Some("--mean and --std"));
    let checkpoint = Checkpoint::open_with(path, &options.reading()).map_err(advised)?;
    let file = NetworkFile::of(&checkpoint, options).map_err(|error| with_export(advised(error)))?;
    let input = format!("else --size, --mean, --std; {check} compares");
    let say = options_for(&input);
    let notes = file.notes_with(&say).iter().map(|line| format!("{}: {line}", printable_path(path))).collect();
    Ok((file, notes))
}
