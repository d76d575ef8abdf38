//! `cbam-run`: where a convolutional network looks, laid over the picture.

#[path = "common/torch.rs"]
mod torch;

fn main() {
    cbam_cli::run::main(&torch::Torch, &cbam_cli::common::Called::by_its_name())
}
