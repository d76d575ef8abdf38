//! Filling in the missing pixels of a picture from those around them, ROAD's linear imputation.
//!
//! Each missing pixel is the weighted mean of its eight neighbours on the picture, 1/6 for those at its sides and 1/12
//! for those at its corners; missing neighbours count with their own filled-in values. That is one sparse symmetric
//! positive definite system for the whole picture, solved here by conjugate gradients.

use ndarray::{Array2, Array3, ArrayView3, Axis};

use crate::{Error, Result};

/// The squared residual of a pixel, in normalised units, at which a solution is exact enough: an error that large
/// grows with the square of a hole's width.
const TOLERANCE: f64 = 1e-15;
/// More steps than any picture of a network's size needs.
const MOST_STEPS: usize = 2000;
const SIDE: f64 = 1.0 / 6.0;
const CORNER: f64 = 1.0 / 12.0;

/// The picture `[C, H, W]` with its pixels that are not `known`, `[H, W]`, filled in; known pixels stay as they are.
///
/// # Errors
/// If no pixel is known, or the shapes differ.
pub fn impute(pixels: ArrayView3<'_, f32>, known: &Array2<bool>) -> Result<Array3<f32>> {
    let (_, height, width) = pixels.dim();
    if known.dim() != (height, width) || !known.iter().any(|known| *known) {
        let expected = format!("a picture of {height}×{width} of which a pixel is known");
        return Err(Error::Input { layer: "impute", expected, got: format!("{:?}", known.dim()) });
    }
    let system = System::new(known);
    let mut out = pixels.to_owned();
    let known: Vec<bool> = known.iter().copied().collect();
    for mut channel in out.axis_iter_mut(Axis(0)) {
        let values: Vec<f64> = channel.iter().map(|value| f64::from(*value)).collect();
        let start = pull(&values, &known, width);
        let solution = system.solve(&values, &start);
        for (place, value) in system.missing.iter().zip(solution) {
            channel[[*place as usize / width, *place as usize % width]] = value as f32;
        }
    }
    Ok(out)
}

/// The equations of the missing pixels.
struct System {
    /// Their places in row order.
    missing: Vec<u32>,
    /// For each, the sum of the weights of its neighbours on the picture.
    diagonal: Vec<f64>,
    /// For each, its missing neighbours by their number in `missing`: four at the sides, four at the corners; the number
    /// of missing pixels stands for none.
    near: Vec<[u32; 8]>,
    /// For each, its known neighbours by their place, and their weights.
    from: Vec<Vec<(u32, f64)>>,
}

impl System {
    fn new(known: &Array2<bool>) -> Self {
        const NEAR: [(i64, i64); 8] = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)];
        let (height, width) = known.dim();
        let places = known.iter().enumerate().filter(|(_, known)| !**known).map(|(place, _)| place as u32);
        let missing: Vec<u32> = places.collect();
        let none = missing.len() as u32;
        let mut numbers = vec![none; height * width];
        for (number, place) in (0..).zip(&missing) {
            numbers[*place as usize] = number;
        }
        let mut diagonal = Vec::with_capacity(missing.len());
        let mut near = vec![[none; 8]; missing.len()];
        let mut from = vec![Vec::new(); missing.len()];
        for (number, place) in missing.iter().enumerate() {
            let (y, x) = (i64::from(*place) / width as i64, i64::from(*place) % width as i64);
            let mut sum = 0.0;
            for (side, (down, right)) in NEAR.into_iter().enumerate() {
                let (y, x) = (y + down, x + right);
                if !(0..height as i64).contains(&y) || !(0..width as i64).contains(&x) {
                    continue;
                }
                let (place, weight) = (y as usize * width + x as usize, if side < 4 { SIDE } else { CORNER });
                sum += weight;
                match numbers[place] {
                    known if known == none => from[number].push((place as u32, weight)),
                    other => near[number][side] = other,
                }
            }
            diagonal.push(sum);
        }
        Self { missing, diagonal, near, from }
    }

    /// `A x`; `x` has a 0 after its last number, for neighbours that are none.
    fn apply(&self, x: &[f64], out: &mut [f64]) {
        for (i, (out, near)) in out.iter_mut().zip(&self.near).enumerate() {
            let [a, b, c, d, e, f, g, h] = near.map(|near| x[near as usize]);
            *out = self.diagonal[i] * x[i] - SIDE * (a + b + c + d) - CORNER * (e + f + g + h);
        }
    }

    /// The values of the missing pixels of a channel, from a `start` (both by place).
    fn solve(&self, values: &[f64], start: &[f64]) -> Vec<f64> {
        let count = self.missing.len();
        let mut x: Vec<f64> = self.missing.iter().map(|place| start[*place as usize]).chain([0.0]).collect();
        let mut applied = vec![0.0; count];
        self.apply(&x, &mut applied);
        let wanted =
            |i: usize| self.from[i].iter().map(|(place, weight)| weight * values[*place as usize]).sum::<f64>();
        let mut residual: Vec<f64> = (0..count).map(|i| wanted(i) - applied[i]).collect();
        // The diagonal hardly varies, so it is no use as a preconditioner.
        let mut direction: Vec<f64> = residual.iter().copied().chain([0.0]).collect();
        let mut left: f64 = residual.iter().map(|r| r * r).sum();
        for _ in 0..MOST_STEPS {
            if left <= TOLERANCE * count as f64 {
                break;
            }
            self.apply(&direction, &mut applied);
            let bent: f64 = direction.iter().zip(&applied).map(|(d, a)| d * a).sum();
            let step = left / bent;
            x.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&applied).for_each(|(r, a)| *r -= step * a);
            let next: f64 = residual.iter().map(|r| r * r).sum();
            let turn = next / left;
            direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + turn * *d);
            left = next;
        }
        x.truncate(count);
        x
    }
}

/// A first guess: a missing pixel takes the mean of the known ones in the smallest block of 2, 4, 8 … pixels a side that
/// has any.
fn pull(values: &[f64], known: &[bool], width: usize) -> Vec<f64> {
    if known.iter().all(|known| *known) {
        return values.to_vec();
    }
    let height = values.len() / width;
    let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
    let mut sums = vec![(0.0, 0u32); rows * columns];
    for (place, (value, known)) in values.iter().zip(known).enumerate() {
        if *known {
            let block = &mut sums[place / width / 2 * columns + place % width / 2];
            *block = (block.0 + value, block.1 + 1);
        }
    }
    let means: Vec<f64> = sums.iter().map(|(sum, count)| sum / f64::from(*count).max(1.0)).collect();
    let any: Vec<bool> = sums.iter().map(|(_, count)| *count > 0).collect();
    let coarse = pull(&means, &any, columns);
    let at = |place: usize| coarse[place / width / 2 * columns + place % width / 2];
    values
        .iter()
        .zip(known)
        .enumerate()
        .map(|(place, (value, known))| if *known { *value } else { at(place) })
        .collect()
}
