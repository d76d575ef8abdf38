//! The names of the methods.

use serde::{Deserialize, Serialize};

use super::name::folded;
use crate::text::named;

/// An explanation method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// `gradcam`: Selvaraju et al. 2017.
    GradCam,
    /// `gradcam++`: Chattopadhay et al. 2018.
    GradCamPlusPlus,
    /// `hirescam`: Draelos & Carin 2020.
    HiResCam,
    /// `layercam`: Jiang et al. 2021.
    LayerCam,
    /// `xgradcam`: Fu et al. 2020.
    XGradCam,
    /// `eigencam`: Muhammad & Yeasin 2020. Does not depend on the class.
    EigenCam,
    /// `scorecam`: Wang et al. 2020.
    ScoreCam,
    /// `ablationcam`: Desai & Ramaswamy 2020.
    AblationCam,
    /// `occlusion`: Zeiler & Fergus 2014.
    Occlusion,
    /// `rise`: Petsiuk et al. 2018.
    Rise,
    /// `relevance`: Chefer et al. 2021. Of networks whose attentions are all over the same tokens.
    Relevance,
}

named! {
    Method as "method", read by meant;
    GradCam => "gradcam",
    GradCamPlusPlus => "gradcam++",
    HiResCam => "hirescam",
    LayerCam => "layercam",
    XGradCam => "xgradcam",
    EigenCam => "eigencam",
    ScoreCam => "scorecam",
    AblationCam => "ablationcam",
    Occlusion => "occlusion",
    Rise => "rise",
    Relevance => "relevance",
}

/// As people write them: `GradCAM`, grad-cam, Grad-CAM++, gradcampp.
fn meant(text: &str) -> String {
    let folded = folded(text);
    let plus = folded.strip_suffix("pp").or_else(|| folded.strip_suffix("plusplus")).map(|stem| format!("{stem}++"));
    plus.unwrap_or(folded)
}

impl Method {
    /// Whether it looks at the features of a stage; occlusion and RISE look at nothing but the picture and the answer, relevance at
    /// every attention.
    pub const fn needs_stage(self) -> bool {
        !matches!(self, Self::Occlusion | Self::Rise | Self::Relevance)
    }

    /// Whether it joins the attentions of a network, as few networks have them.
    pub const fn needs_attention(self) -> bool {
        matches!(self, Self::Relevance)
    }

    /// Whether it runs the network hundreds of times for one map, and not once.
    pub const fn is_costly(self) -> bool {
        matches!(self, Self::ScoreCam | Self::AblationCam | Self::Occlusion | Self::Rise)
    }

    /// Whether it follows the gradient of the class's score.
    pub const fn needs_gradient(self) -> bool {
        matches!(
            self,
            Self::GradCam | Self::GradCamPlusPlus | Self::HiResCam | Self::LayerCam | Self::XGradCam | Self::Relevance
        )
    }

    /// Whether the map depends on the class that is asked for.
    pub const fn needs_class(self) -> bool {
        !matches!(self, Self::EigenCam)
    }
}
