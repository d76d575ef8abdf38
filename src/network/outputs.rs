//! What the numbers are that a network gives out for its classes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::run::to_host;
use crate::{Error, Result};

/// How far a probability may lie outside `[0, 1]` for rounding.
const ROUNDING: f64 = 1e-5;
/// What is wrong with a number that is not finite.
const NOT_FINITE: &str = "not finite, and no probability follows from it: the weights, or what the network makes of this picture, \
                          are beyond the range of its numbers";
/// What is wrong with a number that should be a probability.
const NO_PROBABILITY: &str =
    "no probability; say what the outputs are: softmax (one class is right) or sigmoid (each class by itself)";
/// The least distance of a probability from 0 and 1 for its score.
const LEAST: f64 = 1e-7;

/// What the numbers are that a network gives out for its classes, and so what makes probabilities of them.
///
/// A network that gives out one number has two answers: class 1 is what the number says, class 0 is what is left, and their
/// probabilities sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outputs {
    /// `softmax`: scores of classes of which one is right; a softmax makes probabilities of them, which sum to 1.
    #[default]
    Softmax,
    /// `sigmoid`: a score for each class by itself, of which any number may be right; a sigmoid makes a probability of each.
    Sigmoid,
    /// `probabilities`: the network gives out probabilities, each in `[0, 1]`, which stay as they are.
    Probabilities,
}

impl Outputs {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Softmax, Self::Sigmoid, Self::Probabilities];

    /// Its name, such as `softmax`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::Probabilities => "probabilities",
        }
    }

    /// How many answers a network has that gives out so many numbers: two for a single number.
    pub const fn answers(numbers: i64) -> i64 {
        if numbers == 1 { 2 } else { numbers }
    }

    /// What these numbers are taken for if nobody says: a softmax over a single class is always 1, so one number is a
    /// sigmoid's.
    pub(crate) fn of_logits(self, numbers: i64) -> Self {
        if numbers == 1 && self == Self::Softmax { Self::Sigmoid } else { self }
    }

    /// Whether a network with so many numbers can give them out in this sense.
    ///
    /// # Errors
    /// [`Error::Argument`] for a softmax over one class.
    pub(crate) fn check(self, numbers: i64) -> Result<()> {
        if numbers == 1 && self == Self::Softmax {
            let message =
                "softmax is 1 for every picture of a network with one output; choose sigmoid or probabilities";
            return Err(Error::argument("outputs", message));
        }
        Ok(())
    }

    /// The scores of the answers from the numbers `[N, numbers]`: `[N, answers]`, higher for what is likelier and without
    /// bounds. They are what gradients are taken of: the logits, or the log-odds of probabilities.
    ///
    /// # Errors
    /// [`Error::Torch`] if libtorch fails.
    pub fn scores(self, numbers: &Tensor) -> Result<Tensor> {
        let scores = match self {
            Self::Softmax | Self::Sigmoid => numbers.shallow_clone(),
            Self::Probabilities => numbers.f_to_kind(Kind::Float)?.f_logit(LEAST)?,
        };
        if numbers.size().last() != Some(&1) {
            return Ok(scores);
        }
        Ok(Tensor::f_cat(&[&scores.f_neg()?, &scores], -1)?)
    }

    /// The probabilities of the answers from the numbers `[N, numbers]`: `[N, answers]`, in f32.
    ///
    /// # Errors
    /// [`Error::Argument`] with the first number that is infinite or not a number, or that is no probability where it
    /// should be one.
    pub fn probabilities(self, numbers: &Tensor) -> Result<Tensor> {
        let numbers = numbers.f_to_kind(Kind::Float)?;
        // Their sum is finite if all are, but for numbers that no network gives out.
        let finite = numbers.f_sum(Kind::Float)?.f_double_value(&[])?.is_finite();
        if !finite && numbers.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return Err(wrong(&numbers, |number| !number.is_finite(), NOT_FINITE));
        }
        let probabilities = match self {
            Self::Softmax => return Ok(numbers.f_softmax(-1, Kind::Float)?),
            Self::Sigmoid => numbers.f_sigmoid()?,
            Self::Probabilities => in_range(&numbers)?,
        };
        if numbers.size().last() != Some(&1) {
            return Ok(probabilities);
        }
        // The sigmoid of the negated score, which keeps small numbers exact.
        let rest = if self == Self::Sigmoid { numbers.f_neg()?.f_sigmoid()? } else { 1.0 - &probabilities };
        Ok(Tensor::f_cat(&[&rest, &probabilities], -1)?)
    }
}

/// Probabilities, without what rounding put beyond 0 and 1.
fn in_range(numbers: &Tensor) -> Result<Tensor> {
    if numbers.numel() > 0 {
        let (low, high) = (numbers.f_min()?.f_double_value(&[])?, numbers.f_max()?.f_double_value(&[])?);
        if low < -ROUNDING || high > 1.0 + ROUNDING {
            let beyond = |number: f32| !(-ROUNDING..=1.0 + ROUNDING).contains(&f64::from(number));
            return Err(wrong(numbers, beyond, NO_PROBABILITY));
        }
    }
    Ok(numbers.f_clamp(0.0, 1.0)?)
}

/// The error about the first number that is wrong.
fn wrong(numbers: &Tensor, is_wrong: impl Fn(f32) -> bool, what: &str) -> Error {
    let found = to_host::<ndarray::Ix2>(numbers).ok().and_then(|numbers| {
        let mut found = numbers.indexed_iter().filter(|(_, number)| is_wrong(**number));
        found.next().map(|((_, class), number)| (class, *number))
    });
    let message =
        found.map_or_else(|| what.to_owned(), |(class, number)| format!("{number} for class {class} is {what}"));
    Error::argument("the network's output", message)
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Outputs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|outputs| outputs.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::argument("outputs", format!("{text:?} is none of {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        let rows = to_host::<ndarray::Ix2>(tensor).unwrap();
        rows.outer_iter().map(|row| row.to_vec()).collect()
    }

    fn numbers(values: &[&[f32]]) -> Tensor {
        Tensor::from_slice(&values.concat()).view([values.len() as i64, -1])
    }

    #[test]
    fn each_kind_makes_its_probabilities() {
        let logits = numbers(&[&[0.9, -2.0, 3.0]]);
        let sum: f32 = rows(&Outputs::Softmax.probabilities(&logits).unwrap())[0].iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
        let each = rows(&Outputs::Sigmoid.probabilities(&logits).unwrap());
        for (p, expected) in each[0].iter().zip([0.710_949_5, 0.119_202_92, 0.952_574_13]) {
            assert!((p - expected).abs() < 1e-6, "{p}");
        }
        let given = numbers(&[&[0.954, 0.306, 0.959]]);
        assert_eq!(rows(&Outputs::Probabilities.probabilities(&given).unwrap()), [[0.954, 0.306, 0.959]]);
        let rounded = numbers(&[&[1.000_001, -1e-7]]);
        assert_eq!(rows(&Outputs::Probabilities.probabilities(&rounded).unwrap()), [[1.0, 0.0]]);
        for outputs in Outputs::ALL {
            assert_eq!(
                outputs.probabilities(&Tensor::zeros([2, 0], (Kind::Float, tch::Device::Cpu))).unwrap().size(),
                [2, 0]
            );
        }
    }

    #[test]
    fn one_number_has_two_answers() {
        let one = rows(&Outputs::Sigmoid.probabilities(&numbers(&[&[0.9], &[-40.0]])).unwrap());
        assert!((one[0][1] - 0.710_949_5).abs() < 1e-6 && (one[0][0] + one[0][1] - 1.0).abs() < 1e-6);
        assert!(one[1][1] > 0.0 && one[1][0] == 1.0, "{one:?}");
        assert_eq!(rows(&Outputs::Sigmoid.scores(&numbers(&[&[0.9]])).unwrap()), [[-0.9, 0.9]]);
        assert_eq!(rows(&Outputs::Probabilities.probabilities(&numbers(&[&[0.25]])).unwrap()), [[0.75, 0.25]]);
        // The score of a sigmoid's probability is its logit.
        let back = rows(
            &Outputs::Probabilities
                .scores(&Outputs::Sigmoid.probabilities(&numbers(&[&[0.9, -2.0]])).unwrap())
                .unwrap(),
        );
        assert!((back[0][0] - 0.9).abs() < 1e-5 && (back[0][1] + 2.0).abs() < 1e-5, "{back:?}");
        assert_eq!(Outputs::Softmax.of_logits(1), Outputs::Sigmoid);
        assert_eq!(Outputs::Softmax.of_logits(2), Outputs::Softmax);
        assert!(Outputs::Softmax.check(1).is_err() && Outputs::Sigmoid.check(1).is_ok());
    }

    #[test]
    fn what_is_no_probability_is_an_error() {
        for outputs in Outputs::ALL {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let message = outputs.probabilities(&numbers(&[&[0.1, 0.2], &[0.3, bad]])).unwrap_err().to_string();
                assert!(message.contains("class 1") && message.contains("not finite"), "{message}");
            }
        }
        for bad in [-0.1, 1.2] {
            let message = Outputs::Probabilities.probabilities(&numbers(&[&[bad, 0.2]])).unwrap_err().to_string();
            assert!(message.contains("class 0") && message.contains("sigmoid"), "{message}");
        }
    }

    #[test]
    fn kinds_have_their_names() {
        for outputs in Outputs::ALL {
            assert_eq!(outputs.to_string().parse::<Outputs>().unwrap(), outputs);
            assert_eq!(serde_json::to_string(&outputs).unwrap(), format!("{:?}", outputs.name()));
        }
        assert!("tanh".parse::<Outputs>().unwrap_err().to_string().contains("softmax, sigmoid, probabilities"));
    }
}
