//! The names of maps.

use std::{fmt, str::FromStr};

use crate::{Error, Result, photo::Geometry};

/// The name of a map, as a command line writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum MapName {
    /// `fused`: the last spatial gate and the patch attention in one.
    #[default]
    Fused,
    /// `spatial:STAGE`, or `spatial` for the last stage that has a spatial gate.
    Spatial(Option<String>),
    /// `patch:HEAD`, or `patch` for the mean over heads. Heads count from 0.
    Patch(Option<usize>),
    /// `patch@X,Y`: where the patch at this pixel of the upright picture looks.
    PatchAt(u32, u32),
    /// `channel:STAGE`: a channel gate, a vector.
    Channel(String),
    /// `gradcam`.
    GradCam,
}

impl MapName {
    /// The query point of [`PatchAt`](Self::PatchAt) as fractions of the picture; none for other maps.
    ///
    /// # Errors
    /// [`Error::Argument`] if the point is outside the picture.
    pub fn query(&self, geometry: &Geometry) -> Result<Option<[f32; 2]>> {
        match *self {
            Self::PatchAt(x, y) => geometry.fraction(x, y).map(Some).map_err(|_| {
                Error::argument(self, format!("outside the picture, which has {} pixels", geometry.picture))
            }),
            _ => Ok(None),
        }
    }
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fused => f.write_str("fused"),
            Self::Spatial(None) => f.write_str("spatial"),
            Self::Spatial(Some(stage)) => write!(f, "spatial:{stage}"),
            Self::Patch(None) => f.write_str("patch"),
            Self::Patch(Some(head)) => write!(f, "patch:{head}"),
            Self::PatchAt(x, y) => write!(f, "patch@{x},{y}"),
            Self::Channel(stage) => write!(f, "channel:{stage}"),
            Self::GradCam => f.write_str("gradcam"),
        }
    }
}

impl FromStr for MapName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |message: &str| Error::argument(format!("map {text:?}"), message);
        if let Some(point) = text.strip_prefix("patch@") {
            let (x, y) = point.split_once(',').ok_or_else(|| wrong("write patch@X,Y"))?;
            let pixel = |text: &str| text.trim().parse().map_err(|_| wrong("X and Y are whole pixels, from 0"));
            return Ok(Self::PatchAt(pixel(x)?, pixel(y)?));
        }
        match text.split_once(':') {
            None => match text {
                "fused" => Ok(Self::Fused),
                "spatial" => Ok(Self::Spatial(None)),
                "patch" => Ok(Self::Patch(None)),
                "gradcam" => Ok(Self::GradCam),
                "channel" => Err(wrong("name a stage: channel:STAGE")),
                _ => Err(wrong(
                    "not a map; there are fused, spatial[:STAGE], patch[:HEAD], patch@X,Y, channel:STAGE and gradcam",
                )),
            },
            Some((_, "")) => Err(wrong("nothing follows the colon")),
            Some(("spatial", stage)) => Ok(Self::Spatial(Some(stage.to_owned()))),
            Some(("channel", stage)) => Ok(Self::Channel(stage.to_owned())),
            Some(("patch", head)) => {
                head.parse().map(|head| Self::Patch(Some(head))).map_err(|_| wrong("HEAD is a whole number, from 0"))
            }
            Some(_) => Err(wrong("only spatial, patch and channel take a part after a colon")),
        }
    }
}
