//! A picture under measurement, and what is known of it so far.

use std::path::Path;
use std::sync::Arc;

use cbam::eval::{Region, RemarkKind, Remarks};
use cbam::maps::AttentionMap;
use cbam::model::Look;
use cbam::photo::{Photo, Resampled, decode};
use cbam::{Error, Result};

use crate::chosen::Row;
use crate::study::Study;

/// A picture that is decoded, looked at and drawn on only as far as it is needed.
pub(crate) struct Scene<'a> {
    pub(crate) row: &'a Row,
    bytes: &'a [u8],
    photo: Option<Arc<Photo>>,
    picture: Option<Arc<Resampled>>,
    look: Option<Arc<Look>>,
    region: Option<Arc<Region>>,
    pub(crate) maps: Vec<Option<AttentionMap>>,
    pub(crate) remarks: Remarks,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(row: &'a Row, bytes: &'a [u8], subjects: usize) -> Self {
        let maps = vec![None; subjects];
        Self { row, bytes, photo: None, picture: None, look: None, region: None, maps, remarks: Remarks::default() }
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

    /// The picture as the network takes it.
    pub(crate) fn picture(&mut self, study: &Study<'_>) -> Result<Arc<Resampled>> {
        if let Some(picture) = &self.picture {
            return Ok(picture.clone());
        }
        let picture = study.preprocess.resample(&*self.photo(study)?)?;
        Ok(self.picture.insert(Arc::new(picture)).clone())
    }

    /// What the network sees in it, with every map that is not costly, of its likeliest class.
    pub(crate) fn look(&mut self, study: &Study<'_>) -> Result<Arc<Look>> {
        if let Some(look) = &self.look {
            return Ok(look.clone());
        }
        let look = study.look(study.network.model(), &*self.picture(study)?, &study.cheap(), None)?;
        Ok(self.look.insert(Arc::new(look)).clone())
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
        let map = study.subjects[i].map(&*self.look(study)?)?;
        Ok(self.maps[i].insert(map).clone())
    }
}
