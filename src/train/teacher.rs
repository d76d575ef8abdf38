//! What the plain network, and others beside it, say about a picture, and where their evidence lies: the target of the
//! attention.

use ndarray::{Array2, ArrayView2, Axis, Ix4, stack};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::views::Placement;
use crate::explain::projection;
use crate::host::{to_host, to_tensor};
use crate::network::Network;
use crate::photo::{ImageSize, Preprocess};
use crate::{Error, ErrorKind, Result};

/// How much narrower than the evidence its target is: the power to which it is raised.
const SHARPNESS: f64 = 1.5;
/// How much larger than the network's own size its second look at a picture is.
const CLOSER: f64 = 10.0 / 7.0;
/// What the mean of several networks' log-probabilities is multiplied with: a mean is less confident than each of them.
const CONSENSUS_SHARPNESS: f64 = 1.2;

const NO_CLASS_ACTIVATION: &str = "its classifier is not linear in the features that it pools, as VGG's is not, and \
    the targets are class activation maps, which need that; train it with labels";

/// How a look sees a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framing {
    pub(super) size: ImageSize,
    pub(super) mirrored: bool,
}

/// One look at a clean picture.
pub(super) struct Look<'a> {
    pub(super) network: &'a Network,
    pub(super) framing: Framing,
    /// Whether its answer counts, and not its evidence alone.
    pub(super) answers: bool,
}

/// The looks at a picture that `network` sees at `size`: its own first, then a closer one, mirrored, whose answer does
/// not count; then each of the `others` at a size of its own, every second one mirrored.
pub(super) fn looks<'a>(network: &'a Network, others: &'a [Network], size: ImageSize) -> Vec<Look<'a>> {
    let short_side = (f64::from(size.short_side()) * CLOSER).round() as u32;
    let closer = Preprocess { short_side, ..network.config().preprocess() }.network_size(size);
    let others = others.iter().enumerate().map(|(index, network)| {
        let size = network.config().preprocess().network_size(size);
        Look { network, framing: Framing { size, mirrored: index % 2 == 1 }, answers: true }
    });
    let own = Look { network, framing: Framing { size, mirrored: false }, answers: true };
    let closer = Look { network, framing: Framing { size: closer, mirrored: true }, answers: false };
    [own, closer].into_iter().chain(others).collect()
}

/// A network's answer to a batch, without its attention.
pub(super) struct Lesson {
    /// Log-probabilities, `[N, classes]`.
    pub(super) log_probabilities: Tensor,
    /// Where its evidence lies, `[N, h, w]`, at least 0: the class activation map of the three likeliest classes, each
    /// as likely as it is, and Eigen-CAM of the last stage and, at half the weight, of the head.
    pub(super) evidence: Tensor,
}

/// Runs the plain network on from the features behind its [trunk](Network::trunk).
pub(super) fn teach(network: &Network, features: &Tensor) -> Result<Lesson> {
    let (backbone, stages) = (network.backbone(), network.trunk_stages());
    let last =
        (stages..backbone.stages().len()).fold(features.shallow_clone(), |xs, index| backbone.stage(index, &xs, false));
    let head = backbone.head(&last, false);
    let logits = backbone.classify(&head, false);
    let log_probabilities = logits.f_log_softmax(-1, Kind::Float)?;
    let (batch, channels, height, width) = head.size4()?;
    let count = 3.min(logits.size()[1]);
    let (likely, top) = log_probabilities.f_exp()?.f_topk(count, -1, true, true)?;
    let weights = backbone.classifier_weight().ok_or_else(|| Error::argument("backbone", NO_CLASS_ACTIVATION))?;
    let weights = weights.f_index_select(0, &top.f_view([-1])?)?.f_view([batch, count, -1])?;
    let activation = weights.f_bmm(&head.f_reshape([batch, channels, -1])?)?.f_relu()?; // [N, 3, h·w]
    let activation = likely.f_unsqueeze(1)?.f_bmm(&activation)?.f_squeeze_dim(1)?;
    let evidence = unit_range(&activation)? + eigen_cam(&last)? + eigen_cam(&head)? * 0.5;
    Ok(Lesson { log_probabilities, evidence: evidence.f_view([batch, height, width])? })
}

/// Eigen-CAM of each picture's features `[N, C, h, w]`, scaled from 0 to 1: `[N, h·w]`.
fn eigen_cam(features: &Tensor) -> Result<Tensor> {
    let pictures = to_host::<Ix4>(features)?;
    let maps = (0..pictures.len_of(Axis(0))).into_par_iter();
    let maps = maps.map(|picture| projection(pictures.index_axis(Axis(0), picture)));
    let maps = maps.collect::<Result<Vec<_>, ErrorKind>>()?;
    let views: Vec<_> = maps.iter().map(Array2::view).collect();
    let maps = stack(Axis(0), &views).map_err(Error::internal)?;
    unit_range(&to_tensor(maps.view())?.f_to_device(features.device())?.f_relu()?.f_flatten(1, 2)?)
}

/// What all answers together say: their geometric mean, sharpened, `[N, classes]`. One answer stays as it is.
pub(super) fn consensus(log_probabilities: &[Tensor]) -> Result<Tensor> {
    if let [only] = log_probabilities {
        return Ok(only.shallow_clone());
    }
    let mean = Tensor::f_stack(log_probabilities, 0)?.f_mean_dim([0i64].as_slice(), false, Kind::Float)?;
    Ok((mean * CONSENSUS_SHARPNESS).f_log_softmax(-1, Kind::Float)?)
}

/// The target of a batch from several looks at it, each the evidence on its own grid, `[N, h, w]`, and whether it saw the
/// batch mirrored: `[N, rows, columns]`, each from 0 to 1.
pub(super) fn agree(evidence: &[(Tensor, bool)], (rows, columns): (usize, usize)) -> Result<Tensor> {
    let size = [rows as i64, columns as i64];
    let on_grid = |(look, mirrored): &(Tensor, bool)| -> Result<Tensor> {
        let look = if *mirrored { look.f_flip([2])? } else { look.shallow_clone() };
        Ok(look.f_unsqueeze(1)?.f_upsample_bilinear2d(size, false, None, None)?) // [N, 1, rows, columns]
    };
    let looks = evidence.iter().map(on_grid).collect::<Result<Vec<_>>>()?;
    let sum = Tensor::f_cat(&looks, 1)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
    let target = unit_range(&sum.f_flatten(1, 2)?)?.f_pow_tensor_scalar(SHARPNESS)?;
    Ok(target.f_view([-1, size[0], size[1]])?)
}

/// Each row of `[N, positions]` scaled from 0 to 1.
fn unit_range(rows: &Tensor) -> Result<Tensor> {
    let low = rows.f_amin([1i64].as_slice(), true)?;
    let span = (rows.f_amax([1i64].as_slice(), true)? - &low).f_clamp_min(1e-6)?;
    Ok((rows - low) / span)
}

/// The evidence of a clean picture moved to where a view shows it, on a grid of rows and columns: zero outside the
/// pasted picture and under what hides it.
pub(super) fn moved(evidence: ArrayView2<f32>, placement: &Placement, grid: (usize, usize)) -> Array2<f32> {
    Array2::from_shape_fn(grid, |(row, column)| {
        let (x, y) = ((column as f32 + 0.5) / grid.1 as f32, (row as f32 + 0.5) / grid.0 as f32);
        let hidden = |[left, top, right, bottom]: [f32; 4]| (left..right).contains(&x) && (top..bottom).contains(&y);
        if placement.occluder.is_some_and(hidden) {
            return 0.0;
        }
        let (mut u, v) = ((x - placement.left) / placement.side, (y - placement.top) / placement.side);
        if !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
            return 0.0;
        }
        if placement.flipped {
            u = 1.0 - u;
        }
        bilinear(evidence, u, v)
    })
}

/// The value of a map at fractions of its width and height, between cell centres, the border's cells reaching outwards.
fn bilinear(map: ArrayView2<f32>, u: f32, v: f32) -> f32 {
    let (rows, columns) = map.dim();
    let place = |fraction: f32, count: usize| {
        let position = (fraction * count as f32 - 0.5).clamp(0.0, (count - 1) as f32);
        let low = position as usize;
        (low, (low + 1).min(count - 1), position - low as f32)
    };
    let ((x0, x1, dx), (y0, y1, dy)) = (place(u, columns), place(v, rows));
    let along = |y: usize| map[[y, x0]] * (1.0 - dx) + map[[y, x1]] * dx;
    along(y0) * (1.0 - dy) + along(y1) * dy
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn evidence_moves_with_the_picture() {
        let evidence = array![[1.0, 0.0], [0.0, 0.0]];
        let placed = Placement { left: 0.5, top: 0.5, side: 0.5, flipped: false, occluder: None };
        let (grid, half) = ((8, 8), 4);
        let map = moved(evidence.view(), &placed, grid);
        assert_eq!(map[[half, half]], 1.0);
        assert_eq!(map.slice(ndarray::s![..half, ..]).sum(), 0.0);
        let flipped = moved(evidence.view(), &Placement { flipped: true, ..placed }, grid);
        assert_eq!(flipped[[half, 7]], 1.0);
        assert_eq!(flipped[[half, half]], 0.0);
        let hidden = moved(evidence.view(), &Placement { occluder: Some([0.5, 0.5, 0.75, 0.75]), ..placed }, grid);
        assert_eq!(hidden[[half, half]], 0.0);
        assert!(hidden.sum() < map.sum());
    }

    #[test]
    fn two_looks_agree_where_both_see_it() {
        let look = |columns: i64, column: i64| {
            let map = Tensor::zeros([1, 2, columns], (Kind::Float, tch::Device::Cpu));
            let _ = map.get(0).get(1).get(column).fill_(3.0);
            map
        };
        // The second look is mirrored, and finer.
        let target = agree(&[(look(3, 2), false), (look(6, 0), true)], (8, 12)).unwrap();
        assert_eq!(target.size(), [1, 8, 12]);
        assert_eq!(target.argmax(-1, false).get(0).int64_value(&[7]), 11);
        assert_eq!([target.min(), target.max()].map(|value| value.double_value(&[])), [0.0, 1.0]);
    }

    #[test]
    fn several_answers_have_a_sharpened_geometric_mean() {
        let answer = |first: f32| Tensor::from_slice(&[first, 1.0 - first]).view([1, 2]).log();
        assert!(consensus(&[answer(0.8)]).unwrap().equal(&answer(0.8)));
        // √(0.8 · 0.5) : √(0.2 · 0.5) = 2, to the power 1.2.
        let odds = 2f64.powf(CONSENSUS_SHARPNESS);
        let both = consensus(&[answer(0.8), answer(0.5)]).unwrap().exp();
        assert!((both.double_value(&[0, 0]) - odds / (1.0 + odds)).abs() < 1e-6);
    }
}
