//! `cbam-weights`: looks into weights files, converts and compares them.

#[path = "common/torch.rs"]
mod torch;

fn main() {
    cbam_cli::weights::main(&torch::Torch, &cbam_cli::common::Called::by_its_name())
}
