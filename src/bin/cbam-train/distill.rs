//! `cbam-train distill`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cbam::network::Network;
use cbam::train::{DistillOptions, DistillReport, distill};
use cbam_core::Error;
use clap::Args;

use crate::args::{number, whole};
use crate::backbone::Backbone;
use crate::progress::Progress;
use crate::run::Run;

#[derive(Debug, Args)]
pub(crate) struct Distill {
    /// Folders and tar archives of pictures
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|TAR")]
    images: Vec<PathBuf>,
    /// Folders and tar archives of backgrounds
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|TAR")]
    backgrounds: Vec<PathBuf>,
    /// Folders and tar archives of cut-out objects (pictures with an alpha channel)
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|TAR")]
    stamps: Vec<PathBuf>,
    #[command(flatten)]
    backbone: Backbone,
    /// Weights of other networks of the same classes: what they say of clean pictures counts beside the backbone's own answer
    #[arg(long, num_args = 1.., value_name = "FILE")]
    teachers: Vec<PathBuf>,
    /// Use only so many pictures, chosen by the seed
    #[arg(long, value_parser = whole::<usize>, value_name = "N")]
    limit: Option<usize>,
    /// Cluttered views of each picture
    #[arg(long, value_parser = whole::<usize>, default_value_t = DistillOptions::default().views, value_name = "N")]
    views: usize,
    /// Composites of a cut-out object on a background
    #[arg(long, value_parser = whole::<usize>, default_value_t = DistillOptions::default().composites, value_name = "N")]
    composites: usize,
    /// Steps of 32 views
    #[arg(long, value_parser = whole::<usize>, default_value_t = DistillOptions::default().steps, value_name = "N")]
    steps: usize,
    /// The highest learning rate
    #[arg(long, value_parser = number, default_value_t = DistillOptions::default().learning_rate, value_name = "RATE")]
    learning_rate: f64,
    /// What the divergence on a clean picture counts, beside that on a view
    #[arg(long, value_parser = number, default_value_t = DistillOptions::default().clean_weight, value_name = "WEIGHT")]
    clean_weight: f64,
    /// The weight of looking in the right place, beside that of the right answer
    #[arg(long, value_parser = number, default_value_t = DistillOptions::default().focus_weight, value_name = "WEIGHT")]
    focus_weight: f64,
    /// At most so many held-out pictures, and as many composites, to validate on
    #[arg(long, value_parser = whole::<usize>, default_value_t = DistillOptions::default().validation, value_name = "N")]
    validation: usize,
    #[command(flatten)]
    pub(crate) run: Run,
}

impl Distill {
    fn options(&self) -> DistillOptions {
        DistillOptions {
            images: self.images.clone(),
            backgrounds: self.backgrounds.clone(),
            stamps: self.stamps.clone(),
            teachers: self.teachers.clone(),
            limit: self.limit,
            views: self.views,
            composites: self.composites,
            steps: self.steps,
            learning_rate: self.learning_rate,
            clean_weight: self.clean_weight,
            focus_weight: self.focus_weight,
            validation: self.validation,
            seed: self.run.seed,
        }
    }

    /// What the training reads, by its option.
    fn reads(&self) -> Vec<(&'static str, &Path)> {
        let lists = [
            ("--images", &self.images),
            ("--backgrounds", &self.backgrounds),
            ("--stamps", &self.stamps),
            ("--teachers", &self.teachers),
        ];
        let listed =
            lists.into_iter().flat_map(|(option, paths)| paths.iter().map(move |path| (option, path.as_path())));
        listed.chain(self.backbone.weights.iter().map(|path| ("--backbone", path.as_path()))).collect()
    }

    /// What the weights file says of its making.
    fn notes(&self) -> BTreeMap<String, String> {
        let made_by = format!(
            "cbam-train {} distill --views {} --composites {} --steps {} --learning-rate {} --clean-weight {} --focus-weight {} --seed {}{}{}",
            env!("CARGO_PKG_VERSION"),
            self.views,
            self.composites,
            self.steps,
            self.learning_rate,
            self.clean_weight,
            self.focus_weight,
            self.run.seed,
            self.limit.map_or_else(String::new, |limit| format!(" --limit {limit}")),
            if self.teachers.is_empty() {
                String::new()
            } else {
                format!(" --teachers {}", file_names(&self.teachers))
            },
        );
        BTreeMap::from([("made_by".to_owned(), made_by)])
    }
}

/// The files' names, without their folders.
fn file_names(paths: &[PathBuf]) -> String {
    let names = paths.iter().filter_map(|path| path.file_name());
    names.map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Trains, saves, and prints the figures.
pub(crate) fn run(arguments: &Distill) -> Result<u8> {
    let device = arguments.run.prepare(&arguments.reads())?;
    let mut network = match arguments.backbone.open(device)? {
        Some(backbone) => Network::untrained_on(&backbone),
        None => Network::untrained(device),
    }
    .map_err(Error::from)?;
    let mut progress = Progress::new(arguments.run.quiet);
    let out = arguments.run.out()?;
    let (options, run) = (arguments.options(), arguments.run.options(out));
    let trained = |progress: &mut Progress| Ok((distill(&mut network, &options, &run, progress)?, network));
    arguments.run.train(out, &mut progress, trained, |(report, network)| {
        let mut notes = arguments.notes();
        notes.insert("report".to_owned(), serde_json::to_string(&report)?);
        network.save(out, &notes).map_err(Error::from).context("the trained network")?;
        Ok(table(&report))
    })
}

/// The validation figures, before and after.
fn table(report: &DistillReport) -> String {
    let [clean, cluttered, composites] = report.views;
    let (a, b) = (&report.before, &report.after);
    let row = |name: &str, a: f64, b: f64| format!("{name:<44}{a:>10.4}{b:>10.4}\n");
    let mut table = format!(
        "trained on {clean} pictures, {cluttered} cluttered views, {composites} composites\n{:<44}{:>10}{:>10}\n",
        format!("held out: {} pictures, {} composites", a.pictures, a.composites),
        "before",
        "after"
    );
    table += &row("divergence from the teacher, clean (nats)", a.clean, b.clean);
    table += &row("divergence from the teacher, cluttered", a.cluttered, b.cluttered);
    table += &row("same class as the teacher, clean", a.clean_agreement, b.clean_agreement);
    table += &row("same class as the teacher, cluttered", a.cluttered_agreement, b.cluttered_agreement);
    for (a, b) in a.maps.iter().zip(&b.maps) {
        table += &row(&format!("{}: peaks on the stamp", a.map), a.pointing, b.pointing);
        table += &row(&format!("{}: share on the stamp", a.map), a.energy, b.energy);
    }
    table
}
