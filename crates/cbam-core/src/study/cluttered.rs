//! A picture on clutter, and what the model makes of it.

use std::sync::Arc;

use image::DynamicImage;
use ndarray::Array2;

use super::scene::{Scene, Sight, filled};
use super::{InClutter, Seen, Study};
use crate::eval::Region;
use crate::photo::Photo;
use crate::{Error, Result};

/// A picture in clutter, and what the model sees there.
struct View {
    kind: String,
    sight: Sight,
    region: Arc<Region>,
}

impl Study<'_> {
    /// Measures the picture on clutter that training uses, or on clutter that it does not.
    pub(super) fn see_cluttered(&mut self, scene: &mut Scene<'_>, truth: &str, untrained: bool) -> Result<InClutter> {
        // What is drawn depends on the picture's name, too.
        let which = if untrained { "untrained" } else { "trained" };
        let drawn = format!("{} {which} {}", self.grounds()?.key, scene.row.image);
        let mut view: Option<View> = None;
        let (row, class) = (scene.row, scene.class());
        let (kind, seen): (String, Seen) = self.recall(&scene.keys.of(&["clutter", &drawn, truth]), |study| {
            let view = filled(&mut view, || study.view(scene, untrained))?;
            let share = row.has_object().then(|| view.region.share());
            Ok((view.kind.clone(), Seen::new(&view.sight.look, class, share)?))
        })?;
        let mut located = vec![None; self.subjects.list.len()];
        if row.has_object() {
            let key = |i: usize| scene.keys.of(&["clutter", &drawn, &self.subjects.list[i].to_string(), truth]);
            let wanted = self.subjects.places(|subject| !subject.is_costly());
            let keys = wanted.into_iter().map(|i| (i, key(i))).collect();
            let scored = self.locate(keys, |study, i| {
                let view = filled(&mut view, || study.view(scene, untrained))?;
                Ok((view.sight.map(study.model, study, &study.subjects.list[i], None)?, view.region.clone()))
            })?;
            for (i, score) in scored {
                located[i] = Some(score);
            }
        }
        Ok(InClutter { kind, seen, located })
    }

    fn view(&self, scene: &mut Scene<'_>, untrained: bool) -> Result<View> {
        let photo = scene.photo(self)?;
        let cluttered = self.grounds()?.clutter.make(&scene.row.image, &photo.image, untrained)?;
        let region = if scene.row.has_object() {
            cluttered.region(&*scene.region(self)?)
        } else {
            Region { inside: Array2::from_elem((1, 1), false), void: None, boxes: Vec::new() }
        };
        let kind = cluttered.kind.to_string();
        let photo = Photo::from(DynamicImage::from(cluttered.picture));
        let sight = Sight::of(self.model, self, &photo, None)?;
        Ok(View { kind, sight, region: Arc::new(region) })
    }

    fn grounds(&self) -> Result<&super::grounds::Grounds> {
        self.grounds.as_ref().ok_or_else(|| Error::argument("clutter", "is not asked for"))
    }
}
