//! What is measured of which model on which pictures.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use image::{DynamicImage, Rgb, RgbImage};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::grounds::Grounds;
use super::scene::Sight;
use super::subject::Subjects;
use super::{Outcome, Set, StudyOptions, StudyPictures, Subject};
use crate::eval::{Clutter, Remarks, ScoreCache};
use crate::model::Model;
use crate::photo::{Photo, Preprocess};
use crate::{Error, Result};

/// A study of one model on many pictures: how right it is, how well its maps point, and whether its decision rests on what they name.
///
/// [`new`](Self::new) chooses what is measured where, [`run`](Self::run) measures, [`set`](Self::set) makes figures of it.
pub struct Study<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) pictures: &'a StudyPictures,
    pub(super) options: StudyOptions,
    /// How a picture becomes the model's input.
    pub(super) preprocess: Preprocess,
    pub(super) subjects: Subjects,
    pub(super) chosen: Chosen,
    /// The model with ever more of its weights made meaningless.
    pub(super) randomised: Vec<Box<dyn Model>>,
    pub(super) grounds: Option<Grounds>,
    pub(super) keep: Keep,
    pub(super) remarks: Remarks,
}

/// On which rows what takes long is measured.
pub(super) struct Chosen {
    /// Faithfulness, and costly maps.
    pub(super) subset: HashSet<usize>,
    /// The sanity check; none without randomised models.
    pub(super) sane: HashSet<usize>,
}

/// Scores that are kept.
#[derive(Default)]
pub(super) struct Keep {
    pub(super) cache: ScoreCache,
    /// What every score depends on, beside the picture.
    pub(super) context: String,
    /// Scores that were measured, and not found in the cache.
    pub(super) fresh: usize,
}

impl<'a> Study<'a> {
    /// A study of `model` on `pictures`: the subset is drawn, the grounds of clutter are read, and every map that is not costly is made
    /// of a made-up picture, so that one that cannot be made is known before any work.
    ///
    /// # Errors
    /// [`Error::Argument`] if the model lacks one of the maps, if there is nothing that clutter can be made from, or if faithfulness is
    /// asked of a model without [`features`](Model::features); an explanation's error.
    pub fn new(model: &'a dyn Model, pictures: &'a StudyPictures, options: StudyOptions) -> Result<Self> {
        let about = model.describe();
        let subjects = Subjects::of(&about, &options.maps)?;
        if options.faithfulness.is_some() && model.features().is_none() {
            return Err(Error::argument("faithfulness", "needs a model that gives out its features"));
        }
        let preprocess = options.preprocess.clone().unwrap_or(about.preprocess);
        let grounds = options.clutter.as_ref();
        let grounds =
            grounds.map(|clutter| Grounds::read(clutter, pictures, preprocess.short_side, &options)).transpose()?;
        let subset = drawn(pictures, &options).collect();
        let study = Self {
            model,
            pictures,
            options,
            preprocess,
            subjects,
            chosen: Chosen { subset, sane: HashSet::new() },
            randomised: Vec::new(),
            grounds,
            keep: Keep::default(),
            remarks: Remarks::default(),
        };
        let mut study = study.with_cache(ScoreCache::in_memory(), "");
        study.try_maps()?;
        Ok(study)
    }

    /// With the sanity check: `models` are the same one with ever more of its weights made meaningless, as
    /// [`NetworkFile::randomised`](crate::network::NetworkFile::randomised) makes them. Each map that is neither a baseline nor costly
    /// is compared with theirs, on [`sane`](StudyOptions::sane) pictures of the subset.
    pub fn with_randomised(mut self, models: Vec<Box<dyn Model>>) -> Self {
        let count = if models.is_empty() { 0 } else { self.options.sane };
        self.chosen.sane = drawn(self.pictures, &self.options).take(count).collect();
        self.randomised = models;
        self
    }

    /// With scores kept in `cache`, and taken from it. `context` is all that scores depend on beside the pictures, their truth and the
    /// options: the model's weights, its randomised ones', the version of what runs it.
    pub fn with_cache(mut self, cache: ScoreCache, context: &str) -> Self {
        let context = format!("{context} {:?} {:?}", self.preprocess, self.options.explain);
        self.keep = Keep { cache, context, fresh: 0 };
        self
    }

    /// Makes every map that is not costly of a made-up picture: one that cannot be made is an error before any work, or, if nobody
    /// asked for it, is left out.
    fn try_maps(&mut self) -> Result<()> {
        let picture =
            RgbImage::from_fn(64, 48, |x, y| Rgb([(x * y % 251) as u8, (x * 37 % 256) as u8, (y * 53 % 256) as u8]));
        // A model that says nothing of such a picture may of others.
        let seen = Sight::of(self.model, self, &Photo::from(DynamicImage::from(picture)), None);
        let Ok(mut sight) = seen else { return Ok(()) };
        for i in self.subjects.places(|subject| !subject.is_costly()).into_iter().rev() {
            match sight.map(self.model, self, &self.subjects.list[i], None) {
                Err(error) if self.options.maps.is_empty() => {
                    let subject = self.subjects.list.remove(i);
                    self.subjects.left_out.push((subject, error));
                }
                made => drop(made?),
            }
        }
        Ok(())
    }
}

impl Study<'_> {
    /// What is scored: the baselines, then the maps.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects.list
    }

    /// The maps that nobody asked for by name, and that cannot be made; and why.
    pub fn left_out(&self) -> &[(Subject, Error)] {
        &self.subjects.left_out
    }

    /// What is measured, and how.
    pub fn options(&self) -> &StudyOptions {
        &self.options
    }

    /// How a picture becomes the model's input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The pictures.
    pub fn pictures(&self) -> &StudyPictures {
        self.pictures
    }

    /// The rows on which faithfulness and costly maps are measured.
    pub fn subset(&self) -> &HashSet<usize> {
        &self.chosen.subset
    }

    /// The rows on which the sanity check is made: a part of the subset, none without randomised models.
    pub fn sane(&self) -> &HashSet<usize> {
        &self.chosen.sane
    }

    /// What makes cluttered pictures, if they are asked for.
    pub fn clutter(&self) -> Option<&Clutter> {
        self.grounds.as_ref().map(|grounds| &grounds.clutter)
    }

    /// The scores that are kept.
    pub fn cache(&self) -> &ScoreCache {
        &self.keep.cache
    }

    /// What was changed, assumed or lost while pictures were measured, so far.
    pub fn remarks(&self) -> &Remarks {
        &self.remarks
    }

    /// Where the map of subject `i` of a picture is saved; none if it is not.
    pub fn map_file(&self, i: usize, image: &str) -> Option<PathBuf> {
        let folder = self.options.maps_dir.as_ref()?;
        let subject = self.subjects.list.get(i).filter(|subject| !subject.is_baseline())?;
        let apart = self.subjects.apart.then(|| folder.join(subject.to_string().replace(':', "-")));
        Some(map_file(apart.as_ref().unwrap_or(folder), image))
    }

    /// Everything that was measured, to make figures of.
    pub fn set<'a>(&'a self, outcome: &'a Outcome) -> Set<'a> {
        let (measured, missing) = (&outcome.measured, &outcome.missing);
        Set { rows: &self.pictures.rows, subjects: &self.subjects.list, measured, missing }
    }
}

/// The rows of the subset, the same ones for a seed, those of the sanity check first.
fn drawn(pictures: &StudyPictures, options: &StudyOptions) -> impl Iterator<Item = usize> {
    let mut drawn: Vec<usize> = (0..pictures.rows.len()).collect();
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
    drawn.into_iter().take(options.subset)
}

/// Where the map of a picture goes: to its place in the tree of the pictures, as `.npy`.
fn map_file(folder: &Path, image: &str) -> PathBuf {
    let below = Path::new(image).components().filter(|part| matches!(part, Component::Normal(_)));
    folder.join(below.collect::<PathBuf>()).with_extension("npy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_map_leaves_its_folder() {
        for (image, file) in
            [("a.jpg", "m/a.npy"), ("x/b.c.png", "m/x/b.c.npy"), ("../../etc/c", "m/etc/c.npy"), ("/d.jpg", "m/d.npy")]
        {
            assert_eq!(map_file(Path::new("m"), image), Path::new(file));
        }
    }
}
