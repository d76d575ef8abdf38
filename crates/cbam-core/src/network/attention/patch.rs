//! Self-attention among the patches of a feature map.

use std::sync::{Arc, Mutex, PoisonError};

use ndarray::Array4;

use crate::attention::PatchAttentionConfig;
use crate::kernels::{Clamp, Heads, Map, Pointwise};
use crate::network::PatchPass;
use crate::network::parameters::Named;
use crate::{Error, Result};

/// LayerNorm's ε.
const EPS: f64 = 1e-5;

/// The positions of a grid of rows and columns.
type Positions = ([usize; 2], Arc<[f32]>);

/// `y = x + unpatchify(MultiHead(LayerNorm(patchify(x)) + positions))`.
#[derive(Debug)]
pub(super) struct PatchAttention {
    factor: Vec<f32>,
    offset: Vec<f32>,
    q: Pointwise,
    k: Pointwise,
    v: Pointwise,
    out: Pointwise,
    heads: usize,
    /// The side of a patch, in cells.
    side: usize,
    /// The positions of the last grid, most often the next one's too.
    positions: Mutex<Option<Positions>>,
}

impl PatchAttention {
    pub(super) fn new(p: &Named<'_>, channels: usize, config: &PatchAttentionConfig) -> Result<Self> {
        let positive = |name: &str, value: i64| {
            let found = usize::try_from(value).ok().filter(|value| *value > 0);
            found.ok_or_else(|| Error::argument(name, format!("must be at least 1, not {value}")))
        };
        let side = positive("patch_size", config.patch_size)?;
        let (heads, head) = (positive("heads", config.heads)?, positive("head_dim", config.head_dim)?);
        let product = |numbers: [usize; 3]| numbers.into_iter().try_fold(1, |product: usize, n| product.checked_mul(n));
        let (Some(width), Some(inner)) = (product([channels, side, side]), product([heads, head, 1])) else {
            return Err(Error::argument("patch", "channels × patch_size², or heads × head_dim, is too large"));
        };
        if width < 4 {
            return Err(Error::argument("channels", format!("a patch must hold at least 4 values, not {width}")));
        }
        let (norm, attention) = (p.at("norm"), p.at("attention"));
        let layer = |name: &str, shape: [usize; 2]| {
            Ok::<_, Error>(attention.at(name).layer(&shape, true)?.pointwise(Clamp::NONE))
        };
        Ok(Self {
            factor: norm.take("weight", &[width])?.into_owned(),
            offset: norm.take("bias", &[width])?.into_owned(),
            q: layer("q", [inner, width])?,
            k: layer("k", [inner, width])?,
            v: layer("v", [inner, width])?,
            out: layer("out", [width, inner])?,
            heads,
            side,
            positions: Mutex::new(None),
        })
    }

    pub(super) fn forward(&self, xs: Map) -> Result<(Map, PatchPass)> {
        let grid = [xs.height(), xs.width()].map(|cells| cells.div_ceil(self.side));
        let mut tokens = self.patchify(&xs, grid)?;
        self.normalise(&mut tokens, grid);
        let [query, key, value] = [&self.q, &self.k, &self.v].map(|layer| layer.forward(&tokens));
        let heads = Heads { query: &query, key: &key, value: &value, count: self.heads };
        let mut weights = vec![0.0; heads.weights()];
        let context = self.out.forward(&heads.attend(&mut weights));
        let count = grid[0] * grid[1];
        let weights =
            Array4::from_shape_vec((xs.images(), self.heads, count, count), weights).map_err(Error::internal)?;
        Ok((self.add(xs, context, grid)?, PatchPass { weights, grid }))
    }

    /// Tokens `[N, 1, T, width]`: as many cells as a patch has, channel by channel; beyond the end stands the nearest cell.
    fn patchify(&self, xs: &Map, [rows, columns]: [usize; 2]) -> Result<Map> {
        let ([images, height, width, channels], side) = (xs.shape(), self.side);
        if side == 1 {
            return Map::new([images, 1, height * width, channels], xs.numbers().to_vec());
        }
        Map::filled([images, 1, rows * columns, channels * side * side], |image, to| {
            let from = xs.image(image);
            for (patch, to) in to.chunks_exact_mut(channels * side * side).enumerate() {
                for cell in 0..side * side {
                    let y = (patch / columns * side + cell / side).min(height - 1);
                    let x = (patch % columns * side + cell % side).min(width - 1);
                    for (channel, value) in from[(y * width + x) * channels..][..channels].iter().enumerate() {
                        to[channel * side * side + cell] = *value;
                    }
                }
            }
            Ok(())
        })
    }

    /// The map with each patch's context added to its cells.
    fn add(&self, mut xs: Map, context: Map, [_, columns]: [usize; 2]) -> Result<Map> {
        let ([_, height, width, channels], side) = (xs.shape(), self.side);
        if side == 1 {
            return Ok(Map::new(xs.shape(), context.into_numbers())?.add(&xs, Clamp::NONE));
        }
        let all = channels * height * width;
        for (image, to) in xs.numbers_mut().chunks_exact_mut(all).enumerate() {
            let context = context.image(image);
            for (position, to) in to.chunks_exact_mut(channels).enumerate() {
                let (y, x) = (position / width, position % width);
                let from = (y / side * columns + x / side) * channels * side * side + y % side * side + x % side;
                for (channel, to) in to.iter_mut().enumerate() {
                    *to += context[from + channel * side * side];
                }
            }
        }
        Ok(xs)
    }

    /// LayerNorm of each token, and its position added.
    fn normalise(&self, tokens: &mut Map, grid: [usize; 2]) {
        let width = self.factor.len();
        let positions = self.positions(grid);
        let of_image = positions.len().max(1);
        for tokens in tokens.numbers_mut().chunks_exact_mut(of_image) {
            for (token, position) in tokens.chunks_exact_mut(width).zip(positions.chunks_exact(width)) {
                let mean = sum(token, |x| x) / width as f64;
                let variance = sum(token, |x| (x - mean) * (x - mean)) / width as f64;
                let (mean, share) = (mean as f32, (1.0 / (variance + EPS).sqrt()) as f32);
                for (((x, factor), offset), position) in
                    token.iter_mut().zip(&self.factor).zip(&self.offset).zip(position)
                {
                    *x = (*x - mean) * share * factor + offset + position;
                }
            }
        }
    }

    /// The sine-cosine positions of a grid's cells, `[T, width]`: with F = width / 4 frequencies `ω_i` = `10000^(-i / F)`, the cell at row
    /// r and column c has `[sin(r ω), cos(r ω), sin(c ω), cos(c ω)]`; what is left over stays 0.
    fn positions(&self, grid: [usize; 2]) -> Arc<[f32]> {
        let mut last = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, positions)) = &*last
            && *of == grid
        {
            return Arc::clone(positions);
        }
        let (width, frequencies) = (self.factor.len(), self.factor.len() / 4);
        let step = -(10_000_f64.ln()) / frequencies as f64;
        let omega: Vec<f64> = (0..frequencies).map(|i| (i as f64 * step).exp()).collect();
        let mut positions = vec![0f32; grid[0] * grid[1] * width];
        for (cell, to) in positions.chunks_exact_mut(width).enumerate() {
            for (part, index) in to.chunks_exact_mut(2 * frequencies).zip([cell / grid[1], cell % grid[1]]) {
                let (sines, cosines) = part.split_at_mut(frequencies);
                for ((sine, cosine), omega) in sines.iter_mut().zip(cosines).zip(&omega) {
                    let (s, c) = (index as f64 * omega).sin_cos();
                    (*sine, *cosine) = (s as f32, c as f32);
                }
            }
        }
        let positions: Arc<[f32]> = positions.into();
        *last = Some((grid, Arc::clone(&positions)));
        positions
    }
}

/// The sum of `term` over all, in as many parts as vector instructions can take at once.
fn sum(values: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let (parts, rest) = values.as_chunks::<8>();
    let mut lanes = [0f64; 8];
    for part in parts {
        lanes.iter_mut().zip(part).for_each(|(lane, x)| *lane += term(f64::from(*x)));
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|x| term(f64::from(*x))).sum::<f64>()
}
