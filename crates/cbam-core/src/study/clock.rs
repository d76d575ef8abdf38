//! How long maps take.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::{Measured, Study, Subject};
use crate::Result;
use crate::explain::explain;
use crate::maps::MapName;
use crate::model::Question;
use crate::photo::{Photo, decode};

/// Pictures that the time of a map is taken from, at most.
pub const TIMED: usize = 20;

/// The time that one map takes.
#[derive(Debug, Clone, Serialize)]
pub struct TimeFigures {
    /// The map's name.
    pub map: String,
    /// On how many pictures it was timed.
    pub n: usize,
    /// The median, in seconds, from a prepared picture to the map.
    pub median_seconds: f64,
}

impl Study<'_> {
    /// How long each map takes, from a prepared picture to the map: the median over up to [`TIMED`] pictures of the subset, one at a
    /// time, each map's first run left out. The costly maps were timed when they were made.
    ///
    /// # Errors
    /// The source's, or the model's.
    pub fn clock(&self, measured: &[Measured]) -> Result<Vec<TimeFigures>> {
        let (rows, limits) = (&self.pictures.rows, &self.options.limits);
        let subset = measured.iter().filter(|m| self.chosen.subset.contains(&m.row));
        let subset: Vec<&Measured> = subset.take(TIMED).collect();
        let names: Vec<&str> = subset.iter().map(|m| rows[m.row].image.as_str()).collect();
        let mut seconds: Vec<Vec<f64>> = (0..self.subjects.list.len())
            .map(|i| measured.iter().filter_map(|m| m.maps[i].seconds).take(TIMED).collect())
            .collect();
        let mut warm = false;
        self.pictures.source.visit(&names, limits.max_bytes, |place, bytes| {
            // What was measured before and cannot be read any more is not timed.
            let photo = bytes.and_then(|bytes| decode(Path::new(names[place]), &bytes, limits));
            let Ok(photo) = photo else { return Ok(()) };
            let class = subset[place].seen.class;
            for turn in 0..if warm { 1 } else { 2 } {
                for (subject, seconds) in self.subjects.list.iter().zip(&mut seconds) {
                    let Subject::Map(name) = subject else { continue };
                    if subject.is_costly() {
                        continue;
                    }
                    let took = self.time(&photo, name, class)?;
                    if warm || turn == 1 {
                        seconds.push(took);
                    }
                }
            }
            warm = true;
            Ok(())
        })?;
        let timed = self.subjects.list.iter().zip(seconds).filter(|(_, seconds)| !seconds.is_empty());
        Ok(timed.map(|(subject, seconds)| TimeFigures::of(subject, seconds)).collect())
    }

    /// The seconds that one map of a picture takes.
    fn time(&self, photo: &Photo, name: &MapName, class: usize) -> Result<f64> {
        let picture = self.preprocess.resample(photo)?;
        let start = Instant::now();
        if let MapName::Explain { method, stage } = name {
            let pixels = self.preprocess.normalised(&picture)?;
            let (features, stage) = (self.features()?, stage.as_deref());
            explain(features, pixels.view(), *method, stage, class, &self.options.explain, &mut |_, _| true)?;
        } else {
            let looks = self.model.look(&[&picture], &Question::about(std::slice::from_ref(name)))?;
            looks.first().map(|look| look.map(name)).transpose()?;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

impl TimeFigures {
    fn of(subject: &Subject, mut seconds: Vec<f64>) -> Self {
        seconds.sort_unstable_by(f64::total_cmp);
        let (low, high) = (seconds[(seconds.len() - 1) / 2], seconds[seconds.len() / 2]);
        Self { map: subject.to_string(), n: seconds.len(), median_seconds: f64::midpoint(low, high) }
    }
}
