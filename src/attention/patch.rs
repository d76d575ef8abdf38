//! Self-attention among the patches of a feature map: where each part of a picture looks.
//!
//! `y = x + unpatchify(MultiHead(LayerNorm(patchify(x)) + positions))`: the multi-head attention of Vaswani et al. 2017 on patches, as
//! the Vision Transformer (Dosovitskiy et al. 2021) has it before its MLP, here on a convolutional stage and with
//! [2-D sine-cosine positions](super::positions) on the stage's own grid, so that any picture size will do.

use std::borrow::Borrow;
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor, nn};

use super::{MultiHeadAttention, MultiHeadConfig, PatchAttentionConfig, check, sine_cosine_2d};
use crate::{Error, Result};

const LAYER: &str = "PatchAttention";

/// What a [`PatchAttention`] returns. T = rows × columns patches, in row-major order.
#[derive(Debug)]
pub struct PatchAttentionOutput {
    /// The new features, `[N, C, H, W]`.
    pub features: Tensor,
    /// The weights of each head, `[N, heads, T, T]`: row = the patch that looks, column = the patch looked at.
    pub weights: Tensor,
    /// The grid of patches, `[rows, columns]`.
    pub grid: [i64; 2],
}

impl PatchAttentionOutput {
    /// The attention that each patch receives, `[N, heads, rows, columns]`: the mean of the weights over the patches that look, times
    /// T, so that uniform attention is 1.
    pub fn received(&self) -> Tensor {
        let received = self.weights.mean_dim(&[2_i64][..], false, None) * (self.grid[0] * self.grid[1]) as f64;
        received.unflatten(2, self.grid)
    }
}

/// Patch self-attention over maps `[N, C, H, W]` of any H and W; the weights take memory as the square of T.
///
/// H or W that p does not divide: see [`patchify`]; the last row or column of the grid then reaches over the border.
///
/// Parameters: `norm` (`weight`, `bias`, `[C * p * p]`, start at 1 and 0) and those of [`MultiHeadAttention`] under `attention`.
#[derive(Debug)]
pub struct PatchAttention {
    norm: nn::LayerNorm,
    attention: MultiHeadAttention,
    channels: i64,
    patch_size: i64,
    /// Those of the last grid: most pictures have it again.
    positions: Mutex<Option<([i64; 2], Tensor)>>,
}

impl PatchAttention {
    /// Patch self-attention for maps of this many channels.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a size is under 1 or too large, or a patch holds under 4 values (channels ×
    /// p × p), too few for its position.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64, config: &PatchAttentionConfig) -> Result<Self> {
        let p = p.borrow();
        let PatchAttentionConfig { patch_size, heads, head_dim } = *config;
        check::positive("channels", channels)?;
        check::positive("patch_size", patch_size)?;
        let width = check::product("channels × patch_size²", &[channels, patch_size, patch_size])?;
        if width < 4 {
            return Err(Error::argument("channels", format!("a patch must hold at least 4 values, not {width}")));
        }
        let multi_head = MultiHeadConfig::default().with_heads(heads).with_head_dim(head_dim);
        let attention = MultiHeadAttention::new(p / "attention", width, &multi_head)?;
        let norm = nn::layer_norm(p / "norm", vec![width], nn::LayerNormConfig::default());
        Ok(Self { norm, attention, channels, patch_size, positions: Mutex::new(None) })
    }

    /// Lets the patches of `xs` `[N, C, H, W]` look at one another.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit.
    pub fn forward(&self, xs: &Tensor) -> Result<PatchAttentionOutput> {
        let (tokens, grid) = self.tokens(xs)?;
        let output = self.attention.self_attention(&tokens)?;
        Ok(PatchAttentionOutput { features: self.add(xs, &output.context)?, weights: output.weights, grid })
    }

    /// As [`forward`](Self::forward), but by the fused path: the features `[N, C, H, W]` alone, without the `[T, T]` weights in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit.
    pub fn forward_fused(&self, xs: &Tensor) -> Result<Tensor> {
        let (tokens, _) = self.tokens(xs)?;
        self.add(xs, &self.attention.forward(&tokens, &tokens, &tokens, None, false)?.context)
    }

    /// Makes the output projection 0, so that the features are the input.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch refuses.
    pub fn identity_start(&self) -> Result<()> {
        self.attention.zero_output()
    }

    /// The normalised patches with their positions, `[N, T, C * p * p]`, and the grid.
    fn tokens(&self, xs: &Tensor) -> Result<(Tensor, [i64; 2])> {
        check::map_size(LAYER, xs, Some(self.channels))?;
        if let Some(weight) = &self.norm.ws {
            check::same_place(LAYER, "a map", xs, weight)?;
        }
        let (patches, grid) = patchify(xs, self.patch_size)?;
        let tokens = patches.apply(&self.norm).f_add_(&self.positions(grid, (xs.kind(), xs.device()))?)?;
        Ok((tokens, grid))
    }

    /// [`sine_cosine_2d`] for a grid of patches.
    fn positions(&self, grid: [i64; 2], place: (Kind, Device)) -> Result<Tensor> {
        let mut last = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, positions)) if *of == grid && (positions.kind(), positions.device()) == place => {
                Ok(positions.shallow_clone())
            }
            _ => {
                let width = self.channels * self.patch_size * self.patch_size;
                let positions = tch::no_grad(|| sine_cosine_2d(grid[0], grid[1], width, place))?;
                *last = Some((grid, positions.shallow_clone()));
                Ok(positions)
            }
        }
    }

    /// The residual: `xs` plus the patches laid back.
    fn add(&self, xs: &Tensor, context: &Tensor) -> Result<Tensor> {
        let [_, c, h, w] = check::map_size(LAYER, xs, Some(self.channels))?;
        Ok(xs + unpatchify(context, [c, h, w], self.patch_size)?)
    }
}

/// The features, by the fused path.
///
/// # Panics
/// `forward` panics on a wrong input.
impl nn::Module for PatchAttention {
    fn forward(&self, xs: &Tensor) -> Tensor {
        match self.forward_fused(xs) {
            Ok(features) => features,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Cuts a map `[N, C, H, W]` into patches of side p: `[N, rows * columns, C * p * p]` in row-major order, and the grid `[rows, columns]`.
///
/// A patch's values are ordered channel, row, column, as in PyTorch's `unfold`. If p does not divide H or W, the map is first continued
/// to the right and below by its border values; the grid is then `[⌈H/p⌉, ⌈W/p⌉]`.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if p is under 1, [`ErrorKind::Input`](crate::ErrorKind::Input) if `xs` is no map.
pub fn patchify(xs: &Tensor, patch_size: i64) -> Result<(Tensor, [i64; 2])> {
    check::positive("patch_size", patch_size)?;
    let [n, c, h, w] = check::map_size("patchify", xs, None)?;
    let p = patch_size;
    let (rows, columns) = (ceil_div(h, p), ceil_div(w, p));
    let (below, right) = (rows * p - h, columns * p - w);
    let padded = if below + right > 0 { xs.f_replication_pad2d([0, right, 0, below])? } else { xs.shallow_clone() };
    let patches = padded
        .f_reshape([n, c, rows, p, columns, p])?
        .permute([0, 2, 4, 1, 3, 5]) // [N, rows, columns, C, p, p]
        .reshape([n, rows * columns, c * p * p]);
    Ok((patches, [rows, columns]))
}

/// Lays patches `[N, T, C * p * p]` back into a map `[N, C, H, W]` of size `[C, H, W]`; what [`patchify`] added is cut off.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if p is under 1, [`ErrorKind::Input`](crate::ErrorKind::Input) if the patches do
/// not make such a map.
pub fn unpatchify(patches: &Tensor, [c, h, w]: [i64; 3], patch_size: i64) -> Result<Tensor> {
    check::positive("patch_size", patch_size)?;
    let p = patch_size;
    let (rows, columns) = (ceil_div(h, p), ceil_div(w, p));
    let size = patches.size();
    let n = match size[..] {
        [n, t, width] if c.min(h).min(w) > 0 && t == rows * columns && width == c * p * p => n,
        _ => {
            let expected = format!("patches [N, {}, {}] for a map [N, {c}, {h}, {w}]", rows * columns, c * p * p);
            return Err(check::wrong("unpatchify", expected, format!("{size:?}")));
        }
    };
    let map = patches
        .reshape([n, rows, columns, c, p, p])
        .permute([0, 3, 1, 4, 2, 5]) // [N, C, rows, p, columns, p]
        .reshape([n, c, rows * p, columns * p]);
    Ok(map.narrow(2, 0, h).narrow(3, 0, w))
}

fn ceil_div(a: i64, b: i64) -> i64 {
    (a + b - 1) / b
}
