//! Every picture through the network, and everything measured on it; what was measured before is taken from the cache.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use cbam_core::eval::{
    Clutter, FaithfulnessOptions, Object, Region, RemarkKind, Remarks, ScoreCache, faithfulness, rank_correlation,
};
use cbam_core::explain::ExplainOptions;
use cbam_core::files::write_whole;
use cbam_core::maps::AttentionMap;
use cbam_core::model::Model;
use cbam_core::photo::{Limits, Photo, Preprocess};
use cbam_core::{Error, Result};
use ndarray::ArrayView4;
use ndarray_npy::WriteNpyExt;
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::eval::chosen::Row;
use crate::eval::claims::map_file;
use crate::eval::opened::{Opened, features};
use crate::eval::record::{InClutter, Located, Made, Measured, Seen};
use crate::eval::scene::{Scene, Sight, filled};
use crate::eval::subject::{Subject, at_size, classify};

/// What is measured, and how.
pub(crate) struct Study<'a> {
    pub(crate) network: &'a Opened,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) preprocess: Preprocess,
    pub(crate) explain: ExplainOptions,
    /// The folder for the maps of each subject.
    pub(crate) folders: Vec<Option<PathBuf>>,
    /// Rows on which the costly maps and faithfulness are measured.
    pub(crate) subset: HashSet<usize>,
    pub(crate) faithfulness: Option<FaithfulnessOptions>,
    /// Rows for the sanity check, and the networks that were randomised.
    pub(crate) sane: HashSet<usize>,
    pub(crate) randomised: Vec<Box<dyn Model>>,
    pub(crate) seed: u64,
    pub(crate) clutter: Option<Clutter>,
    /// What every score depends on.
    pub(crate) context: String,
    pub(crate) clutter_key: String,
    pub(crate) cache: ScoreCache,
    pub(crate) limits: Limits,
    /// Scores that were measured, and not found in the cache.
    pub(crate) fresh: usize,
    /// What is to be said of the pictures and of their truth.
    pub(crate) remarks: Remarks,
}

impl Study<'_> {
    /// Measures one picture.
    pub(crate) fn measure(&mut self, index: usize, row: &Row, bytes: &[u8]) -> Result<Measured> {
        let count = self.subjects.len();
        let mut scene = Scene::new(row, bytes, count);
        let truth = truth_key(row)?;
        let base = ScoreCache::key(&[self.context.as_bytes(), bytes]);
        let base = |parts: &[&str]| {
            let parts: Vec<&[u8]> =
                std::iter::once(base.as_bytes()).chain(parts.iter().map(|p| p.as_bytes())).collect();
            ScoreCache::key(&parts)
        };
        let seen: Seen = self.recall(&base(&["seen", &truth, &row.image]), |study| {
            let class = row.truth.as_ref().and_then(|truth| truth.class);
            let share = if row.has_object() { Some(scene.region(study)?.share()) } else { None };
            let seen = Seen::new(&scene.sight(study)?.look, class, share)?;
            Ok(Seen { remarks: scene.remarks.clone(), ..seen })
        })?;
        self.remarks.merge(seen.remarks.clone());
        let in_subset = self.subset.contains(&index);
        let mut measured = Measured {
            row: index,
            located: vec![None; count],
            faithful: vec![None; count],
            sane: vec![None; count],
            seconds: vec![None; count],
            clutter: Vec::new(),
            seen,
        };
        let class = measured.seen.class;
        for i in self.places(|subject| in_subset && subject.is_costly()) {
            let name = self.subjects[i].to_string();
            let made: Made = self.recall(&base(&["made", &name]), |study| {
                let sight = scene.sight(study)?;
                let start = Instant::now();
                let map = sight.map(study.network.features()?, study, i, Some(class))?;
                Ok(Made::new(map.values(), start.elapsed().as_secs_f64()))
            })?;
            let map = made.map().ok_or_else(|| Error::argument(&name, "the kept map is not whole"))?;
            scene.maps[i] = Some(AttentionMap::new(map, cbam_core::maps::MapRange::Positive)?);
            measured.seconds[i] = Some(made.seconds);
        }
        let made = self.places(|subject| in_subset || !subject.is_costly());
        for i in made.iter().copied() {
            if let Some(folder) = self.folders[i].clone() {
                let map = scene.map(self, i)?;
                if let Err(error) = save(&map_file(&folder, &row.image), &map) {
                    self.remarks.add(RemarkKind::Lost, "maps that could not be saved", error);
                }
            }
        }
        if row.has_object() {
            let key = |i: usize| base(&["located", &self.subjects[i].to_string(), &truth]);
            let keys = made.iter().map(|i| (*i, key(*i))).collect();
            self.locate(keys, &mut measured.located, |study, i| Ok((scene.map(study, i)?, scene.region(study)?)))?;
        }
        if let Some(options) = self.faithfulness.clone().filter(|_| in_subset) {
            for i in self.places(|subject| *subject != Subject::Centre) {
                let how = format!("{options:?}");
                let key = base(&["faithful", &self.subjects[i].to_string(), &how]);
                measured.faithful[i] = Some(self.recall(&key, |study| {
                    let picture = scene.sight(study)?.picture.clone();
                    let map = at_size(&scene.map(study, i)?, picture.geometry().network)?;
                    let pixels = study.preprocess.normalised(&picture)?;
                    let mut ask = |batch: ArrayView4<'_, f32>| classify(study.network.features()?, batch);
                    Ok(faithfulness(pixels.view(), map.view(), class, &options, &mut ask)?.into())
                })?);
            }
        }
        if self.sane.contains(&index) {
            self.check_sanity(&base, &mut scene, class, &mut measured.sane)?;
        }
        if self.clutter.is_some() {
            for untrained in [false, true] {
                measured.clutter.push(self.see_cluttered(&base, &mut scene, &truth, untrained)?);
            }
        }
        Ok(measured)
    }

    /// The places of the subjects that are chosen.
    fn places(&self, choose: impl Fn(&Subject) -> bool) -> Vec<usize> {
        self.subjects.iter().enumerate().filter(|(_, subject)| choose(subject)).map(|(i, _)| i).collect()
    }

    fn check_sanity(
        &mut self,
        base: &dyn Fn(&[&str]) -> String,
        scene: &mut Scene<'_>,
        class: usize,
        sane: &mut [Option<Vec<f64>>],
    ) -> Result<()> {
        let wanted = |subject: &Subject| !subject.is_baseline() && !subject.is_costly();
        let seed = self.seed.to_string();
        let keys: Vec<Option<String>> = self
            .subjects
            .iter()
            .map(|subject| wanted(subject).then(|| base(&["sane", &subject.to_string(), &seed])))
            .collect();
        let mut randomised: Option<Vec<Sight>> = None;
        for (i, key) in keys.iter().enumerate().filter_map(|(i, key)| Some((i, key.as_ref()?))) {
            sane[i] = Some(self.recall(key, |study| {
                let photo = scene.photo(study)?;
                let networks = || study.randomised.iter().map(|network| &**network);
                let look = |network: &dyn Model| Sight::of(network, study, &photo, Some(class));
                let sights = filled(&mut randomised, || networks().map(look).collect())?;
                let own = scene.map(study, i)?;
                let correlate = |(sight, network): (&mut Sight, &dyn Model)| {
                    let map = sight.map(features(network)?, study, i, Some(class))?;
                    rank_correlation(own.values().view(), map.values().view())
                };
                sights.iter_mut().zip(networks()).map(correlate).collect()
            })?);
        }
        Ok(())
    }

    fn see_cluttered(
        &mut self,
        base: &dyn Fn(&[&str]) -> String,
        scene: &mut Scene<'_>,
        truth: &str,
        untrained: bool,
    ) -> Result<InClutter> {
        // What is drawn depends on the picture's name, too.
        let which = if untrained { "untrained" } else { "trained" };
        let drawn = format!("{} {which} {}", self.clutter_key, scene.row.image);
        let mut view: Option<View> = None;
        let class = scene.row.truth.as_ref().and_then(|truth| truth.class);
        let row = scene.row;
        let mut draw = |study: &Self| -> Result<View> {
            let photo = scene.photo(study)?;
            let clutter = study.clutter.as_ref().ok_or_else(|| Error::argument("clutter", "is not asked for"))?;
            let cluttered = clutter.make(&row.image, &photo.image, untrained)?;
            let region = if row.has_object() {
                cluttered.region(&*scene.region(study)?)
            } else {
                Region { inside: ndarray::Array2::from_elem((1, 1), false), void: None, boxes: Vec::new() }
            };
            let kind = cluttered.kind.to_string();
            let photo = Photo::from(image::DynamicImage::from(cluttered.picture));
            let sight = Sight::of(study.network.model(), study, &photo, None)?;
            Ok(View { kind, sight, region: Arc::new(region) })
        };
        let (kind, seen): (String, Seen) = self.recall(&base(&["clutter", &drawn, truth]), |study| {
            let view = filled(&mut view, || draw(study))?;
            let share = row.has_object().then(|| view.region.share());
            Ok((view.kind.clone(), Seen::new(&view.sight.look, class, share)?))
        })?;
        let mut located = vec![None; self.subjects.len()];
        if row.has_object() {
            let wanted = self.subjects.iter().enumerate().filter(|(_, subject)| !subject.is_costly());
            let key = |subject: &Subject| base(&["clutter", &drawn, &subject.to_string(), truth]);
            let keys = wanted.map(|(i, subject)| (i, key(subject))).collect();
            self.locate(keys, &mut located, |study, i| {
                let view = filled(&mut view, || draw(study))?;
                Ok((view.sight.map(study.network.features()?, study, i, None)?, view.region.clone()))
            })?;
        }
        Ok(InClutter { kind, seen, located })
    }

    /// A picture that was measured, one of its maps, and where its objects are, to draw them.
    pub(crate) fn again(&self, row: &Row, bytes: &[u8], i: usize) -> Result<Drawn> {
        let mut scene = Scene::new(row, bytes, self.subjects.len());
        if self.subjects[i].is_costly() {
            let base = ScoreCache::key(&[self.context.as_bytes(), bytes]);
            let key = ScoreCache::key(&[base.as_bytes(), b"made", self.subjects[i].to_string().as_bytes()]);
            let made: Option<Made> = self.cache.get(&key);
            let map = made.and_then(|made| made.map());
            scene.maps[i] = map.map(|map| AttentionMap::new(map, cbam_core::maps::MapRange::Positive)).transpose()?;
        }
        let region = if row.has_object() { Some(scene.region(self)?) } else { None };
        Ok((scene.photo(self)?, scene.map(self, i)?, region))
    }

    /// Recalls how well maps point, or scores those that were not kept, side by side.
    fn locate(
        &mut self,
        keys: Vec<(usize, String)>,
        located: &mut [Option<Located>],
        mut map: impl FnMut(&Self, usize) -> Result<(AttentionMap, Arc<Region>)>,
    ) -> Result<()> {
        let mut missing = Vec::new();
        for (i, key) in keys {
            located[i] = self.cache.get(&key);
            if located[i].is_none() {
                let (map, region) = map(self, i)?;
                missing.push((i, key, map, region));
            }
        }
        let scored = missing.into_par_iter().map(|(i, key, map, region)| {
            let (height, width) = region.inside.dim();
            let map = at_size(&map, cbam_core::photo::ImageSize::new(width as u32, height as u32))?;
            Ok((i, key, Located::new(map.view(), &region)?))
        });
        for (i, key, score) in scored.collect::<Result<Vec<_>>>()? {
            self.keep(&key, &score);
            located[i] = Some(score);
        }
        Ok(())
    }

    /// A score from the cache, or else measured and kept.
    fn recall<T: Serialize + DeserializeOwned>(
        &mut self,
        key: &str,
        measure: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        if let Some(score) = self.cache.get(key) {
            return Ok(score);
        }
        let score = measure(self)?;
        self.keep(key, &score);
        Ok(score)
    }

    fn keep(&mut self, key: &str, score: &impl Serialize) {
        self.fresh += 1;
        if let Err(error) = self.cache.put(key, score) {
            self.remarks.add(RemarkKind::Lost, "caches that cannot be written, whose scores are not kept", error);
        }
    }
}

/// What the gallery draws: a picture, a map, and where the objects are.
pub(crate) type Drawn = (Arc<Photo>, AttentionMap, Option<Arc<Region>>);

/// A picture in clutter, and what the network sees there.
struct View {
    kind: String,
    sight: Sight,
    region: Arc<Region>,
}

/// What a score depends on in the truth.
fn truth_key(row: &Row) -> Result<String> {
    let Some(truth) = &row.truth else { return Ok(String::new()) };
    let object = match &truth.object {
        Object::Boxes(boxes) => format!("{boxes:?}"),
        Object::Unknown => String::new(),
        Object::Mask(path) => ScoreCache::key(&[&std::fs::read(path).map_err(Error::io(path))?]),
    };
    Ok(format!("{:?} {:?} {object}", truth.class, truth.size))
}

fn save(path: &Path, map: &AttentionMap) -> Result<()> {
    let mut bytes = Vec::new();
    let written = map.values().write_npy(&mut bytes);
    written.map_err(|error| Error::io(path)(std::io::Error::other(error)))?;
    write_whole(path, &bytes)
}
