//! The weights of the network that cbam bundles, as safetensors; `MODEL_CARD.md` beside them says how they were made.

/// EfficientNet-Lite0 as it was published, its matrices in f16, by the names of its own checkpoints.
pub const BACKBONE: &[u8] = include_bytes!("../weights/efficientnet-lite0.safetensors");

/// The attention that was trained on it: CBAM at three places, patch self-attention at two; the metadata says which.
pub const ATTENTION: &[u8] = include_bytes!("../weights/efficientnet-lite0-attention.safetensors");
