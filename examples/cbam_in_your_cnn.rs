//! CBAM in a CNN of your own: two small tch networks learn handwritten digits, one with attention and one without.
//!
//! Digits of 8×8 pixels leave attention little to do, so expect about the same from both: the point is where it goes.
//!
//! `cargo run --release --example cbam_in_your_cnn`

use std::process::ExitCode;

use cbam::attention::{Cbam, CbamConfig, ChannelAttentionConfig};
use cbam::weights::{Checkpoint, restore_all};
use tch::nn::{self, ConvConfig, LinearConfig, ModuleT, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// The first three quarters of the 1,797 digits; the rest is held out.
const TRAIN: i64 = 1347;

/// Two convolutions, each with a CBAM behind it if `attention` is true, and a classifier.
fn cnn(p: &nn::Path, attention: bool) -> cbam::Result<nn::SequentialT> {
    let cbam = CbamConfig { channel: ChannelAttentionConfig::default().with_reduction(4), ..Default::default() };
    let mut network = nn::seq_t();
    for (name, input, output) in [("one", 1, 16), ("two", 16, 32)] {
        let padded = ConvConfig { padding: 1, ..Default::default() };
        network = network.add(nn::conv2d(p / name / "conv", input, output, 3, padded)).add_fn(Tensor::relu);
        if attention {
            network = network.add(Cbam::new(p / name / "cbam", output, &cbam)?);
        }
        network = network.add_fn(|xs| xs.max_pool2d_default(2)); // 8×8, 4×4, 2×2
    }
    Ok(network.add_fn(|xs| xs.flatten(1, -1)).add(nn::linear(p / "classes", 128, 10, LinearConfig::default())))
}

/// Trains for 30 epochs, and returns the share of the held-out digits that are told right.
fn held_out_accuracy(attention: bool, seed: i64, (pixels, labels): &(Tensor, Tensor)) -> cbam::Result<f64> {
    tch::manual_seed(seed);
    let variables = nn::VarStore::new(Device::Cpu);
    let network = cnn(&variables.root(), attention)?;
    let mut optimizer = nn::adam(0.9, 0.999, 1e-4).build(&variables, 2e-3)?;
    for _epoch in 0..30 {
        for batch in Tensor::randperm(TRAIN, (Kind::Int64, Device::Cpu)).split(32, 0) {
            let logits = network.forward_t(&pixels.index_select(0, &batch), true);
            optimizer.backward_step(&logits.cross_entropy_for_logits(&labels.index_select(0, &batch)));
        }
    }
    let held_out = |all: &Tensor| all.narrow(0, TRAIN, all.size()[0] - TRAIN);
    let logits = tch::no_grad(|| network.forward_t(&held_out(pixels), false));
    Ok(logits.accuracy_for_logits(&held_out(labels)).double_value(&[]))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cbam_in_your_cnn: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> cbam::Result<()> {
    tch::set_num_threads(1); // the tensors are too small to share
    let digits = restore_all(&Checkpoint::open("assets/digits.safetensors")?.tensors)?;
    let digits = (digits["pixels"].to_kind(Kind::Float) / 16.0, digits["labels"].to_kind(Kind::Int64));
    for (name, attention) in [("without CBAM", false), ("with CBAM", true)] {
        let runs = (0..3).map(|seed| held_out_accuracy(attention, seed, &digits)).collect::<cbam::Result<Vec<_>>>()?;
        let mean = 100.0 * runs.iter().sum::<f64>() / runs.len() as f64;
        println!("{name:>12}: {mean:.1} % of the held-out digits, mean of {} runs", runs.len());
    }
    Ok(())
}
