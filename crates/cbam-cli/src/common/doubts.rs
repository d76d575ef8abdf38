//! The options that decide what a network's names and shapes leave open.

use cbam_core::attention::PoolOrder;
use cbam_core::backbone::StrideIn;
use cbam_core::network::OpenOptions;
use cbam_core::weights::Otherwise;
use clap::{Args, ValueEnum};

use crate::common::values::listed;

/// What names and shapes do not tell of the network that they are of.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What a weights file does not say")]
pub struct Doubts {
    /// The entry of the file that holds the weights, such as ema or student, or what stands before their names, such as teacher; the
    /// usual entries, and the only network's names, are found without
    #[arg(long, value_name = "NAME", requires = "weights")]
    pub part: Option<String>,
    /// Which convolution of a ResNet's bottlenecks halves the resolution, 1x1 or 3x3
    #[arg(long, value_name = "1x1|3x3", value_parser = listed::<StrideIn>(["1x1", "3x3"]), hide_possible_values = true, requires = "weights")]
    pub stride_in: Option<StrideIn>,
    /// Which of the two pools over the channels a spatial gate sees first, max-mean or mean-max
    #[arg(long, value_name = "max-mean|mean-max", value_parser = listed::<PoolOrder>(["max-mean", "mean-max"]), hide_possible_values = true, requires = "weights")]
    pub pool_order: Option<PoolOrder>,
    /// Whether a max pooling follows a ResNet's first convolution
    #[arg(long, value_name = "max|none", requires = "weights")]
    pub stem_pool: Option<StemPool>,
    /// How an EfficientNet-Lite in timm's names pads: same, as TensorFlow and `tf_efficientnet_lite0`; or symmetric, as PyTorch and
    /// `efficientnet_lite0`, which also take pictures normalised otherwise
    #[arg(long, value_name = "same|symmetric", requires = "weights")]
    pub padding: Option<LitePadding>,
}

/// How an EfficientNet-Lite pads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LitePadding {
    /// As TensorFlow.
    Same,
    /// As PyTorch.
    Symmetric,
}

/// What follows the first convolution of a residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StemPool {
    /// A max pooling.
    Max,
    /// Nothing.
    None,
}

impl Doubts {
    /// As the library takes them.
    pub fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::default();
        options.part.clone_from(&self.part);
        options.stride_in = self.stride_in;
        options.pool_order = self.pool_order;
        options.max_pool = self.stem_pool.map(|pool| pool == StemPool::Max);
        options.symmetric = self.padding.map(|padding| padding == LitePadding::Symmetric);
        options
    }
}

/// What a program that has these options says of what says otherwise than an assumption; `input` is what it says of how pictures are
/// taken.
pub fn options_for(input: &str) -> impl Fn(Otherwise) -> Option<String> {
    move |otherwise| {
        Some(match otherwise {
            Otherwise::StrideIn(stride_in) => format!("else --stride-in {stride_in}"),
            Otherwise::PoolOrder(order) => format!("else --pool-order {order}"),
            Otherwise::MaxPool(pool) => format!("else --stem-pool {}", if pool { "max" } else { "none" }),
            Otherwise::Symmetric(symmetric) => {
                format!("else --padding {}", if symmetric { "symmetric" } else { "same" })
            }
            Otherwise::Input => input.to_owned(),
            _ => return None,
        })
    }
}
