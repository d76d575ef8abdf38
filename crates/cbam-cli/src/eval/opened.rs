//! The network that is measured.

use cbam_core::device::DeviceSpec;
use cbam_core::eval::ScoreCache;
use cbam_core::model::{Description, Model};
use cbam_core::network::{NetworkFile, RandomLevel};
use cbam_core::{Error, Result};

use crate::backend::{Backend, GraphTaken, How, Taken};
use crate::common::described::Described;
use crate::common::opening::open_weights;
use crate::eval::args::Cli;

/// Why a network is not checked for sanity.
const NO_SANITY: &str = "nobody can make the weights of this network anew, as the sanity check wants it";
/// Why a network cannot be measured.
const NO_CLASSES: &str = "has no classifier, and what is measured here rests on its answers";

/// The network that is measured.
pub(crate) struct Opened {
    model: Box<dyn Model>,
    /// As its weights file has it; none of a scripted one, or one by its graph.
    file: Option<NetworkFile>,
    /// What stands for its name, where it has none.
    form: &'static str,
    /// What it runs on.
    pub(crate) device: DeviceSpec,
    /// A hash of all that its answers depend on.
    pub(crate) fingerprint: String,
}

impl Opened {
    /// Opens it; with it what a user should know of its file, a line each.
    pub(crate) fn open(backend: &dyn Backend, cli: &Cli, how: &How, device: DeviceSpec) -> Result<(Self, Vec<String>)> {
        if let Some(script) = cli.foreign.script(cli.size) {
            let (model, notes) = backend.script(&script, how)?;
            let about = model.describe();
            if about.numbers == 0 {
                return Err(Error::weights(script.path, NO_CLASSES));
            }
            let bytes = std::fs::read(&script.path).map_err(Error::io(&script.path))?;
            let fingerprint = ScoreCache::key(&[&bytes, format!("{:?} {about:?}", cli.foreign).as_bytes()]);
            return Ok((Self { model, file: None, form: "TorchScript", device, fingerprint }, notes));
        }
        if let Some(files) = cli.graph_files() {
            let (graph, mut notes) = files.open()?;
            let fingerprint = graph.fingerprint();
            let given = GraphTaken { short_side: cli.size, taken: Self::taken(cli), ..GraphTaken::default() };
            let (taken, said) = Described::completed(&files.graph, given)?;
            notes.extend(said);
            let (model, more) = backend.graph(graph, how, &taken)?;
            notes.extend(more);
            if model.describe().numbers == 0 {
                return Err(Error::weights(files.graph, NO_CLASSES));
            }
            let fingerprint = ScoreCache::key(&[&fingerprint, format!("{taken:?}").as_bytes()]);
            return Ok((Self { model, file: None, form: "graph", device, fingerprint }, notes));
        }
        let (file, notes) = Self::file(cli)?;
        let taken = Self::taken(cli);
        let fingerprint = ScoreCache::key(&[&file.fingerprint()?, format!("{taken:?}").as_bytes()]);
        let model = backend.network(file.clone(), how, &taken)?;
        Ok((Self { model, file: Some(file), form: "", device, fingerprint }, notes))
    }

    /// The weights file, and what is to be said of it.
    fn file(cli: &Cli) -> Result<(NetworkFile, Vec<String>)> {
        let Some(path) = &cli.weights else {
            let file = if cli.plain { NetworkFile::plain() } else { NetworkFile::pretrained() };
            return Ok((file?, Vec::new()));
        };
        let (file, notes) = open_weights(path, &cli.opening.options(), "cbam-run --check")?;
        if file.config.classes == 0 {
            return Err(Error::weights(path, NO_CLASSES));
        }
        Ok((file, notes))
    }

    fn taken(cli: &Cli) -> Taken {
        Taken { input: cli.foreign.input.change(), outputs: cli.foreign.input.outputs }
    }

    /// The same network with ever more of its weights made meaningless.
    ///
    /// # Errors
    /// [`Error::Argument`] for a scripted network or one by its graph, whose weights nobody can make anew.
    pub(crate) fn randomised(&self, backend: &dyn Backend, cli: &Cli, how: &How) -> Result<Vec<Box<dyn Model>>> {
        let file = self.file.as_ref().ok_or_else(|| Error::argument("--measure", NO_SANITY))?;
        let level = |level| backend.network(file.randomised(level, cli.seed)?, how, &Self::taken(cli));
        RandomLevel::ALL.into_iter().map(level).collect()
    }

    /// As what it is asked.
    pub(crate) fn model(&self) -> &dyn Model {
        &*self.model
    }

    pub(crate) fn describe(&self) -> Description {
        self.model.describe()
    }

    /// What it is called in reports.
    pub(crate) fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| self.form.to_owned(), |file| file.config.arch.to_string())
    }

    /// Whether it has attention; none if that cannot be told.
    pub(crate) fn has_attention(&self) -> Option<bool> {
        Some(!self.file.as_ref()?.config.attention.is_empty())
    }
}
