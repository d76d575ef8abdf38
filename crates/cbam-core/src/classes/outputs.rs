//! What the numbers are that a network gives out for its classes.

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use serde::{Deserialize, Serialize};

use crate::text::named;
use crate::{Error, Result};

/// How far a probability may lie outside `[0, 1]` for rounding.
const ROUNDING: f32 = 1e-5;
/// What is wrong with a number that is not finite.
const NOT_FINITE: &str = "not finite, and no probability follows from it: the weights, or what the network makes of this picture, \
                          are beyond the range of its numbers";
/// What is wrong with a number that should be a probability.
const NO_PROBABILITY: &str =
    "no probability; say what the outputs are: softmax (one class is right) or sigmoid (each class by itself)";
/// The least distance of a probability from 0 and 1 for its score.
const LEAST: f32 = 1e-7;

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
    /// `score`: a number that somebody named ([`Score`](crate::graph::Score)), which is of no class, and no probability follows from it.
    Score,
}

named! {
    Outputs as "outputs", read by meant;
    Softmax => "softmax", Sigmoid => "sigmoid", Probabilities => "probabilities", Score => "score",
}

fn meant(text: &str) -> String {
    text.to_ascii_lowercase()
}

impl Outputs {
    /// What can be said of a network's numbers for classes.
    pub const OF_CLASSES: &[Self] = &[Self::Softmax, Self::Sigmoid, Self::Probabilities];

    /// How many answers a network has that gives out that many numbers: two for a single number, unless it is a score.
    pub const fn answers(self, numbers: i64) -> i64 {
        if numbers == 1 && !matches!(self, Self::Score) { 2 } else { numbers }
    }

    /// What these numbers are taken for if nobody says: a softmax over a single class is always 1, so one number is a
    /// sigmoid's.
    pub fn of_logits(self, numbers: i64) -> Self {
        if numbers == 1 && self == Self::Softmax { Self::Sigmoid } else { self }
    }

    /// Whether a network with that many numbers can give them out in this sense.
    ///
    /// # Errors
    /// [`Error::Argument`] for a softmax over one class, and for a score, which is of none.
    pub fn check(self, numbers: i64) -> Result<()> {
        if self == Self::Score {
            return Err(Error::argument(
                "outputs",
                crate::text::none_of("score", &Self::OF_CLASSES.iter().map(|of| of.name()).collect::<Vec<_>>()),
            ));
        }
        if numbers == 1 && self == Self::Softmax {
            let message =
                "softmax is 1 for every picture of a network with one output; choose sigmoid or probabilities";
            return Err(Error::argument("outputs", message));
        }
        Ok(())
    }

    /// What a network's numbers for its classes are, of which there are that many, in words.
    pub const fn meaning(self, numbers: i64) -> &'static str {
        match (numbers, self) {
            (_, Self::Score) => "a score, and no probability",
            (1, Self::Probabilities) => "the probability of class 1 (probabilities), class 0 has the rest",
            (1, _) => "a score (sigmoid): class 1 is what it says, class 0 the rest",
            (_, Self::Softmax) => "scores of classes of which one is right (softmax)",
            (_, Self::Sigmoid) => "scores of classes each by itself (sigmoid)",
            (_, Self::Probabilities) => "probabilities, shown as they are",
        }
    }

    /// The scores of the answers from the numbers `[N, numbers]`: `[N, answers]`, higher for what is likelier and without
    /// bounds: the logits, or the log-odds of probabilities.
    pub fn scores(self, numbers: ArrayView2<'_, f32>) -> Array2<f32> {
        let scores = match self {
            Self::Softmax | Self::Sigmoid => numbers.to_owned(),
            Self::Score => return numbers.to_owned(),
            Self::Probabilities => numbers.mapv(|number| {
                let probability = number.clamp(LEAST, 1.0 - LEAST);
                (probability / (1.0 - probability)).ln()
            }),
        };
        if numbers.ncols() == 1 { beside(scores.mapv(|score| -score), scores) } else { scores }
    }

    /// How the score of an answer changes with each of a picture's numbers, `[numbers]`.
    pub fn slope(self, numbers: &[f32], answer: usize) -> Vec<f32> {
        // The first answer of a network with one number is that it is not there.
        let (at, sign) = if numbers.len() == 1 && self != Self::Score {
            (0, if answer == 0 { -1.0 } else { 1.0 })
        } else {
            (answer, 1.0)
        };
        let mut slope = vec![0.0; numbers.len()];
        if let (Some(to), Some(number)) = (slope.get_mut(at), numbers.get(at)) {
            *to = match self {
                Self::Softmax | Self::Sigmoid | Self::Score => sign,
                Self::Probabilities if (LEAST..=1.0 - LEAST).contains(number) => sign / (number * (1.0 - number)),
                Self::Probabilities => 0.0,
            };
        }
        slope
    }

    /// The probabilities of the answers from the numbers `[N, numbers]`: `[N, answers]`; of a score none, `[N, 0]`.
    ///
    /// # Errors
    /// [`Error::Network`] with the first number that is infinite or not a number, or that is no probability where it
    /// should be one.
    pub fn probabilities(self, numbers: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        refuse(numbers, |number| !number.is_finite(), NOT_FINITE)?;
        let probabilities = match self {
            Self::Softmax => return Ok(softmax(numbers)),
            Self::Score => return Ok(Array2::zeros((numbers.nrows(), 0))),
            Self::Sigmoid => numbers.mapv(sigmoid),
            Self::Probabilities => {
                refuse(numbers, |number| !(-ROUNDING..=1.0 + ROUNDING).contains(&number), NO_PROBABILITY)?;
                numbers.mapv(|number| number.clamp(0.0, 1.0))
            }
        };
        if numbers.ncols() != 1 {
            return Ok(probabilities);
        }
        // The sigmoid of the negated score, which keeps small numbers exact.
        let rest = match self {
            Self::Sigmoid => numbers.mapv(|score| sigmoid(-score)),
            _ => probabilities.mapv(|probability| 1.0 - probability),
        };
        Ok(beside(rest, probabilities))
    }
}

/// The columns of both, those of the first before those of the other.
fn beside(first: Array2<f32>, other: Array2<f32>) -> Array2<f32> {
    concatenate(Axis(1), &[first.view(), other.view()]).unwrap_or(other)
}

fn sigmoid(score: f32) -> f32 {
    (1.0 / (1.0 + f64::from(-score).exp())) as f32
}

/// The softmax of each row, in double precision on the way.
fn softmax(numbers: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut probabilities = numbers.to_owned();
    for mut row in probabilities.rows_mut() {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let power = |score: f32| f64::from(score - most).exp();
        let sum: f64 = row.iter().copied().map(power).sum();
        row.mapv_inplace(|score| (power(score) / sum) as f32);
    }
    probabilities
}

/// The error about the first number that is wrong, if one is.
fn refuse(numbers: ArrayView2<'_, f32>, is_wrong: impl Fn(f32) -> bool, what: &str) -> Result<()> {
    match numbers.indexed_iter().find(|(_, number)| is_wrong(**number)) {
        None => Ok(()),
        Some(((_, class), number)) => {
            Err(Error::network("the network's output", format!("{number} for class {class} is {what}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(array: &Array2<f32>) -> Vec<Vec<f32>> {
        array.outer_iter().map(|row| row.to_vec()).collect()
    }

    fn numbers(values: &[&[f32]]) -> Array2<f32> {
        Array2::from_shape_vec((values.len(), values[0].len()), values.concat()).unwrap()
    }

    #[test]
    fn each_kind_makes_its_probabilities() {
        let logits = numbers(&[&[0.9, -2.0, 3.0]]);
        let sum: f32 = rows(&Outputs::Softmax.probabilities(logits.view()).unwrap())[0].iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
        let each = rows(&Outputs::Sigmoid.probabilities(logits.view()).unwrap());
        for (p, expected) in each[0].iter().zip([0.710_949_5, 0.119_202_92, 0.952_574_13]) {
            assert!((p - expected).abs() < 1e-6, "{p}");
        }
        let given = numbers(&[&[0.954, 0.306, 0.959]]);
        assert_eq!(rows(&Outputs::Probabilities.probabilities(given.view()).unwrap()), [[0.954, 0.306, 0.959]]);
        let rounded = numbers(&[&[1.000_001, -1e-7]]);
        assert_eq!(rows(&Outputs::Probabilities.probabilities(rounded.view()).unwrap()), [[1.0, 0.0]]);
        for outputs in Outputs::ALL {
            assert_eq!(outputs.probabilities(Array2::zeros((2, 0)).view()).unwrap().dim(), (2, 0));
        }
    }

    #[test]
    fn one_number_has_two_answers() {
        let one = rows(&Outputs::Sigmoid.probabilities(numbers(&[&[0.9], &[-40.0]]).view()).unwrap());
        assert!((one[0][1] - 0.710_949_5).abs() < 1e-6 && (one[0][0] + one[0][1] - 1.0).abs() < 1e-6);
        assert!(one[1][1] > 0.0 && one[1][0] == 1.0, "{one:?}");
        assert_eq!(rows(&Outputs::Sigmoid.scores(numbers(&[&[0.9]]).view())), [[-0.9, 0.9]]);
        assert_eq!(rows(&Outputs::Probabilities.probabilities(numbers(&[&[0.25]]).view()).unwrap()), [[0.75, 0.25]]);
        // The score of a sigmoid's probability is its logit.
        let back = rows(
            &Outputs::Probabilities
                .scores(Outputs::Sigmoid.probabilities(numbers(&[&[0.9, -2.0]]).view()).unwrap().view()),
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
                let message =
                    outputs.probabilities(numbers(&[&[0.1, 0.2], &[0.3, bad]]).view()).unwrap_err().to_string();
                assert!(message.contains("class 1") && message.contains("not finite"), "{message}");
            }
        }
        for bad in [-0.1, 1.2] {
            let message = Outputs::Probabilities.probabilities(numbers(&[&[bad, 0.2]]).view()).unwrap_err().to_string();
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
