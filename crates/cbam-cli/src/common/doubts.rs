//! The options that decide what a network's names and shapes leave open.

use cbam_core::Remedy;
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
            Otherwise::ScriptClasses => "--torchscript-classes".to_owned(),
            Otherwise::Squeeze => "else --square".to_owned(),
            _ => return None,
        })
    }
}

/// What every program says of what helps against an error, by its options; nothing of [`Remedy::Backbone`].
pub fn remedies(remedy: &Remedy) -> Option<String> {
    Some(match remedy {
        Remedy::DropAttention => "--drop-attention leaves them out".to_owned(),
        Remedy::Without(options) => {
            let has = if options.len() == 1 { "has" } else { "have" };
            let named: Vec<String> = options.iter().map(|option| named(option)).collect();
            format!("{} {has} no effect", named.join(", "))
        }
        Remedy::Part(parts) => match &parts[..] {
            [part] => format!("{part:?} can be read, with --part"),
            parts => {
                let parts: Vec<String> = parts.iter().map(|part| format!("{part:?}")).collect();
                let parts = parts.join(", ");
                format!("choose one of {parts} with --part, or write it alone with cbam-weights convert --part")
            }
        },
        Remedy::StrideIn { first, middle } => {
            format!("--stride-in 1x1 reads it as {first}, --stride-in 3x3 as {middle}")
        }
        Remedy::Weights => "give it as --weights".to_owned(),
        Remedy::TorchScript => "give TorchScript as --torchscript".to_owned(),
        Remedy::Graph => "give it to cbam-run or cbam-eval as --weights".to_owned(),
        Remedy::Squares(Some(side)) => format!("--size {side} --square makes them so"),
        Remedy::Squares(None) => "if it takes pictures of one size only, --square with --size makes them so".to_owned(),
        Remedy::Cpu => "--device cpu does without".to_owned(),
        Remedy::CudaLibraries => {
            "run 'make libtorch-cuda', or set LD_LIBRARY_PATH to the folder lib of a PyTorch 2.11 installation; \
             --device cpu does without"
                .to_owned()
        }
        Remedy::FullPrecision => "choose --precision f32, or a GPU with --device".to_owned(),
        Remedy::Resume => "--resume goes on with it; remove the file to start anew".to_owned(),
        _ => return None,
    })
}

/// The option for a field of [`OpenOptions`].
fn named(field: &str) -> String {
    match field {
        "max_pool" => "--stem-pool".to_owned(),
        "symmetric" => "--padding".to_owned(),
        field => format!("--{}", field.replace('_', "-")),
    }
}
