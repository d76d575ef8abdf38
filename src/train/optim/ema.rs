//! A moving average of the weights: steadier than the weights themselves (Polyak & Juditsky 1992).

use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use crate::{Error, Result};

/// An exponential moving average of variables.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    /// The variable, and its average.
    pairs: BTreeMap<String, [Tensor; 2]>,
}

impl Ema {
    /// Begins at the variables' values; `decay`, in `[0, 1)`, is how much of the average each step keeps, and less at first:
    /// `(1 + t) / (10 + t)` at step `t`, so that a short training does not end with its beginning.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `decay` is out of range, [`ErrorKind::Torch`](crate::ErrorKind::Torch) if
    /// libtorch fails.
    pub fn new(variables: impl IntoIterator<Item = (String, Tensor)>, decay: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::argument("ema", format!("{decay} is not in 0..1")));
        }
        let pair = |(name, value): (String, Tensor)| -> Result<_> {
            let average = no_grad(|| copy(&value))?;
            Ok((name, [value, average]))
        };
        Ok(Self { decay, pairs: variables.into_iter().map(pair).collect::<Result<_>>()? })
    }

    /// Takes in the values after step `step`, counted from 1.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn update(&mut self, step: usize) -> Result<()> {
        let decay = self.decay.min((1 + step) as f64 / (10 + step) as f64);
        no_grad(|| {
            for [value, average] in self.pairs.values_mut() {
                let _ = average.f_lerp_(value, 1.0 - decay)?;
            }
            Ok(())
        })
    }

    /// Puts the averages in the variables' place, and the variables in the averages': twice, and all is as before.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn swap(&mut self) -> Result<()> {
        no_grad(|| {
            for [value, average] in self.pairs.values_mut() {
                let kept = copy(value)?;
                value.f_copy_(average)?;
                average.f_copy_(&kept)?;
            }
            Ok(())
        })
    }

    /// The averages by the variables' names; they share memory with this.
    pub fn averages(&self) -> BTreeMap<String, Tensor> {
        self.pairs.iter().map(|(name, [_, average])| (name.clone(), average.shallow_clone())).collect()
    }
}

fn copy(value: &Tensor) -> Result<Tensor> {
    let mut copy = value.detach().f_empty_like()?;
    copy.f_copy_(value)?;
    Ok(copy)
}
