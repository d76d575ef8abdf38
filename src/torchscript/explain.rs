//! Explanations of a scripted network's answers: on the features that it gives out, or by changes of the picture.

use ndarray::Array2;
use tch::Tensor;

use super::ScriptedNetwork;
use super::forward::first_line;
use super::outputs::{self, Classes};
use crate::explain::{ExplainOptions, Parts, Slope, Subject, make};
use crate::maps::{Explanation, MapName, Method, Readout};
use crate::network::Outputs;
use crate::pipeline::{Ask, Explain, Step};
use crate::{Error, Result};

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

    /// Adds the explanations that are asked for to the readouts of pictures `[N, 3, H, W]`.
    pub(super) fn explain_all(
        &self,
        pixels: &Tensor,
        readouts: &mut [Readout],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<()> {
        let Explain { methods, class, options } = ask.explain;
        for (picture, readout) in readouts.iter_mut().enumerate() {
            let answers = readout.probabilities.iter().enumerate();
            let likeliest = answers.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map_or(0, |(class, _)| class);
            let class = class.unwrap_or(likeliest);
            for (method, stage) in methods {
                let map = MapName::Explain { method: *method, stage: stage.clone() };
                let pixels = pixels.f_narrow(0, picture as i64, 1)?;
                let mut told = |done, total| !method.is_costly() || go_on(Step { picture, map: &map, done, total });
                let made = self.explain(&pixels, *method, stage.as_deref(), class as i64, options, &mut told)?;
                readout.explained(Explanation { method: *method, stage: stage.clone(), class, map: made });
            }
        }
        Ok(())
    }

    /// One map of one picture `[1, 3, H, W]`, normalised, on its device; as [`explain`](crate::explain::explain_while) makes
    /// them. `stage` names an output that holds features (`output:1`); none is the last of them.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such class or features, or the method cannot be had of a
    /// scripted network; [`Error::Weights`] if the network fails, or no gradient reaches the features;
    /// [`Error::Interrupted`] once `go_on` has returned false.
    pub fn explain(
        &self,
        pixels: &Tensor,
        method: Method,
        stage: Option<&str>,
        class: i64,
        options: &ExplainOptions,
        go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Array2<f32>> {
        options.check()?;
        let answers = self.roles.classes.map_or(0, |classes| Outputs::answers(classes.numbers));
        if method.needs_class() && !(0..answers).contains(&class) {
            return Err(Error::argument("class", format!("{class} is none of the network's {answers} classes")));
        }
        let place = || self.features(stage);
        let slope = || self.slope(pixels, place()?, class);
        let features = || {
            let given = self.forward(pixels)?;
            let found = given.get(place()?).and_then(Option::as_ref);
            found
                .map(Tensor::shallow_clone)
                .ok_or_else(|| self.wrong("gives out other features than for the first picture"))
        };
        let classify = |pixels: &Tensor| match self.roles.classes {
            Some(classes) => self.numbers(&self.forward(pixels)?, classes, pixels.size()[0]),
            None => Err(self.wrong("gives out no classes")),
        };
        let outputs = self.outputs;
        let subject = Subject { pixels, class, classify: &classify, outputs, options };
        make(&subject, method, &Parts { slope: &slope, features: &features, rest: None }, go_on)
    }

    /// The output that a stage names, or the last that holds features.
    fn features(&self, stage: Option<&str>) -> Result<usize> {
        let named = |stage| self.roles.features.iter().copied().find(|index| outputs::place(*index) == stage);
        stage.map_or(self.roles.last_features, named).ok_or_else(|| {
            let places: Vec<_> = self.roles.features.iter().map(|index| outputs::place(*index)).collect();
            self.wrong(format!(
                "features are given out by {}",
                if places.is_empty() { "none".into() } else { places.join(", ") }
            ))
        })
    }

    /// Runs the network once to the end and back to the features that it gives out.
    fn slope(&self, pixels: &Tensor, index: usize, class: i64) -> Result<Slope> {
        let Some(classes) = self.roles.classes else { return Err(self.wrong("gives out no classes")) };
        tch::with_grad(|| {
            let pixels = pixels.f_detach()?.f_set_requires_grad(true)?;
            let given = node_by_node(|| self.outputs_of(&pixels));
            let given = given.map_err(|error| self.wrong(format!("fails with gradients: {}", first_line(&error))))?;
            self.gradient(&given, classes, index, class)
        })
    }

    fn gradient(&self, given: &[Option<Tensor>], classes: Classes, index: usize, class: i64) -> Result<Slope> {
        let cut = || {
            let message = "no gradient reaches output {} from output {}: give out the very tensor that the answer is made of, \
                           without detach, and trace without torch.no_grad inside";
            self.wrong(message.replacen("{}", &index.to_string(), 1).replacen("{}", &classes.index.to_string(), 1))
        };
        let features = given.get(index).and_then(Option::as_ref).ok_or_else(cut)?;
        let score =
            self.outputs.scores(&self.numbers(given, classes, 1)?)?.f_select(1, class)?.f_sum(tch::Kind::Float)?;
        // libtorch follows the graph of a tensor without one to a null pointer, so ask first.
        if !score.requires_grad() || !features.requires_grad() {
            return Err(cut());
        }
        let gradients = Tensor::f_run_backward(&[score], &[features], false, false)?;
        let gradient = gradients.into_iter().find(Tensor::defined).ok_or_else(cut)?;
        Ok(Slope { features: features.f_detach()?, gradient: gradient.f_detach()?.f_to_kind(tch::Kind::Float)? })
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
