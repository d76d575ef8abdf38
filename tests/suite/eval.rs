//! Everything that measures, the formats of truth, and the command.

mod accuracy;
mod cache;
mod clutter;
mod command;
mod faithfulness;
mod formats;
mod localisation;
mod max_box;
mod measures;
mod report;
mod scripted;
mod source;
mod truth;

/// The numbers of a JSON array.
fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}
