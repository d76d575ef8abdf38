//! What a live page asks of a network, and what it is answered: JSON both ways.
//!
//! A live page ([`live`](crate::render::page::live)) looks at photos as they come. Whatever has a [`Model`] can answer it through a
//! [`LiveModel`]: the engine in the page itself, or a program that serves the page.

mod options;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::classes::ClassChoice;
use crate::explain::ExplainOptions;
use crate::maps::{MapName, Scale};
use crate::model::{Description, Model, Question, Step};
use crate::photo::{Encoded, Limits, Photo, Preprocess, Resampled};
use crate::render::Overlay;
use crate::render::page::{Packing, PageHead, PagePicture, PageSource, PageSubject};
use crate::{Error, Result};

pub use options::{Class, HeadOptions, Kept, LookOptions, read};

/// What holds for all that is asked, unless it is asked otherwise.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// The maps that are shown, the first one first. Default: none, which means the network's first.
    pub maps: Vec<MapName>,
    /// The class that maps are of. Default: each picture's likeliest.
    pub class: Option<ClassChoice>,
    /// The names of the classes. Default: the network's own.
    pub labels: Option<Vec<String>>,
    /// The short side of what the network sees, in pixels. Default: the network's own.
    pub short_side: Option<u32>,
    /// How explanations are made.
    pub explain: ExplainOptions,
    /// The words that go with a method's maps in a command line, by the method's name.
    pub methods: BTreeMap<&'static str, Vec<String>>,
    /// How large a photo may be.
    pub limits: Limits,
    /// The most pixels that the network is given. Default: no limit.
    pub most_pixels: u64,
    /// The most bytes that decoding a photo may take. Default: no limit.
    pub most_decoding: u64,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            maps: Vec::new(),
            class: None,
            labels: None,
            short_side: None,
            explain: ExplainOptions::default(),
            methods: BTreeMap::new(),
            limits: Limits::default(),
            most_pixels: u64::MAX,
            most_decoding: u64::MAX,
        }
    }
}

/// A network that a live page asks.
#[derive(Debug)]
pub struct LiveModel<M> {
    name: String,
    model: M,
    notes: Vec<String>,
    about: Description,
    labels: Vec<String>,
    settings: LiveSettings,
}

impl<M: Model> LiveModel<M> {
    /// A network that is called `name`, with what its user should know of it, a line each.
    ///
    /// # Errors
    /// [`Error::Argument`] for a map, a class or names of classes that do not fit it.
    pub fn new(name: String, model: M, notes: Vec<String>, settings: LiveSettings) -> Result<Self> {
        let about = model.describe();
        let labels = about.choose_labels(settings.labels.as_deref())?;
        let this = Self { name, model, notes, about, labels, settings };
        this.subject(&[], None)?;
        Ok(this)
    }

    /// What there is to know of it, as JSON: its name, classes and maps, the maps that can be asked for, the short side of what it sees,
    /// and what was taken for granted.
    pub fn describe(&self) -> String {
        json!({
            "name": self.name,
            "classes": self.about.classes(),
            "labels": self.labels,
            "outputs": self.about.outputs,
            "maps": strings(&self.about.maps),
            "choices": strings(&self.choices()),
            "short_side": self.preprocess(None).short_side,
            "notes": self.notes,
        })
        .to_string()
    }

    /// The maps that can be asked for by name: those of its own, and each explanation at each further place where it may look.
    fn choices(&self) -> Vec<MapName> {
        let about = &self.about;
        let mut choices = Vec::with_capacity(about.maps.len());
        for name in about.maps.iter().filter(|name| !matches!(name, MapName::Channel(_))) {
            choices.push(name.clone());
            let MapName::Explain { method, stage: None } = name else { continue };
            if method.needs_stage() {
                let there = |place: &&String| !method.needs_gradient() || !about.without_gradient.contains(place);
                let further = about.places.iter().filter(|place| about.default_place.as_ref() != Some(place));
                let at = |place: &String| MapName::Explain { method: *method, stage: Some(place.clone()) };
                choices.extend(further.filter(there).map(at));
            }
        }
        choices
    }

    /// The head of a page, as JSON, before it has a picture; see [`PageHead::json`].
    ///
    /// # Errors
    /// [`Error::Argument`] for a map or a class that it does not have.
    pub fn head(&self, options: &HeadOptions) -> Result<String> {
        let (subject, _) = self.subject(&options::map_names(&options.maps)?, options.class.as_ref())?;
        let head = PageHead {
            program: options.program.clone(),
            date: options.date.clone(),
            command: options.command.clone(),
            methods: self.settings.methods.clone(),
            network: self.name.clone(),
            overlay: Overlay::default(),
            report: None,
        };
        head.json(&subject)
    }

    /// What it sees in a photo, as JSON: `index`, what a list of pictures says of it, and `picture`, all that is shown of it.
    ///
    /// `photo` opens its file or bytes within the limits that it is given, and `go_on`, if there is one, is told how far costly
    /// explanations are, and says whether to go on.
    ///
    /// # Errors
    /// What opening the photo returns; [`Error::Photo`] for bytes that are no picture which is read here; [`Error::Argument`] for an
    /// option that cannot be; [`Error::Interrupted`] if it was not to go on.
    pub fn look<'p>(
        &self,
        photo: impl FnOnce(&Limits) -> Result<Encoded<'p>>,
        name: &str,
        options: &LookOptions,
        go_on: Option<&dyn Fn(Step<'_>) -> bool>,
    ) -> Result<String> {
        let (subject, asked) = self.subject(&options::map_names(&options.maps)?, options.class.as_ref())?;
        let subject = Arc::new(subject);
        let mut photo = self.decoded(photo(&self.settings.limits)?, name)?;
        let preprocess = self.preprocess(options.short_side);
        let resampled = self.resampled(&preprocess, &photo)?;
        let detail = options.detail.into();
        let explain = self.settings.explain.clone();
        let question = Question { class: subject.class, detail, explain, go_on, ..Question::about(&asked) };
        let looks = self.model.look(&[&resampled], &question)?;
        let look = looks.into_iter().next().ok_or_else(|| Error::internal("no answer about the picture"))?;
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
        let picture = PagePicture::new(&source, Arc::clone(&subject))?;
        Ok(format!("{{\"index\":{},\"picture\":{}}}", picture.listed()?, picture.record()))
    }

    /// What a page is of, and the maps that the network is asked for.
    fn subject(&self, maps: &[MapName], class: Option<&Class>) -> Result<(PageSubject, Vec<MapName>)> {
        let about = &self.about;
        let maps = about.choose_maps(if maps.is_empty() { &self.settings.maps } else { maps })?;
        if let Some(gate) = maps.iter().find(|name| matches!(name, MapName::Channel(_))) {
            let message = "is one value for each channel, and no map; a page shows all channel gates";
            return Err(Error::argument(format!("map {gate}"), message));
        }
        let asked = about.with_usual(&maps);
        let class = class.map(Class::choice).or_else(|| self.settings.class.clone());
        let class = class.map(|class| about.choose_class(&class, &self.labels, &asked)).transpose()?;
        let (labels, outputs) = (self.labels.clone(), about.outputs);
        Ok((PageSubject { maps, labels, outputs, class, scale: Scale::Image }, asked))
    }

    fn preprocess(&self, short_side: Option<u32>) -> Preprocess {
        let mut preprocess = self.about.preprocess.clone();
        preprocess.short_side = short_side.or(self.settings.short_side).unwrap_or(preprocess.short_side);
        preprocess
    }

    /// The photo, if there is memory for it.
    fn decoded(&self, encoded: Encoded<'_>, name: &str) -> Result<Photo> {
        let needs = encoded.needs();
        if needs > self.settings.most_decoding {
            let message = format!("decoding it takes up to {} MB, and a page has no room for that", needs / 1_000_000);
            return Err(Error::photo(Path::new(name), message));
        }
        encoded.decode()
    }

    /// The photo as the network sees it, if there is memory for that.
    fn resampled(&self, preprocess: &Preprocess, photo: &Photo) -> Result<Resampled> {
        preprocess.check()?;
        let (size, most) = (preprocess.network_size(photo.size()), self.settings.most_pixels);
        if size.pixels() > most {
            let message = format!("{size} pixels are more than the {most} that a page has room for");
            return Err(Error::argument("short_side", message));
        }
        preprocess.resample(photo)
    }
}

fn strings(names: &[MapName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
