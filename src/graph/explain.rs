//! The network as [`Features`]: what its places hold, and what follows from them.

use std::collections::HashMap;

use cbam_core::graph::{FoundPlace, PlaceForm, Value, WeightsOf};
use ndarray::{Array2, Array3, ArrayView3, ArrayView4, Axis, Ix2};
use tch::{Kind, Tensor};

use super::GraphNetwork;
use crate::classes::Outputs;
use crate::explain::{AttentionSlopes, Features, Slope, features_of, slope_of, tensor_scores};
use crate::host::{to_host, to_tensor};
use crate::maps::Method;
use crate::network::Reference;
use crate::{Error, ErrorKind, Remedy, Result};

impl GraphNetwork {
    /// A place by its name, in pictures of this height and width.
    fn place(&self, name: &str, size: [i64; 2]) -> Result<FoundPlace> {
        let known =
            || Error::argument(format!("stage {name:?}"), format!("this network has {}", self.places().join(", ")));
        self.found_at(size)?.place(name).cloned().ok_or_else(known)
    }

    /// Pictures as the graph takes them: as many as its batch has, if that is fixed.
    pub(super) fn padded(&self, pictures: &Tensor) -> Result<Tensor> {
        let count = pictures.size()[0];
        match self.batch() {
            Some(batch) if count < batch => {
                let last = pictures.f_narrow(0, count - 1, 1)?.f_expand([batch - count, -1, -1, -1], false)?;
                Ok(Tensor::f_cat(&[pictures, &last], 0)?)
            }
            _ => Ok(pictures.shallow_clone()),
        }
    }

    /// Its numbers for the classes of a batch, `[N, numbers]`, in f32.
    pub(super) fn numbers_of(&self, found: Option<&Tensor>, pictures: i64) -> Result<Tensor> {
        let numbers = self.class_numbers();
        let found = found.ok_or_else(|| self.wrong("gives out no classes"))?;
        if found.numel() as i64 != pictures * numbers {
            return Err(
                self.wrong(format!("gives out {:?} for {pictures} pictures of {numbers} classes", found.size()))
            );
        }
        Ok(found.f_reshape([pictures, numbers])?.f_to_kind(Kind::Float)?)
    }

    /// The error about a picture on which it fails.
    pub(super) fn failed(&self, pictures: &Tensor, error: Error) -> Error {
        let size = pictures.size();
        let wrong = self.wrong(format!("fails on pictures {size:?}: {error}"));
        if error.to_string().contains("memory") { wrong } else { wrong.with_remedy(Remedy::Squares(None)) }
    }

    /// Its numbers for the classes, `[N, numbers]`, for the input of a reference, to be
    /// [compared](crate::network::Reference::compare_only_logits).
    ///
    /// # Errors
    /// [`ErrorKind::Weights`], with its file's name, if it fails on it or gives out no classes.
    pub fn answer(&self, reference: &Reference) -> Result<Array2<f32>> {
        Ok(Features::logits(self, reference.input().view())?)
    }

    fn of_classes(&self) -> Result<Value> {
        let classes = self.found.classes.as_ref();
        classes.map(|classes| classes.value).ok_or_else(|| self.wrong("gives out no classes"))
    }

    fn input_of(&self, pixels: ArrayView4<'_, f32>) -> Result<Tensor> {
        Ok(to_tensor(pixels)?.f_to_device(self.device)?)
    }

    /// A picture, and its features at a place.
    fn up_to(&self, value: Value, pixels: ArrayView3<'_, f32>) -> Result<(Tensor, Tensor)> {
        let picture = self.padded(&self.input_of(pixels.insert_axis(Axis(0)))?)?;
        self.seen.set([picture.size()[2], picture.size()[3]]);
        let mut pass = self.pass(&picture)?;
        let plan = self.plan(&[value], &[]);
        tch::no_grad(|| pass.run(&plan, &mut |_, _| Ok(()))).map_err(|error| self.failed(&picture, error))?;
        let features = pass.tensor(value).ok_or_else(|| self.wrong("makes no features there"))?;
        Ok((picture, features.f_detach()?.f_alias_copy()?))
    }

    /// Does something for parts of a batch, as large as the graph takes at once: each a beginning and a count.
    fn in_parts(&self, count: i64, mut part: impl FnMut(i64, i64) -> Result<Tensor>) -> Result<Array2<f32>> {
        let most = self.batch().unwrap_or(count).max(1);
        let starts = (0..count).step_by(usize::try_from(most).unwrap_or(usize::MAX));
        let rows = starts.map(|start| part(start, most.min(count - start))).collect::<Result<Vec<_>>>()?;
        to_host::<Ix2>(&Tensor::f_cat(&rows, 0)?)
    }
}

/// A picture's height and width.
fn size_of(pixels: ArrayView3<'_, f32>) -> [i64; 2] {
    [pixels.dim().1 as i64, pixels.dim().2 as i64]
}

/// Features `[N, …]` of a place as maps `[N, C, h, w]`.
pub(super) fn as_maps(form: PlaceForm, features: &Tensor) -> Result<Tensor> {
    Ok(match form {
        PlaceForm::Maps => features.shallow_clone(),
        PlaceForm::ChannelsLast => features.f_permute([0, 3, 1, 2])?,
        PlaceForm::Tokens { before, grid: [rows, columns], .. } => {
            let size = features.size();
            let tokens = features.f_narrow(1, before, rows * columns)?;
            tokens.f_transpose(1, 2)?.f_reshape([size[0], size[2], rows, columns])?
        }
    })
}

/// Maps `[N, C, h, w]` as features of a place; the tokens that are no patches are those of `original`.
fn from_maps(form: PlaceForm, maps: &Tensor, original: &Tensor) -> Result<Tensor> {
    Ok(match form {
        PlaceForm::Maps => maps.shallow_clone(),
        PlaceForm::ChannelsLast => maps.f_permute([0, 2, 3, 1])?,
        PlaceForm::Tokens { before, grid: [rows, columns], after } => {
            let count = maps.size()[0];
            let part = |start: i64, length: i64| -> Result<Tensor> {
                Ok(original.f_narrow(0, 0, 1)?.f_narrow(1, start, length)?.f_expand([count, -1, -1], false)?)
            };
            let patches = maps.f_flatten(2, 3)?.f_transpose(1, 2)?;
            Tensor::f_cat(&[part(0, before)?, patches, part(before + rows * columns, after)?], 1)?
        }
    })
}

impl Features for GraphNetwork {
    fn numbers(&self) -> usize {
        self.class_numbers() as usize
    }

    fn outputs(&self) -> Outputs {
        self.outputs
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        let of_classes = self.of_classes()?;
        let plan = self.fast_plan(&[of_classes]);
        let pictures = self.input_of(pixels)?;
        Ok(self.in_parts(pictures.size()[0], |start, count| {
            let part = self.padded(&pictures.f_narrow(0, start, count)?)?;
            let mut pass = self.pass(&part)?;
            tch::no_grad(|| pass.run(&plan, &mut |_, _| Ok(()))).map_err(|error| self.failed(&part, error))?;
            Ok(self.numbers_of(pass.tensor(of_classes), part.size()[0])?.f_narrow(0, 0, count)?)
        })?)
    }

    fn places(&self) -> Vec<String> {
        self.found.places.iter().map(|place| place.name.clone()).collect()
    }

    fn default_place(&self) -> Option<String> {
        self.found.default_place.map(|place| self.found.places[place].name.clone())
    }

    fn features(&self, place: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>, ErrorKind> {
        let place = self.place(place, size_of(pixels))?;
        let (_, features) = self.up_to(place.value, pixels)?;
        Ok(features_of(&as_maps(place.form, &features)?, 0)?)
    }

    /// Runs the network once to the end and back to the features.
    fn slope(&self, place: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope, ErrorKind> {
        let (place, of_classes) = (self.place(place, size_of(pixels))?, self.of_classes()?);
        let rest = self.plan(&[of_classes], &[place.value]);
        let (picture, features) = self.up_to(place.value, pixels)?;
        let mut pass = self.pass(&picture)?;
        Ok(tch::with_grad(|| {
            let leaf = features.f_set_requires_grad(true)?;
            // Times 1, so that what writes over it does not write over a leaf.
            pass.put(place.value, leaf.f_mul_scalar(1)?);
            pass.run(&rest, &mut |_, _| Ok(())).map_err(|error| self.wrong(error))?;
            let numbers = self.numbers_of(pass.tensor(of_classes), leaf.size()[0])?;
            let score = tensor_scores(self.outputs, &numbers)?.f_get(0)?.f_get(class as i64)?;
            let cut = || self.wrong(format!("no gradient reaches {} from the class's score", place.name));
            // libtorch follows the graph of a score without one to a null pointer, so ask first.
            if !score.requires_grad() {
                return Err(cut());
            }
            let gradient = Tensor::f_run_backward(&[score], &[&leaf], false, false)?.into_iter().find(Tensor::defined);
            let gradient = as_maps(place.form, &gradient.ok_or_else(cut)?)?;
            let features = as_maps(place.form, &leaf.f_detach()?)?;
            slope_of(&features, &gradient, 0)
        })?)
    }

    /// Runs the network once to the end, with every attention written out, and back to their weights.
    fn attention_slopes(&self, pixels: ArrayView3<'_, f32>, class: usize) -> Result<AttentionSlopes, ErrorKind> {
        let of_classes = self.of_classes()?;
        let picture = self.padded(&self.input_of(pixels.insert_axis(Axis(0)))?)?;
        let found = self.found_at([picture.size()[2], picture.size()[3]])?;
        let Some(first) = found.attention.first().filter(|_| found.is_relevant()) else {
            let message = "this network's attentions are not all over the same patches, or do not end in a class token or in the mean of all";
            return Err(ErrorKind::argument(Method::Relevance, message));
        };
        let makers = self.graph.makers();
        let at: HashMap<usize, usize> =
            found.attention.iter().enumerate().filter_map(|(place, of)| Some((of.node(&makers)?, place))).collect();
        let wanted: Vec<_> =
            at.keys().filter_map(|node| self.graph.nodes[*node].makes().next()).chain([of_classes]).collect();
        let plan = self.plan(&wanted, &[]);
        let layers = tch::with_grad(|| {
            // Gradients reach what is made of something that has one.
            let picture = picture.f_set_requires_grad(true)?.f_mul_scalar(1)?;
            let mut pass = self.pass(&picture)?;
            let mut weights: Vec<Option<Tensor>> = found.attention.iter().map(|_| None).collect();
            for (node, place) in &at {
                if matches!(found.attention[*place].weights, WeightsOf::Node(_)) {
                    pass.write_out(*node);
                }
            }
            pass.run(&plan, &mut |node, pass| {
                if let Some(place) = at.get(&node) {
                    weights[*place] = match found.attention[*place].weights {
                        WeightsOf::Node(node) => pass.weights(node).map(Tensor::shallow_clone),
                        WeightsOf::Value(value) => pass.tensor(value).map(Tensor::shallow_clone),
                    };
                }
                Ok(())
            })
            .map_err(|error| self.failed(&picture, error))?;
            let numbers = self.numbers_of(pass.tensor(of_classes), picture.size()[0])?;
            let score = tensor_scores(self.outputs, &numbers)?.f_get(0)?.f_get(class as i64)?;
            let weights: Vec<Tensor> = weights.into_iter().flatten().collect();
            if weights.len() < found.attention.len()
                || !score.requires_grad()
                || weights.iter().any(|of| !of.requires_grad())
            {
                return Err(self.wrong("no gradient reaches its attention from the class's score"));
            }
            let slopes = Tensor::f_run_backward(&[score], &weights.iter().collect::<Vec<_>>(), false, false)?;
            weights
                .iter()
                .zip(&slopes)
                .zip(&found.attention)
                .map(|((of, slope), found)| {
                    let tokens = of.size().last().copied().unwrap_or(0);
                    if !slope.defined() {
                        return Ok(Array2::zeros((tokens as usize, tokens as usize)));
                    }
                    let speaks = of
                        .f_detach()?
                        .f_mul(slope)?
                        .f_relu()?
                        .f_reshape([-1, found.heads, tokens, tokens])?
                        .f_get(0)?;
                    to_host::<Ix2>(&speaks.f_mean_dim(0_i64, false, Kind::Float)?)
                })
                .collect::<Result<Vec<_>>>()
        })?;
        let grid = first.grid.map(|side| side as usize);
        Ok(AttentionSlopes { layers, grid, before: first.before as usize, class_token: first.class_token })
    }

    fn logits_from(&self, name: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        let (place, of_classes) = (self.place(name, self.seen.get())?, self.of_classes()?);
        let rest = self.plan(&[of_classes], &[place.value]);
        let refused = |why: &str| {
            Err(ErrorKind::argument(name, format!("the network cannot be run from its features there on: {why}")))
        };
        if rest.sees_pixels(&self.graph) {
            return refused(
                "what lies beside them looks at the picture too; choose a place that all of it goes through",
            );
        }
        if matches!(place.form, PlaceForm::Tokens { before, after, .. } if before + after > 0) {
            return refused("its other tokens, such as a class token, are of the picture too");
        }
        let features = self.input_of(features)?;
        let [height, width] = self.seen.get();
        Ok(self.in_parts(features.size()[0], |start, count| {
            let part = self.padded(&features.f_narrow(0, start, count)?.f_to_kind(self.kind)?)?;
            // Nothing of it is looked at but its size.
            let picture = Tensor::f_zeros([1, 3, height, width], (self.kind, self.device))?;
            let mut pass = self.pass(&picture.f_expand([part.size()[0], -1, -1, -1], false)?)?;
            pass.put(place.value, from_maps(place.form, &part, &part)?);
            tch::no_grad(|| pass.run(&rest, &mut |_, _| Ok(()))).map_err(|error| self.wrong(error))?;
            Ok(self.numbers_of(pass.tensor(of_classes), part.size()[0])?.f_narrow(0, 0, count)?)
        })?)
    }
}
