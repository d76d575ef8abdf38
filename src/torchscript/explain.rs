//! Explanations of a scripted network's answers: on the features that it gives out, or by changes of the picture.

use ndarray::{Array2, Array3, ArrayView3, ArrayView4, Axis, Ix2};
use tch::{Kind, Tensor};

use super::ScriptedNetwork;
use super::forward::first_line;
use super::outputs::{self, Classes};
use crate::classes::Outputs;
use crate::explain::{Features, Slope, features_of, slope_of, tensor_scores};
use crate::host::{to_host, to_tensor};
use crate::maps::Method;
use crate::{ErrorKind, Result};

impl ScriptedNetwork {
    /// The methods that can explain its answers, the one that is taken by default first.
    pub(super) fn methods(&self) -> impl Iterator<Item = Method> {
        let (answers, features) = (self.roles.classes.is_some(), !self.roles.features.is_empty());
        let on_features = Method::ALL.into_iter().filter(move |method| {
            // Ablation-CAM would run the network from its features on, where TorchScript has no way in.
            features && method.needs_stage() && *method != Method::AblationCam && (answers || !method.needs_class())
        });
        on_features.chain([Method::Rise, Method::Occlusion].into_iter().filter(move |_| answers))
    }

    /// The classes that it gives out.
    fn classes(&self) -> Result<Classes> {
        self.roles.classes.ok_or_else(|| self.wrong("gives out no classes"))
    }

    /// The output of this name.
    fn output(&self, place: &str) -> Result<usize> {
        let found = self.roles.features.iter().copied().find(|index| outputs::place(*index) == place);
        found.ok_or_else(|| self.wrong(format!("gives out no features as {place}")))
    }

    /// One picture `[3, H, W]`, as it takes pictures.
    fn picture(&self, pixels: ArrayView3<'_, f32>) -> Result<Tensor> {
        self.pictures(pixels.insert_axis(Axis(0)))
    }

    fn pictures(&self, pixels: ArrayView4<'_, f32>) -> Result<Tensor> {
        Ok(to_tensor(pixels)?.f_to_device(self.device)?.f_contiguous()?)
    }

    fn slope_at(&self, given: &[Option<Tensor>], index: usize, class: usize) -> Result<Slope> {
        let classes = self.classes()?;
        let cut = || {
            let of_classes = classes.index;
            self.wrong(format!(
                "no gradient reaches output {index} from output {of_classes}: give out the very tensor that the answer is made of, \
                 without detach, and trace without torch.no_grad inside"
            ))
        };
        let features = given.get(index).and_then(Option::as_ref).ok_or_else(cut)?;
        let scores = tensor_scores(self.outputs, &self.numbers(given, classes, 1)?)?;
        let score = scores.f_select(1, class as i64)?.f_sum(Kind::Float)?;
        // libtorch follows the graph of a tensor without one to a null pointer, so ask first.
        if !score.requires_grad() || !features.requires_grad() {
            return Err(cut());
        }
        let gradients = Tensor::f_run_backward(&[score], &[features], false, false)?;
        let gradient = gradients.into_iter().find(Tensor::defined).ok_or_else(cut)?;
        slope_of(features, &gradient, 0)
    }
}

impl Features for ScriptedNetwork {
    fn numbers(&self) -> usize {
        self.roles.classes.map_or(0, |classes| classes.numbers as usize)
    }

    fn outputs(&self) -> Outputs {
        self.outputs
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        let classes = self.classes()?;
        let pictures = self.pictures(pixels)?;
        Ok(to_host::<Ix2>(&self.numbers(&self.forward(&pictures)?, classes, pictures.size()[0])?)?)
    }

    fn places(&self) -> Vec<String> {
        self.roles.features.iter().map(|index| outputs::place(*index)).collect()
    }

    fn default_place(&self) -> Option<String> {
        self.roles.last_features.map(outputs::place)
    }

    fn features(&self, place: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>, ErrorKind> {
        let given = self.forward(&self.picture(pixels)?)?;
        let found = given.get(self.output(place)?).and_then(Option::as_ref);
        let found = found.ok_or_else(|| self.wrong("gives out other features than for the first picture"))?;
        Ok(features_of(found, 0)?)
    }

    /// Runs the network once to the end and back to the features that it gives out.
    fn slope(&self, place: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope, ErrorKind> {
        let (index, picture) = (self.output(place)?, self.picture(pixels)?);
        Ok(tch::with_grad(|| {
            let picture = picture.f_detach()?.f_set_requires_grad(true)?;
            let given = node_by_node(|| self.outputs_of(&picture));
            let given = given.map_err(|error| self.wrong(format!("fails with gradients: {}", first_line(&error))))?;
            self.slope_at(&given, index, class)
        })?)
    }
}

/// Runs TorchScript as it is written: its optimiser would join operations, and make one step of all that lies between the
/// picture and the answer, so that no gradient could be had in the middle.
fn node_by_node<R>(work: impl FnOnce() -> R) -> R {
    struct Optimised;
    impl Drop for Optimised {
        fn drop(&mut self) {
            let _ = tch::jit::f_set_graph_executor_optimize(true);
        }
    }
    let _ = tch::jit::f_set_graph_executor_optimize(false);
    let _after = Optimised;
    work()
}
