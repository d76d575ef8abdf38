//! Networks by their graphs: which files they are in, and what of them is said.

use std::path::{Path, PathBuf};

use cbam_core::graph::Graph;
use cbam_core::network::OpenOptions;
use cbam_core::text::printable_path;
use cbam_core::weights::Checkpoint;
use cbam_core::{Error, Result};

use crate::common::doubts::remedies;

/// How many names a note has.
const NAMED: usize = 8;

/// The files of a network that is known by its graph.
#[derive(Debug, Clone)]
pub struct GraphFiles {
    /// The graph's.
    pub graph: PathBuf,
    /// That of other weights than the graph's own.
    pub weights: Option<PathBuf>,
    /// What is said of the weights file.
    pub options: OpenOptions,
}

impl GraphFiles {
    /// Of the files that are named: `--graph`, or a graph given as weights; `None` if neither is there.
    pub fn of(graph: Option<&Path>, weights: Option<&Path>, options: OpenOptions) -> Option<Self> {
        match (graph, weights) {
            (Some(graph), weights) => {
                Some(Self { graph: graph.to_owned(), weights: weights.map(Path::to_owned), options })
            }
            (None, Some(weights)) if Graph::is_at(weights) => {
                Some(Self { graph: weights.to_owned(), weights: None, options })
            }
            _ => None,
        }
    }

    /// Reads them; with the graph what a user should know of the files, a line each.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`] if a file cannot be read, the weights are not the graph's, or an option has no effect.
    pub fn open(&self) -> Result<(Graph, Vec<String>)> {
        let advised = |error: Error| error.advised(&remedies);
        let graph = Graph::open(&self.graph).map_err(advised)?;
        let Some(path) = &self.weights else {
            self.options.without_effect_on_graph(&self.graph).map_err(advised)?;
            return Ok((graph, Vec::new()));
        };
        let reading = self.options.reading();
        let mut others = self.options.clone();
        others.part = None; // of the weights file
        others.without_effect_on_graph(path).map_err(advised)?;
        let checkpoint = Checkpoint::open_with(path, &reading).map_err(advised)?;
        let (graph, extra) = graph.with_weights(&checkpoint)?;
        let mut notes = Vec::new();
        if !extra.is_empty() {
            let more = extra.len().saturating_sub(NAMED);
            let named = extra[..extra.len() - more].join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let path = printable_path(path);
            notes.push(format!("{path}: tensors that the graph has no use for are left out: {named}{more}"));
        }
        Ok((graph, notes))
    }
}
