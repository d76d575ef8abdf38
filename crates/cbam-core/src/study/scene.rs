//! A picture under measurement, and what is known of it so far.

use std::path::Path;
use std::sync::Arc;

use super::{Row, Study, Subject};
use crate::eval::{Object, Region, RemarkKind, Remarks, ScoreCache};
use crate::maps::{AttentionMap, MapName};
use crate::model::{Look, Model, Question, explain_looks};
use crate::photo::{Photo, Resampled, decode};
use crate::{Error, Result};

/// What a model sees in a picture. Maps that take more than one pass are added as they are asked for.
pub(super) struct Sight {
    pub(super) picture: Arc<Resampled>,
    pub(super) look: Look,
}

impl Sight {
    /// By one pass; what the model explains by itself is of `class`, or of the likeliest one.
    pub(super) fn of(model: &dyn Model, study: &Study<'_>, photo: &Photo, class: Option<usize>) -> Result<Self> {
        let picture = study.preprocess.resample(photo)?;
        let question = Question { class, explain: study.options.explain.clone(), ..Question::default() };
        let look = model.look(&[&picture], &question)?.pop();
        let look = look.ok_or_else(|| Error::network("network", "it says nothing of the picture"))?;
        Ok(Self { picture: Arc::new(picture), look })
    }

    /// The map of a subject, of `class`, or of the likeliest one.
    pub(super) fn map(
        &mut self,
        model: &dyn Model,
        study: &Study<'_>,
        subject: &Subject,
        class: Option<usize>,
    ) -> Result<AttentionMap> {
        self.explain(model, study, subject.names(), class)?;
        subject.map(&self.look)
    }

    /// Makes what these maps need, of `class`, or of the likeliest one.
    pub(super) fn explain(
        &mut self,
        model: &dyn Model,
        study: &Study<'_>,
        maps: &[MapName],
        class: Option<usize>,
    ) -> Result<()> {
        let question = Question { class, explain: study.options.explain.clone(), ..Question::about(maps) };
        let Some(features) = model.features() else { return Ok(()) };
        explain_looks(features, &study.preprocess, &[&self.picture], std::slice::from_mut(&mut self.look), &question)
    }
}

/// What is there, or else is made.
pub(super) fn filled<T>(slot: &mut Option<T>, make: impl FnOnce() -> Result<T>) -> Result<&mut T> {
    match slot {
        Some(there) => Ok(there),
        None => Ok(slot.insert(make()?)),
    }
}

/// The keys of what is kept about one picture.
pub(super) struct Keys(String);

impl Keys {
    /// From what every score depends on, and the picture's bytes.
    pub(super) fn new(context: &str, bytes: &[u8]) -> Self {
        Self(ScoreCache::key(&[context.as_bytes(), bytes]))
    }

    /// The key of one thing, from what else it depends on.
    pub(super) fn of(&self, parts: &[&str]) -> String {
        let parts: Vec<&[u8]> =
            std::iter::once(self.0.as_str()).chain(parts.iter().copied()).map(str::as_bytes).collect();
        ScoreCache::key(&parts)
    }
}

/// A picture that is decoded, looked at and drawn on only as far as it is needed.
pub(super) struct Scene<'a> {
    pub(super) row: &'a Row,
    bytes: &'a [u8],
    pub(super) keys: Keys,
    photo: Option<Arc<Photo>>,
    sight: Option<Sight>,
    region: Option<Arc<Region>>,
    /// For each subject, once it is made.
    pub(super) maps: Vec<Option<AttentionMap>>,
    pub(super) remarks: Remarks,
}

impl<'a> Scene<'a> {
    pub(super) fn new(study: &Study<'_>, row: &'a Row, bytes: &'a [u8]) -> Self {
        Self {
            row,
            bytes,
            keys: Keys::new(&study.keep.context, bytes),
            photo: None,
            sight: None,
            region: None,
            maps: vec![None; study.subjects.list.len()],
            remarks: Remarks::default(),
        }
    }
}

impl Scene<'_> {
    /// The class that the truth gives the picture.
    pub(super) fn class(&self) -> Option<usize> {
        self.row.truth.as_ref().and_then(|truth| truth.class)
    }

    /// What a score depends on in the truth.
    pub(super) fn truth_key(&self) -> Result<String> {
        let Some(truth) = &self.row.truth else { return Ok(String::new()) };
        let object = match &truth.object {
            Object::Boxes(boxes) => format!("{boxes:?}"),
            Object::Unknown => String::new(),
            Object::Mask(path) => ScoreCache::key(&[&std::fs::read(path).map_err(Error::io(path))?]),
        };
        Ok(format!("{:?} {:?} {object}", truth.class, truth.size))
    }

    /// The decoded picture, if it is the one that the truth was drawn on.
    pub(super) fn photo(&mut self, study: &Study<'_>) -> Result<Arc<Photo>> {
        if let Some(photo) = &self.photo {
            return Ok(photo.clone());
        }
        let photo = decode(Path::new(&self.row.image), self.bytes, &study.options.limits)?;
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

    /// What the model sees in it.
    pub(super) fn sight(&mut self, study: &Study<'_>) -> Result<&mut Sight> {
        let photo = self.photo(study)?;
        filled(&mut self.sight, || Sight::of(study.model, study, &photo, None))
    }

    /// Where its objects are.
    pub(super) fn region(&mut self, study: &Study<'_>) -> Result<Arc<Region>> {
        if let Some(region) = &self.region {
            return Ok(region.clone());
        }
        let size = self.photo(study)?.size();
        let truth = self.row.truth.as_ref();
        let truth = truth.ok_or_else(|| Error::argument("truth", format!("{} has none", self.row.image)))?;
        Ok(self.region.insert(Arc::new(truth.region(size, &mut self.remarks)?)).clone())
    }

    /// The map of subject `i`.
    pub(super) fn map(&mut self, study: &Study<'_>, i: usize) -> Result<AttentionMap> {
        if let Some(map) = &self.maps[i] {
            return Ok(map.clone());
        }
        let map = self.sight(study)?.map(study.model, study, &study.subjects.list[i], None)?;
        Ok(self.maps[i].insert(map).clone())
    }
}
