//! The attention of a sentence as a heat map: three words, one head, softmax(Q Kᵀ / √d) V.
//!
//! `cargo run --release --example sentence_attention -- target/sentence.png`

use std::error::Error;
use std::process::ExitCode;

use cbam::attention::scaled_dot_product;
use cbam::render::{Colormap, heat_map};
use ndarray::Array2;
use tch::Tensor;

const WORDS: [&str; 3] = ["You", "found", "me"];

fn main() -> ExitCode {
    let output = std::env::args().nth(1).unwrap_or_else(|| "target/sentence.png".into());
    match run(&output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sentence_attention: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(output: &str) -> Result<(), Box<dyn Error>> {
    // One row for each word: what it asks for, what it offers, what it says.
    let query = Tensor::from_slice2(&[[0.06, 0.08], [0.14, 0.24], [0.22, 0.40_f32]]);
    let key = Tensor::from_slice2(&[[0.04, 0.08], [0.12, 0.20], [0.20, 0.32_f32]]);
    let value = Tensor::from_slice2(&[[0.03, 0.03], [0.11, 0.11], [0.19, 0.19_f32]]);
    let attention = scaled_dot_product(&query, &key, &value, None)?;
    let weights: Vec<Vec<f32>> = (&attention.weights).try_into()?; // [word that asks][word that is looked at]
    let context: Vec<Vec<f32>> = (&attention.context).try_into()?;

    println!("{:>8}{:>8}{:>8}{:>8}   output", "", WORDS[0], WORDS[1], WORDS[2]);
    for ((word, row), output) in WORDS.iter().zip(&weights).zip(&context) {
        println!("{word:>8}{:8.4}{:8.4}{:8.4}   [{:.4}, {:.4}]", row[0], row[1], row[2], output[0], output[1]);
    }

    // The three weights of a word are nearly equal: colours span the least and the greatest of all.
    let weights = Array2::from_shape_vec((3, 3), weights.concat())?;
    heat_map(weights.view(), &WORDS, &WORDS, 4, Colormap::Viridis)?
        .save(output)
        .map_err(|error| format!("{output}: {error}"))?;
    println!("{output}: a row for each word that asks, a column for each that is looked at");
    Ok(())
}
