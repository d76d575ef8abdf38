//! Explanations from outside the network: what a gradient, or a change of the picture, says about a decision.
//!
//! They are what the attention maps are compared with. [`explain`] makes one map of one picture for one class, at any
//! stage of the network; [`Method`] names the methods.
//!
//! | module | what it runs | paper |
//! |---|---|---|
//! | `grad_cam` | forward and back | Selvaraju et al. 2017 |
//! | `grad_cam_plus_plus` | forward and back | Chattopadhay et al. 2018 |
//! | `hires_cam` | forward and back | Draelos & Carin 2020 |
//! | `layer_cam` | forward and back | Jiang et al. 2021 |
//! | `xgrad_cam` | forward and back | Fu et al. 2020 |
//! | `eigen_cam` | forward to the stage | Muhammad & Yeasin 2020 |
//! | `score_cam` | forward, once for each channel | Wang et al. 2020 |
//! | `ablation_cam` | forward from the stage, once for each channel | Desai & Ramaswamy 2020 |
//! | `occlusion` | forward, once for each place of a grey square | Zeiler & Fergus 2014 |
//! | `rise` | forward, once for each of 1,000 masks | Petsiuk et al. 2018 |
//!
//! Where the Python package `grad-cam` (pytorch-grad-cam) has a method, the formula is the same, and tests hold it to
//! that.

mod ablation_cam;
mod base;
pub(crate) mod eigen_cam;
mod grad_cam;
mod grad_cam_plus_plus;
mod hires_cam;
mod layer_cam;
mod occlusion;
mod options;
mod rise;
mod score_cam;
#[cfg(test)]
mod tests;
mod variants;
mod xgrad_cam;

use ndarray::Array2;
use tch::Tensor;

use crate::network::Network;
use crate::{Error, Result};
use base::{to_array, wrong};

pub use crate::maps::Method;
pub(crate) use base::Slope;
pub(crate) use grad_cam::class_activation;
pub use grad_cam::grad_cam;
pub use options::ExplainOptions;
pub(crate) use variants::Subject;

/// One map of one picture, on its native grid, not scaled: 0 or more, and higher where more speaks for the class.
///
/// `pixels` are one picture as the network takes it, `[1, 3, H, W]`. `stage` names one of [`Network::places`]; none
/// is `head`, the last convolution after its activation. [`Method::Occlusion`] and [`Method::Rise`] look at no stage. `class` counts from 0.
/// What speaks against the class counts as 0.
///
/// `progress` is told how many steps are done, of how many; the last call has both equal. Methods that run the network
/// many times ([`Method::is_costly`]) have many steps, and hold a bounded number of copies of the picture
/// ([`ExplainOptions::batch`]).
///
/// # Errors
/// [`Error::Argument`] if the network has no such stage or class, a stage is named where the method has none, an
/// option cannot be used or the picture is too large for the network's patch attention; [`Error::Input`] if the pixels are
/// not one picture; [`Error::Torch`] if libtorch fails.
pub fn explain(
    network: &Network,
    pixels: &Tensor,
    method: Method,
    stage: Option<&str>,
    class: i64,
    options: &ExplainOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Array2<f32>> {
    explain_while(network, pixels, method, stage, class, options, &mut |done, total| {
        progress(done, total);
        true
    })
}

/// [`explain`], for as long as `go_on` says so.
///
/// # Errors
/// As [`explain`]; [`Error::Interrupted`] once `go_on` has returned false.
pub fn explain_while(
    network: &Network,
    pixels: &Tensor,
    method: Method,
    stage: Option<&str>,
    class: i64,
    options: &ExplainOptions,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Array2<f32>> {
    options.check()?;
    if !matches!(pixels.size()[..], [1, 3, height, width] if height > 0 && width > 0) {
        return Err(wrong("pixels [1, 3, H, W]", &pixels.size()));
    }
    network.check_patch_memory(&pixels.size())?;
    let answers = network.answers() as i64;
    if answers == 0 && method.needs_class() {
        return Err(Error::argument(method, "is of a class, and this network has no classifier"));
    }
    if answers > 0 && !(0..answers).contains(&class) {
        return Err(Error::argument("class", format!("{class} is none of the network's, 0 to {}", answers - 1)));
    }
    if let (false, Some(stage)) = (method.needs_stage(), stage) {
        let message = format!("takes no stage ({stage}): it changes the picture and looks at the answer");
        return Err(Error::argument(method, message));
    }
    let place = network.place(stage)?;
    let slope = || Slope::of(network, pixels, place, class);
    let features = || tch::no_grad(|| network.features_at(place, pixels));
    let classify = |pixels: &Tensor| tch::no_grad(|| Ok(network.forward(pixels, false)?.logits));
    let outputs = network.config().outputs;
    let rest = |features: &Tensor| tch::no_grad(|| network.logits_from(place, features));
    let subject = Subject { pixels, class, classify: &classify, outputs, options };
    let parts = Parts { slope: &slope, features: &features, rest: Some(&rest) };
    make(&subject, method, &parts, go_on)
}

/// What the methods that look at features need of a network; each is asked only by the methods that need it.
pub(crate) struct Parts<'a> {
    /// The features, and the slope of the class's score there.
    pub(crate) slope: &'a dyn Fn() -> Result<Slope>,
    /// The features, `[1, C, h, w]`.
    pub(crate) features: &'a dyn Fn() -> Result<Tensor>,
    /// Features to the network's numbers for its classes; none if a network cannot be entered there.
    pub(crate) rest: Option<&'a Rest<'a>>,
}

/// The rest of a network, behind its features.
type Rest<'a> = dyn Fn(&Tensor) -> Result<Tensor> + 'a;

/// The map of one picture by `method`, of the network that `subject` and `parts` run.
pub(crate) fn make(
    subject: &Subject<'_>,
    method: Method,
    parts: &Parts<'_>,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Array2<f32>> {
    let Parts { slope, features, rest } = parts;
    let map = match method {
        Method::GradCam => grad_cam::map(&slope()?)?,
        Method::GradCamPlusPlus => grad_cam_plus_plus::map(&slope()?)?,
        Method::HiResCam => hires_cam::map(&slope()?)?,
        Method::LayerCam => layer_cam::map(&slope()?)?,
        Method::XGradCam => xgrad_cam::map(&slope()?)?,
        Method::EigenCam => eigen_cam::projection(&features()?)?.f_relu()?,
        Method::ScoreCam => score_cam::map(subject, &features()?, go_on)?,
        Method::AblationCam => {
            let message = "runs the network from its features on, which this one does not allow";
            let rest = rest.ok_or_else(|| Error::argument(method, message))?;
            ablation_cam::map(subject, &features()?, rest, go_on)?
        }
        Method::Occlusion => return occlusion::map(subject, go_on),
        Method::Rise => return rise::map(subject, go_on),
    };
    if !method.is_costly() && !go_on(1, 1) {
        return Err(Error::Interrupted);
    }
    to_array(&map)
}
