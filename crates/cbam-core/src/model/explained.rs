//! Which explanations are made, and for which class.

use ndarray::{Array3, ArrayView3};

use super::{Look, Question, Step};
use crate::explain::{Features, explain};
use crate::maps::{ClassActivations, Detail, Explanation, MapName, Method};
use crate::photo::{Preprocess, Resampled};
use crate::{Error, Result};

/// How many classes' activations are made one by one.
const LIKELIEST: usize = 10;

/// Grad-CAM of the likeliest classes and of the explained one, of a network that does not give that of all by itself and of which that
/// of one was made.
fn activations(
    network: &dyn Features,
    pixels: ArrayView3<'_, f32>,
    picture: usize,
    look: &Look,
    question: &Question<'_>,
) -> Result<Option<ClassActivations>> {
    let method = Method::GradCam;
    let Some(made) = look.readout.explanations.iter().find(|made| made.method == method && made.stage.is_none()) else {
        return Ok(None);
    };
    let mut classes = look.readout.top(LIKELIEST);
    classes.retain(|class| *class != made.class);
    let (total, name) = (classes.len(), MapName::explain(method));
    let mut maps = made.map.clone().into_raw_vec_and_offset().0;
    for (done, class) in classes.iter().enumerate() {
        if !question.goes_on(Step { picture, map: &name, done, total }) {
            return Err(Error::Interrupted);
        }
        let map = explain(network, pixels, method, None, *class, &question.explain, &mut |_, _| true)?;
        maps.extend(map);
    }
    classes.insert(0, made.class);
    let (rows, columns) = made.map.dim();
    let maps = Array3::from_shape_vec((classes.len(), rows, columns), maps).map_err(Error::internal)?;
    Ok(Some(ClassActivations { of: Some(classes), maps }))
}

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
        if question.detail == Detail::Whole && look.readout.classes.is_none() {
            let pixels = pixels.map_or_else(|| preprocess.normalised(pictures[picture]), Ok)?;
            look.readout.classes = activations(network, pixels.view(), picture, look, question)?;
        }
        look.explained = look.readout.explanations.iter().find(|made| made.method.needs_class()).map(|made| made.class);
    }
    Ok(())
}
