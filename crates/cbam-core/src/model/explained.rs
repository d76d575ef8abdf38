//! Which explanations are made, and for which class.

use super::{Look, Question, Step};
use crate::Result;
use crate::explain::{Features, explain};
use crate::maps::{Explanation, MapName};
use crate::photo::{Preprocess, Resampled};

/// Adds to what a network saw in pictures the explanations that a question asks for: of the question's class, or of each
/// picture's likeliest. What the network explained by itself stays if it is of that class.
///
/// For implementors of [`Model::look`](super::Model::look): `looks` are what one pass showed of the pictures.
///
/// # Errors
/// As [`explain`]; [`Error::Interrupted`](crate::Error::Interrupted) once the question says not to go on.
pub fn explain_looks(
    network: &dyn Features,
    preprocess: &Preprocess,
    pictures: &[&Resampled],
    looks: &mut [Look],
    question: &Question<'_>,
) -> Result<()> {
    for (picture, look) in looks.iter_mut().enumerate() {
        let class = question.class.or(look.likeliest).unwrap_or(0);
        let made = look.readout.explanations.len();
        look.readout.explanations.retain(|made| made.class == class);
        if look.readout.explanations.len() < made {
            look.readout.likeness = None; // that of the other class
        }
        let mut pixels = None;
        for (method, stage) in question.explanations() {
            if look.readout.explanations.iter().any(|made| made.method == method && made.stage.as_deref() == stage) {
                continue;
            }
            let pixels = match &pixels {
                Some(pixels) => pixels,
                None => pixels.insert(preprocess.normalised(pictures[picture])?),
            };
            let map = MapName::Explain { method, stage: stage.map(str::to_owned) };
            let mut go_on =
                |done, total| !method.is_costly() || question.goes_on(Step { picture, map: &map, done, total });
            let made = explain(network, pixels.view(), method, stage, class, &question.explain, &mut go_on)?;
            look.readout.explained(Explanation { method, stage: stage.map(str::to_owned), class, map: made });
        }
        look.readout.settle_likeness();
        look.explained = look.readout.explanations.iter().find(|made| made.method.needs_class()).map(|made| made.class);
    }
    Ok(())
}
