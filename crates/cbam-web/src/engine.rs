//! A network that is open: what it is, and what it sees in a photo.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cbam_core::maps::{MapName, Scale};
use cbam_core::model::{Description, Look, Model, Question};
use cbam_core::network::{BUNDLED_NAME, InferenceNetwork, NetworkFile, OpenOptions};
use cbam_core::photo::{Encoded, Limits, Photo, Preprocess, Resampled};
use cbam_core::render::Overlay;
use cbam_core::render::page::{Packing, PageHead, PagePicture, PageSource, PageSubject};
use cbam_core::text::printable_path;
use cbam_core::weights::Checkpoint;
use cbam_core::{Error, Remedy, Result};
use serde_json::json;

use crate::options::{Class, HeadOptions, LookOptions, map_names};

/// The most pixels that a network is given: of these a wide one makes features of some 1.5 GB, and a page has 4 GB in all.
const MOST_PIXELS: u64 = 2_000_000;
/// The most bytes that decoding a photo may take.
const MOST_DECODING: u64 = 3 << 29;

/// A network that is open.
#[derive(Debug)]
pub struct Engine {
    name: String,
    network: InferenceNetwork,
    notes: Vec<String>,
}

impl Engine {
    /// The bundled network.
    ///
    /// # Errors
    /// [`Error::Weights`] if what is bundled is broken.
    pub fn pretrained() -> Result<Self> {
        Self::of(BUNDLED_NAME.to_owned(), &NetworkFile::pretrained()?)
    }

    /// The network of a weights file in memory: safetensors, or what `torch.save` wrote, in which nothing is executed. `name` is what
    /// it is called.
    ///
    /// # Errors
    /// [`Error::Weights`] if it is no file of weights, or of no network that is known.
    pub fn of_weights(name: &str, bytes: Vec<u8>) -> Result<Self> {
        let path = Path::new(name);
        let opened = || {
            let options = OpenOptions::default();
            let file = NetworkFile::of(&Checkpoint::from_bytes_with(path, bytes, &options.reading())?, &options)?;
            let name = path.file_name().map_or(path, Path::new);
            Self::of(printable_path(name).to_string(), &file)
        };
        opened().map_err(|error| error.advised(&advice))
    }

    fn of(name: String, file: &NetworkFile) -> Result<Self> {
        Ok(Self { name, network: file.for_inference()?, notes: file.notes() })
    }

    /// What there is to know of it, as JSON: its name, classes and maps, the short side of what it sees, and what was taken for
    /// granted.
    pub fn describe(&self) -> String {
        let about = self.network.describe();
        let maps: Vec<String> = about.maps.iter().map(ToString::to_string).collect();
        json!({
            "name": self.name,
            "arch": self.network.config().arch.to_string(),
            "classes": about.classes(),
            "labels": about.labels,
            "outputs": about.outputs,
            "maps": maps,
            "short_side": about.preprocess.short_side,
            "most_pixels": MOST_PIXELS,
            "notes": self.notes,
        })
        .to_string()
    }

    /// The head of a page, as JSON, before it has a picture.
    ///
    /// # Errors
    /// [`Error::Argument`] for a map or a class that it does not have.
    pub fn head(&self, options: &HeadOptions) -> Result<String> {
        let about = self.network.describe();
        let (subject, _) = subject(&about, &options.maps, options.class.as_ref())?;
        let program = options.program.clone();
        let head = PageHead {
            program: program.unwrap_or_else(|| concat!("cbam-web ", env!("CARGO_PKG_VERSION")).to_owned()),
            date: options.date.clone(),
            command: options.command.clone(),
            methods: BTreeMap::new(),
            network: self.name.clone(),
            overlay: Overlay::default(),
            report: None,
        };
        head.json(&subject)
    }

    /// What it sees in a photo, as JSON: `index`, what a list of pictures says of it, and `picture`, all that is shown of it.
    ///
    /// # Errors
    /// [`Error::Photo`] for bytes that are no picture which is read here; [`Error::Argument`] for an option that cannot be.
    pub fn look(&self, name: &str, bytes: &[u8], options: &LookOptions) -> Result<String> {
        let about = self.network.describe();
        let (subject, asked) = subject(&about, &options.maps, options.class.as_ref())?;
        let mut photo = decoded(Path::new(name), bytes)?;
        let mut preprocess = about.preprocess;
        preprocess.short_side = options.short_side.unwrap_or(preprocess.short_side);
        let resampled = resampled(&preprocess, &photo)?;
        let detail = options.detail.into();
        let question = Question { class: subject.class, detail, ..Question::about(&asked) };
        let looks = self.network.look(&[&resampled], &question)?;
        let look: Look = looks.into_iter().next().ok_or_else(|| Error::internal("no answer about the picture"))?;
        let (damaged, mut notes) = (photo.damage.take(), std::mem::take(&mut photo.notes));
        notes.extend(preprocess.squeezed(photo.size()));
        let source = PageSource {
            name: name.to_owned(),
            photo: &photo,
            look: &look,
            maps: &subject.maps,
            detail,
            measured: None,
            packing: Packing::Quick,
            damaged,
            notes,
        };
        let picture = PagePicture::new(&source, Arc::new(subject.clone()))?;
        Ok(format!("{{\"index\":{},\"picture\":{}}}", picture.listed()?, picture.record()))
    }
}

/// What a page is of, and the maps that the network is asked for.
fn subject(about: &Description, maps: &[String], class: Option<&Class>) -> Result<(PageSubject, Vec<MapName>)> {
    let maps = about.choose_maps(&map_names(maps)?)?;
    let asked = about.with_usual(&maps);
    let labels = about.choose_labels(None)?;
    let class = class.map(|class| about.choose_class(&class.choice(), &labels, &asked)).transpose()?;
    Ok((PageSubject { maps, labels, outputs: about.outputs, class, scale: Scale::Image }, asked))
}

/// The photo, if there is memory for it.
fn decoded(name: &Path, bytes: &[u8]) -> Result<Photo> {
    let encoded = Encoded::new(name, bytes, &Limits::default())?;
    let needs = encoded.needs();
    if needs > MOST_DECODING {
        let message = format!("decoding it takes up to {} MB, and a page has no room for that", needs / 1_000_000);
        return Err(Error::photo(name, message));
    }
    encoded.decode()
}

/// The photo as the network sees it, if there is memory for that.
fn resampled(preprocess: &Preprocess, photo: &Photo) -> Result<Resampled> {
    preprocess.check()?;
    let size = preprocess.network_size(photo.size());
    if size.pixels() > MOST_PIXELS {
        let message = format!("{size} pixels are more than the {MOST_PIXELS} that a page has room for");
        return Err(Error::argument("short_side", message));
    }
    preprocess.resample(photo)
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
