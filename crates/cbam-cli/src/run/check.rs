//! The network against what PyTorch made of an input.

use std::fmt::Write;
use std::path::Path;

use cbam_core::Result;
use cbam_core::network::{Agreement, Reference};
use cbam_core::text::printable_path;

use crate::backend::{Backend, Compared};
use crate::common::doubts::remedies;
use crate::common::network::{Model, ModelKind, file, graph, graph_files, graph_taken, tell};

/// What a check found.
pub(crate) struct Verdict {
    /// A line for each result, and one for all.
    pub(crate) text: String,
    pub(crate) agrees: bool,
}

/// Runs the network on the reference's input, in the form that a run has it, and before that as libtorch has it where that is
/// another.
pub(crate) fn check(
    backend: &dyn Backend,
    model: &Model,
    reference: &Path,
    tolerance: f64,
    note: &dyn Fn(&str),
) -> Result<Verdict> {
    let against = Reference::open(reference)?.with_tolerance(tolerance);
    backend.ready(&model.how).map_err(|error| error.advised(&remedies))?;
    let told = |(compared, notes): (Vec<Compared>, Vec<String>)| {
        tell(&notes, note);
        compared
    };
    let compared = if let ModelKind::Script(script) = &model.kind {
        told(backend.compare_script(script, &model.how, &against)?)
    } else if let Some(files) = graph_files(&model.kind) {
        let (graph, taken) = (graph(&files, note)?, graph_taken(&files, model, note)?);
        told(backend.compare_graph(graph, &model.how, &taken, &against)?)
    } else {
        backend.compare(file(&model.kind, note)?, &model.how, &model.taken, &against)?
    };
    let mut verdict = Verdict { text: String::new(), agrees: true };
    for (form, agreements) in &compared {
        verdict.add(form, agreements);
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
