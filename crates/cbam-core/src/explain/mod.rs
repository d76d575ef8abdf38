//! Explanations from outside the network: what a gradient, or a change of the picture, says about a decision.
//!
//! They are what the attention maps are compared with. [`explain`] makes one map of one picture for one class, at any place of
//! any network that is [`Features`]; [`Method`] names the methods. The crate `cbam` makes any
//! tch network that.
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
//! | `relevance` | forward and back, to every attention | Chefer et al. 2021 |
//!
//! Where the Python package `grad-cam` (pytorch-grad-cam) has a method, the formula is the same, and tests hold it to
//! that.

mod ablation_cam;
mod base;
mod eigen_cam;
mod features;
mod grad_cam;
mod grad_cam_plus_plus;
mod hires_cam;
mod layer_cam;
mod occlusion;
mod options;
mod relevance;
mod rise;
mod score_cam;
#[cfg(test)]
mod tests;
mod variants;
mod xgrad_cam;

use ndarray::{Array2, ArrayView3};

use crate::{Error, Result};
use base::wrong;
use variants::Subject;

pub use crate::maps::Method;
pub use eigen_cam::projection;
pub(crate) use features::NO_RELEVANCE;
pub use features::{Features, Slope};
pub use options::ExplainOptions;
pub use relevance::AttentionSlopes;

/// What is wrong with a map that is not finite.
const NOT_FINITE: &str =
    "its map is not finite: the features, or the slope of the class's score there, are beyond the range of numbers";

/// One map of one picture, on its native grid, not scaled: 0 or more, and higher where more speaks for the class.
///
/// `pixels` are one picture as the network takes it, `[channels, H, W]`. `stage` names one of [`Features::places`]; none is
/// [`Features::default_place`]. [`Method::Occlusion`], [`Method::Rise`] and [`Method::Relevance`] look at no stage. `class` counts from 0.
/// What speaks against the class counts as 0.
///
/// `go_on` is called with how many steps are done, of how many (the last call has both equal), and says whether to go on. Methods that
/// run the network many times ([`Method::is_costly`]) have many steps, and hold a bounded number of copies of the picture
/// ([`ExplainOptions::batch`]).
///
/// # Errors
/// [`Error::Argument`] if the network has no such stage or class, a stage is named where the method has none, or an
/// option cannot be used; [`Error::Input`] if the pixels are not one picture; [`Error::Interrupted`] once `go_on` has returned
/// false; [`Error::Network`] if features or slopes are not finite; else what the network returns.
pub fn explain(
    network: &dyn Features,
    pixels: ArrayView3<'_, f32>,
    method: Method,
    stage: Option<&str>,
    class: usize,
    options: &ExplainOptions,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Array2<f32>> {
    options.check()?;
    if pixels.is_empty() {
        return Err(wrong("pixels [channels, H, W]", pixels.shape()));
    }
    let answers = network.answers();
    if answers == 0 && method.needs_class() {
        return Err(Error::argument(method, "is of a class, and this network says nothing of classes"));
    }
    if answers > 0 && class >= answers {
        return Err(Error::argument("class", format!("{class} is none of the network's, 0 to {}", answers - 1)));
    }
    if let (false, Some(stage)) = (method.needs_stage(), stage) {
        let what = if method.needs_attention() {
            "joins all attentions"
        } else {
            "changes the picture and looks at the answer"
        };
        let message = format!("takes no stage ({stage}): it {what}");
        return Err(Error::argument(method, message));
    }
    let place = if method.needs_stage() { place(network, method, stage)? } else { String::new() };
    let slope = || network.slope(&place, pixels, class);
    let features = || network.features(&place, pixels);
    let subject = || Subject::new(network, pixels, class, options);
    let map = match method {
        Method::GradCam => slope()?.grad_cam(),
        Method::GradCamPlusPlus => grad_cam_plus_plus::map(&slope()?),
        Method::HiResCam => hires_cam::map(&slope()?),
        Method::LayerCam => layer_cam::map(&slope()?),
        Method::XGradCam => xgrad_cam::map(&slope()?),
        Method::EigenCam => eigen_cam::map(features()?.view())?,
        Method::ScoreCam => score_cam::map(&subject(), features()?.view(), go_on)?,
        Method::AblationCam => ablation_cam::map(&subject(), &place, features()?.view(), go_on)?,
        Method::Occlusion => occlusion::map(&subject(), go_on)?,
        Method::Rise => rise::map(&subject(), go_on)?,
        Method::Relevance => relevance::map(&network.attention_slopes(pixels, class)?)?,
    };
    if !method.is_costly() && !go_on(1, 1) {
        return Err(Error::Interrupted);
    }
    if map.iter().all(|value| value.is_finite()) { Ok(map) } else { Err(Error::network(method, NOT_FINITE)) }
}

/// The place of this name, or the one that is taken without a name.
fn place(network: &dyn Features, method: Method, stage: Option<&str>) -> Result<String> {
    let places = network.places();
    let known = || if places.is_empty() { "none".to_owned() } else { places.join(", ") };
    match stage {
        Some(stage) if !places.iter().any(|place| place == stage) => {
            Err(Error::argument(format!("stage {stage:?}"), format!("this network has {}", known())))
        }
        Some(stage) => Ok(stage.to_owned()),
        None => network
            .default_place()
            .ok_or_else(|| Error::argument(method, "looks at features, and this network gives out none")),
    }
}
