//! A picture under measurement, and what is known of it so far.

use std::path::Path;
use std::sync::Arc;

use cbam_core::eval::{Region, RemarkKind, Remarks};
use cbam_core::explain::Features;
use cbam_core::maps::AttentionMap;
use cbam_core::model::{Look, Model, Question, explain_looks};
use cbam_core::photo::{Photo, Resampled, decode};
use cbam_core::{Error, Result};

use crate::eval::chosen::Row;
use crate::eval::study::Study;

/// What a network sees in a picture. Maps that take more than one pass are added as they are asked for.
pub(crate) struct Sight {
    pub(crate) picture: Arc<Resampled>,
    pub(crate) look: Look,
}

impl Sight {
    /// By one pass; what the network explains by itself is of `class`, or of the likeliest one.
    pub(crate) fn of(network: &dyn Model, study: &Study<'_>, photo: &Photo, class: Option<usize>) -> Result<Self> {
        let picture = study.preprocess.resample(photo)?;
        let question = Question { class, explain: study.explain.clone(), ..Question::default() };
        let look = network.look(&[&picture], &question)?.pop();
        let look = look.ok_or_else(|| Error::network("network", "it says nothing of the picture"))?;
        Ok(Self { picture: Arc::new(picture), look })
    }

    /// The map of subject `i`, of `class`, or of the likeliest one.
    pub(crate) fn map(
        &mut self,
        network: &dyn Features,
        study: &Study<'_>,
        i: usize,
        class: Option<usize>,
    ) -> Result<AttentionMap> {
        let subject = &study.subjects[i];
        let maps = subject.names();
        let question = Question { class, explain: study.explain.clone(), ..Question::about(maps) };
        let looks = std::slice::from_mut(&mut self.look);
        explain_looks(network, &study.preprocess, &[&self.picture], looks, &question)?;
        subject.map(&self.look)
    }
}

/// What is there, or else is made.
pub(crate) fn filled<T>(slot: &mut Option<T>, make: impl FnOnce() -> Result<T>) -> Result<&mut T> {
    match slot {
        Some(there) => Ok(there),
        None => Ok(slot.insert(make()?)),
    }
}

/// A picture that is decoded, looked at and drawn on only as far as it is needed.
pub(crate) struct Scene<'a> {
    pub(crate) row: &'a Row,
    bytes: &'a [u8],
    photo: Option<Arc<Photo>>,
    sight: Option<Sight>,
    region: Option<Arc<Region>>,
    pub(crate) maps: Vec<Option<AttentionMap>>,
    pub(crate) remarks: Remarks,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(row: &'a Row, bytes: &'a [u8], subjects: usize) -> Self {
        let maps = vec![None; subjects];
        Self { row, bytes, photo: None, sight: None, region: None, maps, remarks: Remarks::default() }
    }
}

impl Scene<'_> {
    /// The decoded picture, if it is the one that the truth was drawn on.
    pub(crate) fn photo(&mut self, study: &Study<'_>) -> Result<Arc<Photo>> {
        if let Some(photo) = &self.photo {
            return Ok(photo.clone());
        }
        let photo = decode(Path::new(&self.row.image), self.bytes, &study.limits)?;
        let image = &self.row.image;
        if let Some(damage) = &photo.damage {
            let what = "damaged pictures, measured as far as they can be read";
            self.remarks.add(RemarkKind::Changed, what, format_args!("{image}: {damage}"));
        }
        for note in &photo.notes {
            let what = "pictures of which something was assumed";
            self.remarks.add(RemarkKind::Assumed, what, format_args!("{image}: {note}"));
        }
        if let Some(truth) = &self.row.truth {
            truth.check_size(photo.size())?;
        }
        Ok(self.photo.insert(Arc::new(photo)).clone())
    }

    /// What the network sees in it.
    pub(crate) fn sight(&mut self, study: &Study<'_>) -> Result<&mut Sight> {
        let photo = self.photo(study)?;
        filled(&mut self.sight, || Sight::of(study.network.model(), study, &photo, None))
    }

    pub(crate) fn region(&mut self, study: &Study<'_>) -> Result<Arc<Region>> {
        if let Some(region) = &self.region {
            return Ok(region.clone());
        }
        let size = self.photo(study)?.size();
        let truth = self.row.truth.as_ref();
        let truth = truth.ok_or_else(|| Error::argument("truth", format!("{} has none", self.row.image)))?;
        Ok(self.region.insert(Arc::new(truth.region(size, &mut self.remarks)?)).clone())
    }

    pub(crate) fn map(&mut self, study: &Study<'_>, i: usize) -> Result<AttentionMap> {
        if let Some(map) = &self.maps[i] {
            return Ok(map.clone());
        }
        let map = self.sight(study)?.map(study.network.features()?, study, i, None)?;
        Ok(self.maps[i].insert(map).clone())
    }
}
