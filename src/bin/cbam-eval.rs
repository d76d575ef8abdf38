//! `cbam-eval`: how right a network is, how well its maps point, and whether its decision rests on what they name.

#[path = "common/torch.rs"]
mod torch;

fn main() {
    cbam_cli::eval::main(&torch::Torch, &cbam_cli::common::Called::by_its_name())
}
