//! The networks that are opened here.

use std::path::Path;

use cbam_core::live::{LiveModel, LiveSettings};
use cbam_core::network::{BUNDLED_NAME, InferenceNetwork, NetworkFile, OpenOptions};
use cbam_core::text::printable_path;
use cbam_core::weights::Checkpoint;
use cbam_core::{Remedy, Result};

/// The most pixels that a network is given: of these a wide one makes features of some 1.5 GB, and a page has 4 GB in all.
const MOST_PIXELS: u64 = 2_000_000;
/// The most bytes that decoding a photo may take.
const MOST_DECODING: u64 = 3 << 29;

/// A network that is open.
pub type Engine = LiveModel<InferenceNetwork>;

/// The bundled network.
///
/// # Errors
/// [`Error::Weights`](cbam_core::Error::Weights) if what is bundled is broken.
pub fn pretrained() -> Result<Engine> {
    opened(BUNDLED_NAME.to_owned(), &NetworkFile::pretrained()?)
}

/// The network of a weights file in memory: safetensors, or what `torch.save` wrote, in which nothing is executed. `name` is what
/// it is called.
///
/// # Errors
/// [`Error::Weights`](cbam_core::Error::Weights) if it is no file of weights, or of no network that is known.
pub fn of_weights(name: &str, bytes: Vec<u8>) -> Result<Engine> {
    let path = Path::new(name);
    let open = || {
        let options = OpenOptions::default();
        let file = NetworkFile::of(&Checkpoint::from_bytes_with(path, bytes, &options.reading())?, &options)?;
        let name = path.file_name().map_or(path, Path::new);
        opened(printable_path(name).to_string(), &file)
    };
    open().map_err(|error| error.advised(&advice))
}

fn opened(name: String, file: &NetworkFile) -> Result<Engine> {
    let settings = LiveSettings { most_pixels: MOST_PIXELS, most_decoding: MOST_DECODING, ..LiveSettings::default() };
    LiveModel::new(name, file.for_inference()?, file.notes(), settings)
}

/// What helps against an error, in a page's words.
fn advice(remedy: &Remedy) -> Option<String> {
    Some(match remedy {
        Remedy::Graph | Remedy::TorchScript => "a page runs networks by their weights alone".to_owned(),
        Remedy::Part(parts) => format!("the command line reads one part of it: {}", parts.join(", ")),
        Remedy::Backbone { .. } | Remedy::DropAttention | Remedy::StrideIn { .. } => {
            "the command line opens it, with options that say what the file does not".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
