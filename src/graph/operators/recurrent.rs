//! Recurrent layers, over a whole sequence at once.

use tch::{TchError, Tensor};

use super::super::given::{Given, Held};
use super::layers::training;
use super::{Made, Table};
use crate::Result;

pub(super) const TABLE: Table = &[
    ("aten.gru.input", |given| with_one_state(given, Tensor::f_gru)),
    ("aten.lstm.input", |given| {
        let Layers { params, has_biases, depth, bidirectional, batch_first } = Layers::of(given)?;
        let states = given.tensors("hx")?;
        let (out, hidden, cell) = given.tensor("input")?.f_lstm(
            &states,
            &params,
            has_biases,
            depth,
            0.0,
            false,
            bidirectional,
            batch_first,
        )?;
        Ok([out, hidden, cell].map(Held::Tensor).into())
    }),
    ("aten.rnn_relu.input", |given| with_one_state(given, Tensor::f_rnn_relu)),
    ("aten.rnn_tanh.input", |given| with_one_state(given, Tensor::f_rnn_tanh)),
];

/// What all of them take.
struct Layers<'a> {
    params: Vec<&'a Tensor>,
    has_biases: bool,
    depth: i64,
    bidirectional: bool,
    batch_first: bool,
}

impl<'a> Layers<'a> {
    fn of(given: &Given<'a>) -> Result<Self> {
        if given.flag("train", false)? {
            return Err(training(given));
        }
        Ok(Self {
            params: given.tensors("params")?,
            has_biases: given.flag("has_biases", true)?,
            depth: given.int("num_layers")?,
            bidirectional: given.flag("bidirectional", false)?,
            batch_first: given.flag("batch_first", false)?,
        })
    }
}

/// One of libtorch's layers that keep one state: of the input, the state, the weights, whether there are biases, how many layers, the
/// dropout between them, whether it trains, whether it goes both ways and whether the pictures come before the steps.
type OneState<'a> = fn(
    &Tensor,
    &Tensor,
    &[&'a Tensor],
    bool,
    i64,
    f64,
    bool,
    bool,
    bool,
) -> std::result::Result<(Tensor, Tensor), TchError>;

fn with_one_state<'a>(given: &Given<'a>, layers: OneState<'a>) -> Result<Made> {
    let Layers { params, has_biases, depth, bidirectional, batch_first } = Layers::of(given)?;
    let (xs, state) = (given.tensor("input")?, given.tensor("hx")?);
    let (out, hidden) = layers(xs, state, &params, has_biases, depth, 0.0, false, bidirectional, batch_first)?;
    Ok([out, hidden].map(Held::Tensor).into())
}
