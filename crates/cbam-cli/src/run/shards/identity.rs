//! What parts are made with: they say it, and a run goes on only with parts that say the same.

use std::fs::File;

use cbam_core::model::Description;
use cbam_core::pipeline::Options;
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Map, Value, json};

use super::Request;
use super::plan::Planned;
use crate::common::network::ModelKind;

/// The key of a Parquet file's metadata under which it says what it was made with.
const KEY: &str = "cbam";

/// What the rows of a part depend on beside their pictures.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) version: &'static str,
    pub(super) weights: String,
    /// All of it, but for the shard.
    said: Map<String, Value>,
}

impl Identity {
    /// That of a run with this network; `weights` is the hash of its weights.
    ///
    /// # Errors
    /// As [`pipeline::run`](cbam_core::pipeline::run) for maps, classes and labels that are not there.
    pub(super) fn of(network: &Description, weights: String, request: &Request, options: &Options) -> Result<Self> {
        let version = env!("CARGO_PKG_VERSION");
        let maps = network.choose_maps(&options.maps)?;
        let labels = network.choose_labels(options.labels.as_deref())?;
        let class = options.class.as_ref().map(|class| network.choose_class(class, &labels, &maps)).transpose()?;
        let mut input = network.preprocess.clone();
        input.short_side = options.short_side.unwrap_or(input.short_side);
        let outputs = match &request.model.kind {
            ModelKind::Script(script) => {
                format!("{:?}, {:?} of {}", script.maps, script.classes, network.outputs.name())
            }
            _ => network.outputs.name().to_owned(),
        };
        let said = [
            ("version", version.into()),
            ("weights", weights.clone().into()),
            ("maps", maps.iter().map(ToString::to_string).collect::<Vec<_>>().into()),
            ("class", class.into()),
            ("input", format!("{input:?}").into()),
            ("outputs", outputs.into()),
            ("score", request.model.score.as_ref().map(|score| format!("{score:?}")).into()),
            ("precision", format!("{:?}", request.model.how.precision).into()),
            ("labels", options.labels.clone().into()),
            ("methods", format!("{:?}", options.explain).into()),
            ("max_pixels", options.limits.max_pixels.into()),
            ("image_column", request.columns.image.clone().into()),
            ("key_column", request.columns.key.clone().into()),
        ];
        let said = said.into_iter().map(|(key, value): (&str, Value)| (key.to_owned(), value)).collect();
        Ok(Self { version, weights, said })
    }

    /// What the part of a shard says.
    fn of_part(&self, planned: &Planned) -> Map<String, Value> {
        let mut said = self.said.clone();
        // A shard that is gone can be no other one.
        if let Ok(about) = std::fs::metadata(&planned.input) {
            let name = planned.input.file_name().unwrap_or_default().to_string_lossy().into_owned();
            said.insert("shard".to_owned(), json!({"name": name, "bytes": about.len()}));
        }
        said
    }

    /// As a part's metadata.
    pub(super) fn metadata(&self, planned: &Planned) -> KeyValue {
        KeyValue::new(KEY.to_owned(), Value::Object(self.of_part(planned)).to_string())
    }

    /// Makes sure that a part that is there was made with the same, and of the same shard by its name and length.
    ///
    /// # Errors
    /// [`Error::Argument`] if it was not, or is no part; [`Error::Io`] if it cannot be opened.
    pub(super) fn check(&self, planned: &Planned) -> Result<()> {
        let part = planned.output.as_path();
        let path = printable_path(part).to_string();
        let other = |why: String| {
            let message = format!("{path} is there already, and {why}: name another folder, or remove it");
            Error::argument("--out-parquet", message)
        };
        let file = File::open(part).map_err(Error::io(part))?;
        let reader = SerializedFileReader::new(file).map_err(|error| other(format!("is no Parquet file ({error})")))?;
        let said = reader.metadata().file_metadata().key_value_metadata().and_then(|pairs| {
            let text = pairs.iter().find(|pair| pair.key == KEY)?.value.as_deref()?;
            serde_json::from_str::<Map<String, Value>>(text).ok()
        });
        let Some(said) = said else { return Err(other("was not made by cbam-run".to_owned())) };
        match self.of_part(planned).iter().find(|(key, value)| said.get(*key) != Some(value)) {
            Some((key, value)) => {
                let was = said.get(key).unwrap_or(&Value::Null);
                Err(other(format!("was made with other {key}: {was}, which is {value} here")))
            }
            None => Ok(()),
        }
    }
}
