//! Where in a network attention stands, by name.

use crate::backbone::Backbone;
use crate::{Error, Result};

/// A place between two layers of a backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// `stage6.expansion`: the widened features inside a stage's first block.
    Expansion(usize),
    /// `stage6`: what a stage gives out.
    Stage(usize),
    /// `head`: the activated features of the last convolution, which the classifier averages.
    Head,
}

impl Site {
    /// The site of this name, its channels, and how many input pixels one of its cells covers along a side.
    pub(super) fn find(name: &str, backbone: &dyn Backbone) -> Result<(Self, i64, i64)> {
        let stages = backbone.stages();
        let last_stride = stages.last().map_or(1, |stage| stage.stride);
        if name == "head" {
            return Ok((Self::Head, backbone.classifier_weight().size()[1], last_stride));
        }
        for (index, stage) in stages.iter().enumerate() {
            if let Some(rest) = name.strip_prefix(stage.name.as_str()) {
                match (rest, stage.expansion) {
                    ("", _) => return Ok((Self::Stage(index), stage.channels, stage.stride)),
                    (".expansion", Some(inside)) => {
                        return Ok((Self::Expansion(index), inside.channels, inside.stride));
                    }
                    _ => {}
                }
            }
        }
        let inside = stages.iter().filter(|stage| stage.expansion.is_some());
        let names: Vec<_> = (stages.iter().map(|stage| stage.name.clone()))
            .chain(inside.map(|stage| format!("{}.expansion", stage.name)))
            .chain(["head".to_owned()])
            .collect();
        Err(Error::argument("attention stage", format!("'{name}' is none of {}", names.join(", "))))
    }

    /// Whether features pass here before they pass `other`.
    pub(super) fn is_before(self, other: Self) -> bool {
        let order = |site| match site {
            Self::Expansion(index) => (index, 0),
            Self::Stage(index) => (index, 1),
            Self::Head => (usize::MAX, 0),
        };
        order(self) < order(other)
    }
}
