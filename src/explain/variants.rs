//! What the methods that run the network many times have in common: variants of one picture, in batches.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::{ExplainOptions, base::shape};
use crate::network::Outputs;
use crate::{Error, Result};

/// The most pixels in a batch of more than one variant.
const MAX_PIXELS: i64 = 1 << 21;

/// Told how many steps are done, of how many; says whether to go on.
pub(super) type GoOn<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// One picture, a class, and the network that scores the picture's variants.
pub(crate) struct Subject<'a> {
    /// `[1, 3, H, W]`.
    pub(crate) pixels: &'a Tensor,
    pub(crate) class: i64,
    /// Pictures `[N, 3, H, W]` to the network's numbers for its classes, `[N, classes]`.
    pub(crate) classify: &'a dyn Fn(&Tensor) -> Result<Tensor>,
    /// What these numbers are.
    pub(crate) outputs: Outputs,
    pub(crate) options: &'a ExplainOptions,
}

impl Subject<'_> {
    /// The sides of the picture, `[H, W]`.
    pub(super) fn sides(&self) -> Result<[i64; 2]> {
        shape(self.pixels).map(|[_, _, height, width]| [height, width])
    }

    /// Calls `step` for each batch out of `total` variants, in their order, without gradients.
    pub(super) fn in_batches(
        &self,
        total: usize,
        go_on: &mut GoOn<'_>,
        mut step: impl FnMut(Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let [height, width] = self.sides()?;
        let fitting = (MAX_PIXELS / (height * width)).max(1) as usize;
        tch::no_grad(|| {
            for start in (0..total).step_by(self.options.batch.min(fitting)) {
                if !go_on(start, total) {
                    return Err(Error::Interrupted);
                }
                step(start..(start + self.options.batch.min(fitting)).min(total))?;
            }
            if go_on(total, total) { Ok(()) } else { Err(Error::Interrupted) }
        })
    }

    /// The scores of the class from the network's numbers `[N, classes]`: `[N]`, on the host.
    pub(super) fn scores(&self, numbers: &Tensor) -> Result<Vec<f32>> {
        self.of_class(&self.outputs.scores(numbers)?)
    }

    fn of_class(&self, values: &Tensor) -> Result<Vec<f32>> {
        let values = values.f_select(1, self.class)?.f_to_kind(Kind::Float)?;
        Ok(Vec::try_from(values.f_to_device(tch::Device::Cpu)?.f_contiguous()?)?)
    }

    /// The probabilities of the class for pictures `[N, 3, H, W]`: `[N]`, on the host.
    pub(super) fn probabilities(&self, pixels: &Tensor) -> Result<Vec<f32>> {
        self.of_class(&self.outputs.probabilities(&(self.classify)(pixels)?)?)
    }
}
