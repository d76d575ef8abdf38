//! What is known of a network by its graph and the graph does not say: a file beside it, `net.pt2.json` of `net.pt2`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cbam_core::classes::Outputs;
use cbam_core::files::{read_text, write_whole};
use cbam_core::photo::Channels;
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::backend::GraphTaken;
use crate::common::input::{InputOptions, Scaling};

/// The version of the file.
const VERSION: u32 = 1;

/// What stands in the file; what is left out is as it is without the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Described {
    /// The version of the file.
    pub(crate) version: u32,
    /// The short side of pictures, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u32>,
    /// Whether pictures are squeezed to squares.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) square: bool,
    /// What values pixels have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scale_to: Option<Scaling>,
    /// What stands for a pixel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channels: Option<Channels>,
    /// What is subtracted from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mean: Option<[f32; 3]>,
    /// What it is divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) std: Option<[f32; 3]>,
    /// What the numbers for the classes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outputs: Option<Outputs>,
    /// The names of the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<Vec<String>>,
}

impl Described {
    /// Of options, and the names of the classes.
    pub(crate) fn of(input: &InputOptions, size: Option<u32>, labels: Option<Vec<String>>) -> Self {
        let InputOptions { outputs, scale_to, channels, mean, std, square } = input.clone();
        Self { version: VERSION, size, square, scale_to, channels, mean, std, outputs, labels }
    }

    /// The file's path.
    pub(crate) fn path(graph: &Path) -> PathBuf {
        let mut path = OsString::from(graph);
        path.push(".json");
        path.into()
    }

    /// That of a graph, if there is one beside it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Weights`] if something else than that stands in it.
    pub(crate) fn beside(graph: &Path) -> Result<Option<Self>> {
        let path = Self::path(graph);
        if !path.exists() {
            return Ok(None);
        }
        let wrong = |message: String| Error::weights(&path, message);
        let read: Self = serde_json::from_str(&read_text(&path)?).map_err(|error| {
            wrong(format!("does not describe a network: {error}; cbam-weights describe writes such a file"))
        })?;
        read.check().map_err(wrong)?;
        Ok(Some(read))
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.version == 0 || self.version > VERSION {
            return Err(format!("is of version {}; version {VERSION} is read", self.version));
        }
        let finite = self.mean.iter().flatten().all(|mean| mean.is_finite());
        if !finite || self.std.iter().flatten().any(|std| !(*std > 0.0 && std.is_finite())) {
            return Err("has a mean that is no number, or a std that is not over 0".to_owned());
        }
        if self.size.is_some_and(|size| !(32..=4096).contains(&size)) {
            return Err("has a size that is not in 32..=4096".to_owned());
        }
        if self.outputs.is_some_and(|outputs| !Outputs::OF_CLASSES.contains(&outputs)) {
            return Err("has outputs that are of no class".to_owned());
        }
        Ok(())
    }

    /// Writes it beside a graph; gives the path.
    ///
    /// # Errors
    /// [`Error::Io`]; nothing half-written stays.
    pub(crate) fn write(&self, graph: &Path) -> Result<PathBuf> {
        let path = Self::path(graph);
        let text = serde_json::to_string_pretty(self).map_err(Error::internal)?;
        write_whole(&path, format!("{text}\n").as_bytes())?;
        Ok(path)
    }

    /// How a graph is taken: as the command line says, and where that says nothing as the file beside it does; with it a line about
    /// that.
    ///
    /// # Errors
    /// Those of [`beside`](Self::beside).
    pub(crate) fn completed(graph: &Path, given: GraphTaken) -> Result<(GraphTaken, Option<String>)> {
        let Some(read) = Self::beside(graph)? else { return Ok((given, None)) };
        let own = InputOptions {
            scale_to: read.scale_to,
            channels: read.channels,
            mean: read.mean,
            std: read.std,
            square: read.square,
            outputs: None,
        };
        let (own, mut taken) = (own.change(), given);
        let input = &mut taken.taken.input;
        // A mean is of the values that stand beside it.
        if input.mean.is_none() && input.std.is_none() {
            (input.mean, input.std) = (own.mean, own.std);
        }
        input.channels = input.channels.or(own.channels);
        input.square |= own.square;
        taken.short_side = taken.short_side.or(read.size);
        if taken.score.is_none() {
            taken.taken.outputs = taken.taken.outputs.or(read.outputs);
            taken.labels = read.labels.map(|labels| (labels, Self::path(graph)));
        }
        let (graph, path) = (printable_path(graph), Self::path(graph));
        let said = format!("{graph}: what the command line does not say of it is as in {}", printable_path(&path));
        Ok((taken, Some(said)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_command_line_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let graph = folder.path().join("net.onnx");
        assert_eq!(Described::beside(&graph).unwrap(), None);
        let input = InputOptions {
            scale_to: Some(Scaling::Bytes),
            channels: Some(Channels::Bgr),
            mean: Some([103.9, 116.8, 123.7]),
            ..InputOptions::default()
        };
        let written = Described::of(&input, Some(64), Some(vec!["cat".to_owned(), "dog".to_owned()]));
        assert_eq!(written.write(&graph).unwrap(), folder.path().join("net.onnx.json"));
        assert_eq!(Described::beside(&graph).unwrap(), Some(written));
        let (taken, said) = Described::completed(&graph, GraphTaken::default()).unwrap();
        assert!(said.unwrap().ends_with("net.onnx.json"));
        let change = taken.taken.input.clone();
        assert_eq!(
            (change.mean, change.std, change.channels),
            (Some([103.9, 116.8, 123.7]), Some([1.0; 3]), Some(Channels::Bgr))
        );
        assert_eq!((taken.short_side, taken.labels.map(|(labels, _)| labels.len())), (Some(64), Some(2)));
        let mut given = GraphTaken { short_side: Some(96), ..GraphTaken::default() };
        given.taken.input.std = Some([127.5; 3]);
        let (taken, _) = Described::completed(&graph, given).unwrap();
        assert_eq!(
            (taken.short_side, taken.taken.input.mean, taken.taken.input.std),
            (Some(96), None, Some([127.5; 3]))
        );
        for wrong in ["{", "{\"version\": 2}", "{\"version\": 1, \"size\": 3}", "{\"version\": 1, \"sizes\": 3}", "{}"]
        {
            std::fs::write(Described::path(&graph), wrong).unwrap();
            assert!(Described::beside(&graph).unwrap_err().to_string().contains("net.onnx.json: "), "{wrong}");
        }
    }
}
