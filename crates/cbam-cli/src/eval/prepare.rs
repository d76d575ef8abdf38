//! From the command line to a study that is ready to run.

use cbam_core::device::DeviceSpec;
use cbam_core::eval::{FaithfulnessOptions, PictureSource, ScoreCache};
use cbam_core::explain::ExplainOptions;
use cbam_core::model::Description;
use cbam_core::photo::Limits;
use cbam_core::study::{ClutterOptions, Study, StudyOptions, StudyPictures};
use cbam_core::{Error, Result};

use crate::backend::{Backend, How};
use crate::common::doubts::remedies;
use crate::eval::args::{Cli, Measure};
use crate::eval::opened::Opened;

/// A study of `pictures`, as the command line asks for it.
pub(crate) fn study<'a>(
    backend: &dyn Backend,
    cli: &Cli,
    how: &How,
    network: &'a Opened,
    pictures: &'a StudyPictures,
) -> Result<Study<'a>> {
    let options = cli.study(&network.describe(), network.device == DeviceSpec::Cpu)?;
    let mut study = Study::new(network.model(), pictures, options).map_err(by_option)?;
    for (subject, error) in study.left_out() {
        crate::common::say(format_args!("{subject} is left out: {error}"));
    }
    if cli.measures(Measure::Sanity) {
        study = study.with_randomised(network.randomised(backend, cli, how)?);
    }
    let cache = cli.cache_folder().map_or_else(|| Ok(ScoreCache::in_memory()), |folder| ScoreCache::open(&folder))?;
    let on_cpu = network.device == DeviceSpec::Cpu;
    let context = format!("{} {} {} {on_cpu:?}", program()?, backend.libraries(), network.fingerprint);
    Ok(study.with_cache(cache, &context))
}

impl Cli {
    /// What is to be measured of such a network, and how.
    fn study(&self, network: &Description, on_cpu: bool) -> Result<StudyOptions> {
        let mut preprocess = network.preprocess.clone();
        preprocess.short_side = self.size.unwrap_or(preprocess.short_side);
        // A processor is fastest where the features of a batch fit its caches.
        let batch = if on_cpu { 4 } else { 32 };
        let faithfulness = FaithfulnessOptions::default().with_steps(self.steps).with_seed(self.seed).with_batch(batch);
        let mut options = StudyOptions::default();
        options.maps.clone_from(&self.maps);
        options.preprocess = Some(preprocess);
        options.explain = ExplainOptions::default().with_masks(self.rise_masks).with_seed(self.seed);
        options.faithfulness = self.measures(Measure::Faithfulness).then_some(faithfulness);
        options.clutter = self.measures(Measure::Clutter).then(|| self.clutter()).transpose()?;
        options.subset = self.subset;
        options.seed = self.seed;
        options.limits = Limits::of_pixels(self.max_pixels);
        options.maps_dir.clone_from(&self.maps_dir);
        options.say = remedies;
        Ok(options)
    }

    fn clutter(&self) -> Result<ClutterOptions> {
        let mut options = ClutterOptions::default();
        options.wallpapers = self.backgrounds.as_ref().map(PictureSource::at).transpose()?;
        Ok(options)
    }
}

/// An error about an argument of the library, about the option that it comes from.
pub(crate) fn by_option(error: Error) -> Error {
    match error {
        Error::Argument { argument, message, remedy } => {
            let option = match argument.as_str() {
                "images" => "--images",
                "wallpapers" => "--backgrounds",
                "clutter" => "--measure clutter",
                other => other,
            };
            Error::Argument { argument: option.to_owned(), message, remedy }
        }
        other => other,
    }
}

/// A hash of this very program: whatever maps and scores depend on is a part of it, so that none is kept from another state of it.
fn program() -> Result<String> {
    let path = std::env::current_exe().map_err(Error::io("this program"))?;
    Ok(ScoreCache::key(&[&std::fs::read(&path).map_err(Error::io(path))?]))
}
