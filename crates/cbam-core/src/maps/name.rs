//! The names of maps.

use std::{fmt, str::FromStr};

use super::Method;
use crate::{Error, Result, photo::Geometry};

/// The name of the last place in a network: the features of the last convolution, normalised and activated, which the classifier
/// pools.
pub const HEAD: &str = "head";

/// The name of the place behind the first convolution, where attention may stand: its features, normalised and activated, before
/// any pooling.
pub const STEM: &str = "stem";

/// The name of a map, as a command line writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum MapName {
    /// `fused`: the patch attention, the class activation (Grad-CAM) and the likeness of features in one; without patch
    /// attention the spatial gates of the last stages in its place.
    #[default]
    Fused,
    /// `object`: of the same, so scaled that it covers the whole thing; of networks without attention too.
    Object,
    /// `spatial:STAGE`, or `spatial` for the last stage that has a spatial gate.
    Spatial(Option<String>),
    /// `patch`, `patch:HEAD`, `patch:STAGE`, `patch:STAGE:HEAD`: the attention that patches receive.
    Patch {
        /// The stage behind which it stands; `None` is the one of the finest grid, the first of them.
        stage: Option<String>,
        /// The head, from 0; `None` is the mean over heads.
        head: Option<usize>,
    },
    /// `patch@X,Y`: where the patch at this pixel of the upright picture looks, on the finest grid.
    PatchAt(u32, u32),
    /// `coordinate:STAGE`, or `coordinate` for the last: the gate of coordinate attention, rows times columns.
    Coordinate(Option<String>),
    /// `cls`, `cls:HEAD`, `cls:STAGE`, `cls:STAGE:HEAD`: where a class token looks.
    ClassToken {
        /// The attention in which it looks; `None` is the one that stands for all.
        stage: Option<String>,
        /// The head, from 0; `None` is the mean over heads.
        head: Option<usize>,
    },
    /// `channel:STAGE`: a channel gate, a vector.
    Channel(String),
    /// `rollout`: attention rollout over several patch self-attentions.
    Rollout,
    /// `output:N`, `output:N:CHANNEL`: a map that a scripted network gives out.
    Output {
        /// Which output, from 0.
        index: usize,
        /// The channel, from 0; `None` is the mean over channels.
        channel: Option<usize>,
    },
    /// `METHOD:STAGE`, or `METHOD` at the last convolution: an explanation of the decision for a class.
    Explain {
        /// The method.
        method: Method,
        /// The stage whose features it looks at; `None` is the last convolution, and none for a method that looks at no
        /// stage.
        stage: Option<String>,
    },
}

impl MapName {
    /// The patch attention of the finest grid, the mean over heads.
    pub const PATCH: Self = Self::Patch { stage: None, head: None };

    /// The map of an explanation method at the last convolution.
    pub const fn explain(method: Method) -> Self {
        Self::Explain { method, stage: None }
    }

    /// The maps of patch self-attentions, each a stage and how many heads it has: the mean of the first as
    /// [`PATCH`](Self::PATCH), and its heads; the others by their stages, if there are several.
    pub fn patches<'a>(attentions: impl IntoIterator<Item = (&'a str, usize)>) -> Vec<Self> {
        let named = |(i, (stage, heads)): (usize, (&str, usize))| {
            let stage = (i > 0).then(|| stage.to_owned());
            [None].into_iter().chain((0..heads).map(Some)).map(move |head| Self::Patch { stage: stage.clone(), head })
        };
        attentions.into_iter().enumerate().flat_map(named).collect()
    }

    /// The same of the class tokens in them.
    pub fn class_tokens<'a>(attentions: impl IntoIterator<Item = (&'a str, usize)>) -> Vec<Self> {
        let of_class_token = |name| match name {
            Self::Patch { stage, head } => Self::ClassToken { stage, head },
            other => other,
        };
        Self::patches(attentions).into_iter().map(of_class_token).collect()
    }

    /// The maps of an output with that many channels: their mean, and each of them if there are several.
    pub fn outputs(index: usize, channels: usize) -> impl Iterator<Item = Self> {
        let channels = (0..channels).filter(move |_| channels > 1).map(Some);
        [None].into_iter().chain(channels).map(move |channel| Self::Output { index, channel })
    }

    /// Whether it is of a single head, or of a single channel of an output, and not of all of them.
    pub const fn is_single(&self) -> bool {
        matches!(
            self,
            Self::Patch { head: Some(_), .. }
                | Self::ClassToken { head: Some(_), .. }
                | Self::Output { channel: Some(_), .. }
        )
    }

    /// Whether the map depends on the class that is asked for.
    pub const fn needs_class(&self) -> bool {
        match self {
            Self::Fused | Self::Object => true,
            Self::Explain { method, .. } => method.needs_class(),
            _ => false,
        }
    }

    /// The query point of [`PatchAt`](Self::PatchAt) as fractions of the picture; `None` for other maps.
    ///
    /// # Errors
    /// [`Error::Argument`] if the point is outside the picture.
    pub fn query(&self, geometry: &Geometry) -> Result<Option<[f32; 2]>> {
        match *self {
            Self::PatchAt(x, y) => geometry.fraction(x, y).map(Some).map_err(|error| match error {
                Error::Argument { message, .. } => Error::argument(self, message),
                other => other,
            }),
            _ => Ok(None),
        }
    }
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fused => f.write_str("fused"),
            Self::Object => f.write_str("object"),
            Self::Spatial(None) => f.write_str("spatial"),
            Self::Spatial(Some(stage)) => write!(f, "spatial:{stage}"),
            Self::Coordinate(None) => f.write_str("coordinate"),
            Self::Coordinate(Some(stage)) => write!(f, "coordinate:{stage}"),
            Self::ClassToken { stage, head } => {
                f.write_str("cls")?;
                stage.iter().try_for_each(|stage| write!(f, ":{stage}"))?;
                head.iter().try_for_each(|head| write!(f, ":{head}"))
            }
            Self::Patch { stage, head } => {
                f.write_str("patch")?;
                stage.iter().try_for_each(|stage| write!(f, ":{stage}"))?;
                head.iter().try_for_each(|head| write!(f, ":{head}"))
            }
            Self::PatchAt(x, y) => write!(f, "patch@{x},{y}"),
            Self::Channel(stage) => write!(f, "channel:{stage}"),
            Self::Rollout => f.write_str("rollout"),
            Self::Output { index, channel } => {
                write!(f, "output:{index}")?;
                channel.iter().try_for_each(|channel| write!(f, ":{channel}"))
            }
            Self::Explain { method, stage: None } => method.fmt(f),
            Self::Explain { method, stage: Some(stage) } => write!(f, "{method}:{stage}"),
        }
    }
}

impl FromStr for MapName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |message: &str| Error::argument(format!("map {text:?}"), message);
        let given = text;
        let text = text.trim();
        if let Some((name, point)) = text.split_once('@')
            && folded(name) == "patch"
        {
            let (x, y) = point.split_once(',').ok_or_else(|| wrong("write patch@X,Y"))?;
            let pixel = |text: &str| text.trim().parse().map_err(|_| wrong("X and Y are whole pixels, from 0"));
            return Ok(Self::PatchAt(pixel(x)?, pixel(y)?));
        }
        let (name, part) = text.split_once(':').map_or((text, None), |(name, part)| (name, Some(part)));
        let name = &*folded(name);
        if part == Some("") {
            return Err(wrong("nothing follows the colon"));
        }
        let method = name.parse::<Method>().ok();
        match (name, part) {
            ("fused", None) => Ok(Self::Fused),
            ("object", None) => Ok(Self::Object),
            ("spatial", stage) => Ok(Self::Spatial(stage.map(str::to_owned))),
            ("coordinate", stage) => Ok(Self::Coordinate(stage.map(str::to_owned))),
            ("patch" | "cls", part) => {
                let (stage, head) = stage_and_head(part).map_err(|message| wrong(&message.replace("NAME", name)))?;
                Ok(if name == "cls" { Self::ClassToken { stage, head } } else { Self::Patch { stage, head } })
            }
            ("channel", Some(stage)) => Ok(Self::Channel(stage.to_owned())),
            ("channel", None) => Err(wrong("name a stage: channel:STAGE")),
            ("rollout", None) => Ok(Self::Rollout),
            ("output", Some(part)) => {
                let number = |text: &str| text.parse().map_err(|_| wrong("write output:N or output:N:CHANNEL"));
                let (index, channel) = part.split_once(':').map_or((part, None), |(index, rest)| (index, Some(rest)));
                Ok(Self::Output { index: number(index)?, channel: channel.map(number).transpose()? })
            }
            ("output", None) => Err(wrong("write output:N")),
            (_, stage) => match method {
                Some(method) if stage.is_none() || method.needs_stage() => {
                    Ok(Self::Explain { method, stage: stage.filter(|stage| *stage != HEAD).map(str::to_owned) })
                }
                Some(Method::Relevance) => Err(wrong("takes no stage: it joins all attentions")),
                Some(_) => Err(wrong("takes no stage: it changes the picture and looks at the answer")),
                None if matches!(name, "fused" | "object" | "rollout") => Err(wrong("takes no part after a colon")),
                None => Err(wrong(&unknown(given, name))),
            },
        }
    }
}

/// `STAGE`, `HEAD` or `STAGE:HEAD`.
fn stage_and_head(part: Option<&str>) -> std::result::Result<(Option<String>, Option<usize>), &'static str> {
    let Some(part) = part else { return Ok((None, None)) };
    match (part.parse(), part.rsplit_once(':')) {
        (Ok(head), _) => Ok((None, Some(head))),
        (_, None) => Ok((Some(part.to_owned()), None)),
        (_, Some(("", _))) => Err("write NAME:STAGE:HEAD"),
        (_, Some((stage, head))) => {
            let head = head.parse().map_err(|_| "HEAD is a whole number, from 0")?;
            Ok((Some(stage.to_owned()), Some(head)))
        }
    }
}

/// A name without what people write it with: capitals, hyphens, underscores and spaces.
pub(crate) fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The message about a name that is no map's: the nearest name if one is near, or all of them.
fn unknown(given: &str, name: &str) -> String {
    let methods =
        Method::ALL.map(|method| if method.needs_stage() { format!("{method}[:STAGE]") } else { method.to_string() });
    let others = [
        "fused",
        "object",
        "spatial[:STAGE]",
        "patch[:STAGE][:HEAD]",
        "patch@X,Y",
        "cls[:STAGE][:HEAD]",
        "coordinate[:STAGE]",
        "channel:STAGE",
        "rollout",
        "output:N[:CHANNEL]",
    ];
    let known: Vec<&str> = others.into_iter().chain(methods.iter().map(String::as_str)).collect();
    let bare = |known: &&str| known.split(['[', ':', '@']).next().unwrap_or_default().to_owned();
    match nearest(name, known.iter().map(bare)) {
        Some(near) => format!("not a map; the nearest name is {near}"),
        None if given.trim().is_empty() => format!("is empty; there are {}", known.join(", ")),
        None => format!("not a map; there are {}", known.join(", ")),
    }
}

/// The one of several names that is nearest to a misspelt one, if it is near.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    const NEAR: f64 = 0.85;
    let rated = known.map(|known| (strsim::jaro_winkler(&known, name), known));
    rated.filter(|(near, _)| *near >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
