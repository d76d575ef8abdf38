//! The names of the methods.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::folded;
use crate::{Error, Result};

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
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 10] = [
        Self::GradCam,
        Self::GradCamPlusPlus,
        Self::HiResCam,
        Self::LayerCam,
        Self::XGradCam,
        Self::EigenCam,
        Self::ScoreCam,
        Self::AblationCam,
        Self::Occlusion,
        Self::Rise,
    ];

    /// Its name, such as `gradcam++`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GradCam => "gradcam",
            Self::GradCamPlusPlus => "gradcam++",
            Self::HiResCam => "hirescam",
            Self::LayerCam => "layercam",
            Self::XGradCam => "xgradcam",
            Self::EigenCam => "eigencam",
            Self::ScoreCam => "scorecam",
            Self::AblationCam => "ablationcam",
            Self::Occlusion => "occlusion",
            Self::Rise => "rise",
        }
    }

    /// Whether it looks at the features of a stage; occlusion and RISE look at nothing but the picture and the answer.
    pub const fn needs_stage(self) -> bool {
        !matches!(self, Self::Occlusion | Self::Rise)
    }

    /// Whether it runs the network hundreds of times for one map, and not once.
    pub const fn is_costly(self) -> bool {
        matches!(self, Self::ScoreCam | Self::AblationCam | Self::Occlusion | Self::Rise)
    }

    /// Whether it follows the gradient of the class's score.
    pub const fn needs_gradient(self) -> bool {
        matches!(self, Self::GradCam | Self::GradCamPlusPlus | Self::HiResCam | Self::LayerCam | Self::XGradCam)
    }

    /// Whether the map depends on the class that is asked for.
    pub const fn needs_class(self) -> bool {
        !matches!(self, Self::EigenCam)
    }
}

impl Display for Method {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        // As people write them: GradCAM, grad-cam, Grad-CAM++, gradcampp.
        let folded = folded(name);
        let plus =
            folded.strip_suffix("pp").or_else(|| folded.strip_suffix("plusplus")).map(|stem| format!("{stem}++"));
        let wanted = [Some(folded), plus];
        let found = Self::ALL.into_iter().find(|method| wanted.iter().flatten().any(|wanted| method.name() == wanted));
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::argument("method", format!("there is none named {name:?}; the names are {known}"))
        })
    }
}
