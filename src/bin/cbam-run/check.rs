//! The network against what PyTorch made of an input.

use std::fmt::Write;
use std::path::Path;

use cbam::Result;
use cbam::network::{Agreement, Reference};
use cbam::text::printable_path;

use crate::model::{self, Opened};
use crate::request::Model;

/// What a check found.
pub(crate) struct Verdict {
    /// A line for each result, and one for all.
    pub(crate) text: String,
    pub(crate) agrees: bool,
}

/// Runs the network on the reference's input, in the form that a run has it, and before that as libtorch has it where that is
/// another.
pub(crate) fn check(model: &Model, reference: &Path, tolerance: f64, note: &dyn Fn(&str)) -> Result<Verdict> {
    let against = Reference::open(reference)?.with_tolerance(tolerance);
    let mut verdict = Verdict { text: String::new(), agrees: true };
    match model::load(model, note)? {
        Opened::Inference(network) => {
            verdict.add("libtorch", &against.compare(network.network()?)?);
            verdict.add("as it runs", &against.compare_inference(&network)?);
        }
        Opened::Network(network) => verdict.add("libtorch", &against.compare(&network)?),
        Opened::Script(network) => {
            let logits = network.first_output(&against.input(network.device())?)?;
            verdict.add("TorchScript", &against.compare_only_logits(&logits)?);
        }
    }
    let (agrees, reference) = (verdict.agrees, printable_path(reference));
    let words = if agrees { "agrees with" } else { "does NOT agree with" };
    let _ = writeln!(verdict.text, "the network {words} {reference}, within {tolerance} of the largest value"); // a String takes all
    Ok(verdict)
}

impl Verdict {
    fn add(&mut self, form: &str, agreements: &[Agreement]) {
        for agreement in agreements {
            let sign = if agreement.within { "" } else { "  <- beyond the tolerance" };
            let _ = writeln!(self.text, "{form:<11} {agreement}{sign}"); // a String takes all
            self.agrees &= agreement.within;
        }
    }
}
