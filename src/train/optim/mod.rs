//! Optimizers whose state can be saved.
//!
//! tch's own keep their moments where nothing can read them. These compute what `torch.optim` does (the tests compare
//! with it) and hand out their moments by name.
//!
//! | rule | paper |
//! |---|---|
//! | [`AdamW`] | Loshchilov & Hutter 2019, *Decoupled Weight Decay Regularization* |
//! | [`Sgd`] | with momentum, and Nesterov's as Sutskever et al. 2013 have it |

mod adamw;
mod clip;
mod ema;
mod sgd;

use std::collections::BTreeMap;

use tch::{Tensor, nn, no_grad};

pub use adamw::AdamW;
pub use clip::clip_norm;
pub use ema::Ema;
pub use sgd::Sgd;

use crate::{Error, Result};

/// How parameters are changed by their gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Stochastic gradient descent.
    Sgd(Sgd),
}

/// What sets some parameters apart from others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// What the learning rate is multiplied with.
    pub rate: f64,
    /// The weight decay: per step and unit of learning rate, the share of a parameter that is taken off (`AdamW`), or
    /// that is added to its gradient (`Sgd`).
    pub weight_decay: f64,
}

/// A parameter, to be put into a [`Group`].
#[derive(Debug, Clone, Copy)]
pub struct ParameterInfo<'a> {
    /// Its name in the store of variables.
    pub name: &'a str,
    /// How many axes it has; biases and the weights of a normalisation have one.
    pub axes: usize,
    /// Its group in the store, 0 unless a layer chose another.
    pub store_group: usize,
}

/// An optimizer of those variables that require a gradient.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    parameters: Vec<Parameter>, // by name
    /// Steps done.
    step: usize,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: Tensor,
    group: Group,
    /// As many as the rule has, of the value's shape; zeros at first.
    moments: Vec<Tensor>,
}

impl Optimizer {
    /// An optimizer of the variables of `store` that require a gradient now.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if there is none, [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch
    /// fails.
    pub fn new(store: &nn::VarStore, rule: Rule, group: impl Fn(ParameterInfo) -> Group) -> Result<Self> {
        let groups = store_groups(store)?;
        let mut variables: Vec<_> = store.variables().into_iter().filter(|(_, value)| value.requires_grad()).collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        if variables.is_empty() {
            return Err(Error::argument("optimizer", "no variable requires a gradient"));
        }
        let parameters = variables.into_iter().map(|(name, value)| {
            let store_group = groups.get(&value.data_ptr()).copied().unwrap_or(0);
            let info = ParameterInfo { name: &name, axes: value.dim(), store_group };
            let group = group(info);
            let moments = (0..rule.moments()).map(|_| value.detach().f_zeros_like()).collect::<Result<_, _>>()?;
            Ok(Parameter { name, value, group, moments })
        });
        Ok(Self { rule, parameters: parameters.collect::<Result<_>>()?, step: 0 })
    }

    /// The gradients of a loss by the parameters, in the order of [`Self::names`]; undefined for a parameter that the loss
    /// does not depend on. They are new tensors: nothing is added up from one step to the next.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the loss depends on nothing that requires a gradient,
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn gradients(&self, loss: &Tensor) -> Result<Vec<Tensor>> {
        // libtorch follows the graph of a loss without one to a null pointer, so ask first.
        if !loss.requires_grad() {
            return Err(Error::argument("optimizer", "the loss depends on no parameter"));
        }
        let values: Vec<&Tensor> = self.parameters.iter().map(|parameter| &parameter.value).collect();
        Ok(Tensor::f_run_backward(&[loss], &values, false, false)?)
    }

    /// Takes one step at this learning rate. A parameter whose gradient is undefined stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if there are not as many gradients as parameters,
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn step(&mut self, gradients: &[Tensor], rate: f64) -> Result<()> {
        if gradients.len() != self.parameters.len() {
            let message = format!("{} gradients for {} parameters", gradients.len(), self.parameters.len());
            return Err(Error::argument("optimizer", message));
        }
        self.step += 1;
        no_grad(|| {
            for (Parameter { value, group, moments, .. }, gradient) in self.parameters.iter_mut().zip(gradients) {
                if !gradient.defined() {
                    continue;
                }
                match &self.rule {
                    Rule::AdamW(rule) => rule.update(value, gradient, moments, *group, rate, self.step)?,
                    Rule::Sgd(rule) => rule.update(value, gradient, moments, *group, rate, self.step)?,
                }
            }
            Ok(())
        })
    }

    /// The names of the parameters, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|parameter| parameter.name.as_str())
    }

    /// The number of values that learn.
    pub fn len(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.value.numel()).sum()
    }

    /// Whether nothing learns.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many steps were taken.
    pub fn steps(&self) -> usize {
        self.step
    }

    /// The moments, named `0.PARAMETER`, `1.PARAMETER`; they share memory with the optimizer's own.
    pub fn moments(&self) -> BTreeMap<String, Tensor> {
        let of = |parameter: &Parameter| {
            let named = parameter.moments.iter().enumerate();
            named.map(|(i, moment)| (format!("{i}.{}", parameter.name), moment.shallow_clone())).collect::<Vec<_>>()
        };
        self.parameters.iter().flat_map(of).collect()
    }

    /// Goes on from moments that [`Self::moments`] gave out after `step` steps.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if they are not those of these parameters.
    pub fn restore(&mut self, moments: &BTreeMap<String, Tensor>, step: usize) -> Result<()> {
        let own = self.moments();
        if own.len() != moments.len() {
            let message = format!("{} moments, where this optimizer has {}", moments.len(), own.len());
            return Err(Error::argument("optimizer", message));
        }
        for (name, mut moment) in own {
            let saved = moments.get(&name).filter(|saved| saved.size() == moment.size());
            let saved = saved.ok_or_else(|| Error::argument("optimizer", format!("no moment {name} that fits")))?;
            no_grad(|| moment.f_copy_(saved))?;
        }
        self.step = step;
        Ok(())
    }
}

impl Rule {
    fn moments(&self) -> usize {
        match self {
            Self::AdamW(_) => 2,
            Self::Sgd(sgd) => usize::from(sgd.momentum != 0.0),
        }
    }
}

/// The store's group of each of its trainable variables, by the place of their memory: the store does not name them.
fn store_groups(store: &nn::VarStore) -> Result<BTreeMap<*mut std::ffi::c_void, usize>> {
    let variables = store.variables_.lock();
    let variables = variables.map_err(|_| Error::internal("another thread died while it held the variables"))?;
    Ok(variables.trainable_variables.iter().map(|variable| (variable.tensor.data_ptr(), variable.group)).collect())
}
