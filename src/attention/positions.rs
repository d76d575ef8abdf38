//! Sine-cosine positions (Vaswani et al. 2017, section 3.5) on the two axes of a grid.

use tch::{Device, Kind, Tensor};

use super::check;
use crate::{Error, Result};

/// The positions of a grid's cells in row-major order, `[rows * columns, dim]`.
///
/// With F = `dim` / 4 frequencies `ω_i = 10000^(-i/F)`, the cell at row r and column c gets
/// `[sin(r ω), cos(r ω), sin(c ω), cos(c ω)]`, F values each; what `dim` has over 4·F stays 0. Computed in f32 (f64 for f64), then cast to `kind`.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a side is under 1 or `dim` under 4.
pub fn sine_cosine_2d(rows: i64, columns: i64, dim: i64, (kind, device): (Kind, Device)) -> Result<Tensor> {
    check::positive("rows", rows)?;
    check::positive("columns", columns)?;
    let frequencies = dim / 4;
    if frequencies < 1 {
        return Err(Error::argument("dim", format!("must be at least 4, not {dim}")));
    }
    let exact = (if kind == Kind::Double { Kind::Double } else { Kind::Float }, device);
    let omega = (Tensor::f_arange(frequencies, exact)? * (-(10_000_f64.ln()) / frequencies as f64)).exp();
    let axis = |length: i64| -> Result<Tensor> {
        let angles = Tensor::f_arange(length, exact)?.outer(&omega); // [length, F]
        Ok(Tensor::cat(&[angles.sin(), angles.cos()], 1)) // [length, 2F]
    };
    let row = axis(rows)?.unsqueeze(1).expand([rows, columns, 2 * frequencies], false);
    let column = axis(columns)?.unsqueeze(0).expand([rows, columns, 2 * frequencies], false);
    let rest = Tensor::zeros([rows, columns, dim - 4 * frequencies], exact);
    Ok(Tensor::cat(&[row, column, rest], 2).flatten(0, 1).to_kind(kind))
}
