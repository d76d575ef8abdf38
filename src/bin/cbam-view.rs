//! `cbam-view`: a page in the browser, with any network behind it.

#[path = "common/torch.rs"]
mod torch;

fn main() {
    cbam_cli::view::main(&torch::Torch, &cbam_cli::common::Called::by_its_name())
}
