//! One picture through the model, and everything measured on it; what was measured before is taken from the cache.

use std::sync::Arc;
use std::time::Instant;

use ndarray::ArrayView4;
use ndarray_npy::WriteNpyExt;
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::Made;
use super::scene::{Scene, Sight, filled};
use super::subject::{at_size, classify};
use super::{Drawn, Located, Measured, MeasuredMap, Row, Seen, Study, Subject};
use crate::eval::{FaithfulnessOptions, Region, RemarkKind, faithfulness, rank_correlation};
use crate::explain::Features;
use crate::files::write_whole;
use crate::maps::{AttentionMap, Explanation, MapName};
use crate::model::Model;
use crate::photo::ImageSize;
use crate::{Error, Result};

impl Study<'_> {
    /// Measures one picture: that of a row of [`StudyPictures::rows`](super::StudyPictures::rows), whose encoded bytes are `bytes`. Its
    /// [remarks](Seen::remarks) join those of the study, and so do maps and scores that could not be written.
    ///
    /// # Errors
    /// If the picture or its mask cannot be read, does not fit its truth, or the model fails on it.
    pub fn measure(&mut self, row: usize, bytes: &[u8]) -> Result<Measured> {
        let mut scene = Scene::new(self, self.row(row)?, bytes);
        let truth = scene.truth_key()?;
        let seen = self.see(&mut scene, &truth)?;
        self.remarks.merge(seen.remarks.clone());
        let (class, in_subset) = (seen.class, self.chosen.subset.contains(&row));
        let maps = vec![MeasuredMap::default(); self.subjects.list.len()];
        let mut measured = Measured { row, seen, maps, clutter: Vec::new() };
        if in_subset {
            self.make_costly(&mut scene, class, &mut measured.maps)?;
        }
        let made = self.subjects.places(|subject| in_subset || !subject.is_costly());
        self.save_maps(&mut scene, &made)?;
        if scene.row.has_object() {
            let key = |i: usize| scene.keys.of(&["located", &self.subjects.list[i].to_string(), &truth]);
            let keys = made.iter().map(|i| (*i, key(*i))).collect();
            for (i, located) in self.locate(keys, |study, i| Ok((scene.map(study, i)?, scene.region(study)?)))? {
                measured.maps[i].located = Some(located);
            }
        }
        if let Some(options) = self.options.faithfulness.clone().filter(|_| in_subset) {
            self.measure_faithfulness(&mut scene, class, &options, &mut measured.maps)?;
        }
        if self.chosen.sane.contains(&row) {
            self.check_sanity(&mut scene, class, &mut measured.maps)?;
        }
        if self.grounds.is_some() {
            for untrained in [false, true] {
                measured.clutter.push(self.see_cluttered(&mut scene, &truth, untrained)?);
            }
        }
        Ok(measured)
    }

    /// A picture of a row whose encoded bytes are `bytes`, its maps, and where its objects are, to show them. Costly maps are those that
    /// are kept, and no others.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn again(&self, row: usize, bytes: &[u8]) -> Result<Drawn> {
        let mut scene = Scene::new(self, self.row(row)?, bytes);
        let region = if scene.row.has_object() { Some(scene.region(self)?) } else { None };
        let photo = scene.photo(self)?;
        let (cheap, costly): (Vec<_>, Vec<_>) = self.subjects.list.iter().partition(|subject| !subject.is_costly());
        let mut maps: Vec<_> = cheap.iter().flat_map(|subject| subject.names()).cloned().collect();
        let keys: Vec<_> =
            costly.iter().map(|subject| (subject, scene.keys.of(&["made", &subject.to_string()]))).collect();
        let sight = scene.sight(self)?;
        sight.explain(self.model, self, &maps, None)?;
        for (subject, key) in keys {
            let (Some(made), [MapName::Explain { method, stage }]) =
                (self.keep.cache.get::<Made>(&key), subject.names())
            else {
                continue;
            };
            let map = made.map(&subject.to_string())?.into_values();
            let class = sight.look.likeliest.unwrap_or(0);
            sight.look.readout.explained(Explanation { method: *method, stage: stage.clone(), class, map });
            maps.extend(subject.names().iter().cloned());
        }
        Ok(Drawn { photo, look: sight.look.clone(), maps, region })
    }

    fn see(&mut self, scene: &mut Scene<'_>, truth: &str) -> Result<Seen> {
        self.recall(&scene.keys.of(&["seen", truth, &scene.row.image]), |study| {
            let share = if scene.row.has_object() { Some(scene.region(study)?.share()) } else { None };
            let class = scene.class();
            let seen = Seen::new(&scene.sight(study)?.look, class, share)?;
            Ok(Seen { remarks: scene.remarks.clone(), ..seen })
        })
    }

    fn make_costly(&mut self, scene: &mut Scene<'_>, class: usize, maps: &mut [MeasuredMap]) -> Result<()> {
        for i in self.subjects.places(Subject::is_costly) {
            let name = self.subjects.list[i].to_string();
            let made: Made = self.recall(&scene.keys.of(&["made", &name]), |study| {
                let sight = scene.sight(study)?;
                let start = Instant::now();
                let map = sight.map(study.model, study, &study.subjects.list[i], Some(class))?;
                Ok(Made::new(map.values(), start.elapsed().as_secs_f64()))
            })?;
            scene.maps[i] = Some(made.map(&name)?);
            maps[i].seconds = Some(made.seconds);
        }
        Ok(())
    }

    fn save_maps(&mut self, scene: &mut Scene<'_>, made: &[usize]) -> Result<()> {
        for i in made {
            let Some(path) = self.map_file(*i, &scene.row.image) else { continue };
            let mut bytes = Vec::new();
            let written = scene.map(self, *i)?.values().write_npy(&mut bytes);
            let written = written.map_err(|error| Error::io(&path)(std::io::Error::other(error)));
            if let Err(error) = written.and_then(|()| write_whole(&path, &bytes)) {
                self.remarks.add(RemarkKind::Lost, "maps that could not be saved", error);
            }
        }
        Ok(())
    }

    fn measure_faithfulness(
        &mut self,
        scene: &mut Scene<'_>,
        class: usize,
        options: &FaithfulnessOptions,
        maps: &mut [MeasuredMap],
    ) -> Result<()> {
        let how = format!("{options:?}");
        for i in self.subjects.places(|subject| *subject != Subject::Centre) {
            let key = scene.keys.of(&["faithful", &self.subjects.list[i].to_string(), &how]);
            maps[i].faithful = Some(self.recall(&key, |study| {
                let picture = scene.sight(study)?.picture.clone();
                let map = at_size(&scene.map(study, i)?.of_input(), picture.geometry().network)?;
                let pixels = study.preprocess.normalised(&picture)?;
                let features = study.features()?;
                let mut ask = |batch: ArrayView4<'_, f32>| classify(features, batch);
                Ok(faithfulness(pixels.view(), map.view(), class, options, &mut ask)?.into())
            })?);
        }
        Ok(())
    }

    fn check_sanity(&mut self, scene: &mut Scene<'_>, class: usize, maps: &mut [MeasuredMap]) -> Result<()> {
        let seed = self.options.seed.to_string();
        let mut randomised: Option<Vec<Sight>> = None;
        for i in self.subjects.places(|subject| !subject.is_baseline() && !subject.is_costly()) {
            let key = scene.keys.of(&["sane", &self.subjects.list[i].to_string(), &seed]);
            maps[i].sane = Some(self.recall(&key, |study| {
                let photo = scene.photo(study)?;
                let models = || study.randomised.iter().map(|model| &**model);
                let look = |model: &dyn Model| Sight::of(model, study, &photo, Some(class));
                let sights = filled(&mut randomised, || models().map(look).collect())?;
                let own = scene.map(study, i)?;
                let correlate = |(sight, model): (&mut Sight, &dyn Model)| {
                    let map = sight.map(model, study, &study.subjects.list[i], Some(class))?;
                    rank_correlation(own.values().view(), map.values().view())
                };
                sights.iter_mut().zip(models()).map(correlate).collect()
            })?);
        }
        Ok(())
    }
}

/// What the other measures share.
impl<'a> Study<'a> {
    pub(super) fn row(&self, row: usize) -> Result<&'a Row> {
        let rows = &self.pictures.rows;
        rows.get(row).ok_or_else(|| Error::argument("row", format!("{row} is none of {}", rows.len())))
    }

    pub(super) fn features(&self) -> Result<&'a dyn Features> {
        self.model.features().ok_or_else(|| Error::network("network", "it gives out no features"))
    }

    /// Recalls how well maps point, or scores those that were not kept, side by side; each with its subject's place.
    pub(super) fn locate(
        &mut self,
        keys: Vec<(usize, String)>,
        mut map: impl FnMut(&Self, usize) -> Result<(AttentionMap, Arc<Region>)>,
    ) -> Result<Vec<(usize, Located)>> {
        let (mut located, mut missing) = (Vec::new(), Vec::new());
        for (i, key) in keys {
            if let Some(kept) = self.keep.cache.get(&key) {
                located.push((i, kept));
                continue;
            }
            let (map, region) = map(self, i)?;
            missing.push((i, key, map, region));
        }
        let scored = missing.into_par_iter().map(|(i, key, map, region)| {
            let (height, width) = region.inside.dim();
            let map = at_size(&map, ImageSize::new(width as u32, height as u32))?;
            Ok((i, key, Located::new(map.view(), &region)?))
        });
        for (i, key, score) in scored.collect::<Result<Vec<_>>>()? {
            self.put(&key, &score);
            located.push((i, score));
        }
        Ok(located)
    }

    /// A score from the cache, or else measured and kept.
    pub(super) fn recall<T: Serialize + DeserializeOwned>(
        &mut self,
        key: &str,
        measure: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        if let Some(score) = self.keep.cache.get(key) {
            return Ok(score);
        }
        let score = measure(self)?;
        self.put(key, &score);
        Ok(score)
    }

    fn put(&mut self, key: &str, score: &impl Serialize) {
        self.keep.fresh += 1;
        if let Err(error) = self.keep.cache.put(key, score) {
            self.remarks.add(RemarkKind::Lost, "caches that cannot be written, whose scores are not kept", error);
        }
    }
}
