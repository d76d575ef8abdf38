//! The options about explanations: what they are of, and how they are made.

use cbam_core::classes::ClassChoice;
use cbam_core::explain::ExplainOptions;
use cbam_core::graph::Score;
use cbam_core::maps::Method;
use clap::Args;

use crate::common::given::Given;
use crate::common::values::parsed;

/// The heading of options about maps.
pub(crate) const MAP: &str = "Maps";

/// The options that are for the maps of one method.
pub(crate) const OF_METHODS: [(Method, [&str; 2]); 2] =
    [(Method::Rise, ["masks", "seed"]), (Method::Occlusion, ["window", "stride"])];

/// What explanations are of, and how they are made.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = MAP)]
pub(crate) struct Explained {
    /// The class that explanations, `fused` and `object` are of, by number (281) or name ("tiger cat"; a part that is in one name
    /// only will do) [default: the likeliest, picture by picture]
    #[arg(long, value_name = "CLASS", value_parser = parsed::<ClassChoice>)]
    pub(crate) class: Option<ClassChoice>,
    /// The number that explanations are of instead of a class, of a network by its graph: an output, by name or place, a part of it
    /// ([:, …], the first index being that of the pictures), and its mean, sum or maximum
    ///
    /// `out[:, 3].mean()` of a segmenter's class 3, `output[0][:, 281]` of the first of several outputs, `logits[:, 3, 20, 31]` of one
    /// place of its map.
    #[arg(long, value_name = "EXPRESSION", value_parser = parsed::<Score>, conflicts_with_all = ["class", "outputs"])]
    pub(crate) score: Option<Score>,
    /// The pixel of the upright picture that the score is of, where the expression gives out maps, such as `out[:, 3]` of a
    /// segmenter
    #[arg(long, value_name = "X,Y", value_parser = pixel, requires = "score")]
    pub(crate) at: Option<[u32; 2]>,
    /// How many random masks rise draws
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) masks: u32,
    /// What rise draws its masks from; the same seed gives the same masks
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: u64,
    /// The side of occlusion's grey square, in pixels of what the network sees
    #[arg(long, value_name = "PIXELS", default_value = "32", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) window: u32,
    /// How far that square moves at a time; at most its side [default: half of it]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) stride: Option<u32>,
}

impl Explained {
    /// As the library takes it.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub(crate) fn options(&self) -> Result<ExplainOptions, String> {
        let stride = self.stride.unwrap_or(self.window.div_ceil(2));
        if stride > self.window {
            return Err(format!("--stride {stride} is over --window {}: it would leave gaps", self.window));
        }
        Ok(ExplainOptions::default()
            .with_masks(self.masks as usize)
            .with_seed(self.seed)
            .with_window(self.window as usize)
            .with_stride(stride as usize))
    }

    /// The number that explanations are of instead of a class, at its pixel.
    pub(crate) fn score(&self) -> Option<Score> {
        match (self.score.clone(), self.at) {
            (Some(score), Some([x, y])) => Some(score.at(x, y)),
            (score, _) => score,
        }
    }

    /// The options that were given and are for the maps of one method.
    pub(crate) fn of_one_method(given: &Given) -> Vec<(&'static str, Method)> {
        let options = OF_METHODS.into_iter().flat_map(|(method, options)| options.map(|option| (option, method)));
        options.filter(|(option, _)| given.holds(option)).collect()
    }
}

/// A pixel, X,Y.
fn pixel(text: &str) -> Result<[u32; 2], String> {
    let numbers: Vec<u32> = text.split(',').map_while(|number| number.trim().parse().ok()).collect();
    match numbers[..] {
        [x, y] if text.split(',').count() == 2 => Ok([x, y]),
        _ => Err("write a pixel of the picture: X,Y".to_owned()),
    }
}
