//! What a study measures, and how.

use std::path::PathBuf;

use crate::Remedy;
use crate::eval::{FaithfulnessOptions, PictureSource};
use crate::explain::ExplainOptions;
use crate::maps::MapName;
use crate::photo::{Limits, Preprocess};

/// What a study measures beside accuracy and localisation, and how.
///
/// Everything that is drawn at random comes from a seed: the same options and pictures give the same figures.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StudyOptions {
    /// The maps that are scored, all of which the model must have. Default: none, which stands for those of `fused`, `spatial`,
    /// `patch` and `gradcam` that it has, and the maps that it gives out by itself.
    pub maps: Vec<MapName>,
    /// How a picture becomes the model's input. Default: none, which stands for the model's own way.
    pub preprocess: Option<Preprocess>,
    /// How explanations are made.
    pub explain: ExplainOptions,
    /// Whether, and how, it is measured that the decision rests on what a map names. Default: not at all.
    pub faithfulness: Option<FaithfulnessOptions>,
    /// Whether, and how, accuracy and localisation are measured on cluttered pictures too. Default: not at all.
    pub clutter: Option<ClutterOptions>,
    /// On how many pictures faithfulness, and maps that take hundreds of passes, are measured. Default: 100.
    pub subset: usize,
    /// On how many pictures of the subset the sanity check is made, if there are
    /// [randomised models](super::Study::with_randomised). Default: 25.
    pub sane: usize,
    /// What the subset and the clutter are drawn from. Default: 0.
    pub seed: u64,
    /// How large a picture may be; larger ones are missing.
    pub limits: Limits,
    /// The folder that every map is saved in, as `.npy` (f32, `[rows, columns]`, unscaled), in the tree of the pictures; several maps
    /// each in a folder of their own below it. Default: none, and no map is saved.
    pub maps_dir: Option<PathBuf>,
    /// What a program says of what helps against an error ([`Error::advised`](crate::Error::advised)). Default: nothing.
    pub say: fn(&Remedy) -> Option<String>,
}

impl Default for StudyOptions {
    /// Accuracy and localisation alone.
    fn default() -> Self {
        Self {
            maps: Vec::new(),
            preprocess: None,
            explain: ExplainOptions::default(),
            faithfulness: None,
            clutter: None,
            subset: 100,
            sane: 25,
            seed: 0,
            limits: Limits::default(),
            maps_dir: None,
            say: |_| None,
        }
    }
}

/// What the grounds of cluttered pictures are made from; see [`Clutter`](crate::eval::Clutter).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClutterOptions {
    /// How many of the study's own pictures, and of the wallpapers, at most. Default: 64 each.
    pub grounds: usize,
    /// Where wallpapers are. Default: none.
    pub wallpapers: Option<PictureSource>,
    /// The short side of a cluttered picture, in short sides of the model's input. Default: 2.
    pub sides: u32,
}

impl Default for ClutterOptions {
    /// Grounds from 64 of the pictures, no wallpapers, at twice the model's short side.
    fn default() -> Self {
        Self { grounds: 64, wallpapers: None, sides: 2 }
    }
}
