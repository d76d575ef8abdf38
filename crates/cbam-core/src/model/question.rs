//! What a network is asked about pictures, and what it answers about one.

use serde::{Deserialize, Serialize};

use crate::explain::ExplainOptions;
use crate::maps::{AttentionMap, Detail, MapName, Method, Readout};
use crate::photo::Geometry;
use crate::{Error, Result};

/// What a network is asked about every picture of a batch. Without maps it is asked what one pass shows of itself.
///
/// ```
/// use cbam_core::maps::MapName;
/// use cbam_core::model::Question;
///
/// let maps = [MapName::Fused, "layercam:stage5".parse()?];
/// let question = Question { class: Some(281), ..Question::about(&maps) };
/// # Ok::<(), cbam_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Question<'a> {
    /// The maps that are wanted: the explanations among them are made, and the rows of attention of their points are kept.
    /// [`MapName::Fused`] and [`MapName::Object`] take Grad-CAM at the last convolution.
    pub maps: &'a [MapName],
    /// The class that explanations are of; `None` is each picture's likeliest.
    pub class: Option<usize>,
    /// How explanations are made.
    pub explain: ExplainOptions,
    /// How much of the pass is kept beside maps.
    pub detail: Detail,
    /// Told how far costly explanations are; says whether to go on.
    pub go_on: Option<&'a dyn Fn(Step<'_>) -> bool>,
}

impl<'a> Question<'a> {
    /// A question for these maps.
    pub fn about(maps: &'a [MapName]) -> Self {
        Self { maps, ..Self::default() }
    }

    /// The explanations that the maps need, each method with its stage.
    pub fn explanations(&self) -> impl Iterator<Item = (Method, Option<&'a str>)> {
        self.maps.iter().filter_map(|name| match name {
            MapName::Explain { method, stage } => Some((*method, stage.as_deref())),
            MapName::Fused | MapName::Object => Some((Method::GradCam, None)),
            _ => None,
        })
    }

    /// The points of a picture whose rows of attention are wanted, as fractions of its width and height.
    ///
    /// # Errors
    /// [`Error::Argument`] if one lies outside the picture.
    pub fn points(&self, geometry: &Geometry) -> Result<Vec<[f32; 2]>> {
        let points = self.maps.iter().filter_map(|name| name.query(geometry).transpose());
        let mut points = points.collect::<Result<Vec<_>>>()?;
        points.dedup();
        Ok(points)
    }

    /// Refuses a class that is none of that many.
    ///
    /// # Errors
    /// [`Error::Argument`] for such a class.
    pub fn check_class(&self, classes: usize) -> Result<()> {
        match self.class {
            Some(class) if classes == 0 => {
                Err(Error::argument(format!("class {class}"), "this network says nothing of classes"))
            }
            Some(class) if class >= classes => {
                Err(Error::argument("class", format!("{class} is none of the network's, 0 to {}", classes - 1)))
            }
            _ => Ok(()),
        }
    }

    /// Whether to go on; it is called with how far a costly explanation is.
    pub fn goes_on(&self, step: Step<'_>) -> bool {
        self.go_on.is_none_or(|go_on| go_on(step))
    }
}

/// How far a costly explanation is.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The picture, by its place in the batch.
    pub picture: usize,
    /// The map.
    pub map: &'a MapName,
    /// How many runs of the network are done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// What a network saw in one picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Look {
    /// What it says.
    pub readout: Readout,
    /// How the picture was stretched.
    pub geometry: Geometry,
    /// The class that it takes for the likeliest; `None` of a network that says nothing of classes.
    pub likeliest: Option<usize>,
    /// The class that explanations in the readout are of; `None` if none is of a class.
    pub explained: Option<usize>,
}

impl Look {
    /// What one pass shows, with nothing explained yet; the likeliest class is that of the greatest probability.
    pub fn of(readout: Readout, geometry: Geometry) -> Self {
        Self { likeliest: readout.likeliest(), explained: None, geometry, readout }
    }

    /// A map by name, on its native grid, unscaled; see [`Readout::map`].
    ///
    /// # Errors
    /// As [`Readout::map`].
    pub fn map(&self, name: &MapName) -> Result<AttentionMap> {
        Ok(self.readout.map(name, &self.geometry)?.over(&self.geometry))
    }
}
