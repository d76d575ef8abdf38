//! Where in a network attention stands, by name.

use super::{HEAD, NetworkConfig, STEM};
use crate::backbone::table;
use crate::{Error, Result};

/// A place between two layers of a backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// `stem`: the first convolution's features, normalised and activated, before any pooling.
    Stem,
    /// Inside a stage, such as `layer3.5` or `stage6.expansion`: the stage, and the place among
    /// [`Stage::inside`](crate::backbone::Stage::inside).
    Inside(usize, usize),
    /// `stage6`: what a stage gives out.
    Stage(usize),
    /// `head`: the activated features of the last convolution, which the classifier averages.
    Head,
}

impl Site {
    /// The site of this name in a network, its channels, and how many input pixels one of its cells covers along a side.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is none.
    pub fn find(name: &str, config: &NetworkConfig) -> Result<(Self, i64, i64)> {
        let stages = config.arch.stages_behind(config.variant.stem);
        let last_stride = stages.last().map_or(1, |stage| stage.stride);
        if name == HEAD {
            return Ok((Self::Head, config.arch.head_channels(), last_stride));
        }
        // Of inverted residual blocks it has a stride of 2 for ever.
        let stride = table::residual(config.arch).map_or(2, |_| config.variant.stem.stride);
        let stem = config.arch.stem_channels();
        if let (STEM, Some(channels)) = (name, stem) {
            return Ok((Self::Stem, channels, stride));
        }
        for (index, stage) in stages.iter().enumerate() {
            if stage.name == name {
                return Ok((Self::Stage(index), stage.channels, stage.stride));
            }
            if let Some((inner, site)) = stage.inside.iter().enumerate().find(|(_, site)| site.name == name) {
                return Ok((Self::Inside(index, inner), site.channels, site.stride));
            }
        }
        let names = stages.iter().map(|stage| &stage.name);
        let names = names.chain(stages.iter().flat_map(|stage| stage.inside.iter().map(|site| &site.name)));
        let names: Vec<_> = stem.map(|_| STEM).into_iter().chain(names.map(String::as_str)).chain([HEAD]).collect();
        Err(Error::argument("attention stage", format!("'{name}' is none of {}", names.join(", "))))
    }

    /// Whether features pass here before they pass `other`.
    pub fn is_before(self, other: Self) -> bool {
        let order = |site| match site {
            Self::Stem => (0, 0),
            Self::Inside(stage, inner) => (stage + 1, inner),
            Self::Stage(stage) => (stage + 1, usize::MAX),
            Self::Head => (usize::MAX, 0),
        };
        order(self) < order(other)
    }
}
