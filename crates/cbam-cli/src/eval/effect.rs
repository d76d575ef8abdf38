//! Options that would change nothing in this evaluation: each is an error that says what it is for.

use std::collections::BTreeMap;

use cbam_core::eval::PictureSource;
use cbam_core::maps::{MapName, Method};
use cbam_core::study::{Row, StudyPictures};
use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::common::foreign::OF_WEIGHTS;
use crate::common::page::Words;
use crate::common::usage;
use crate::eval::args::{Cli, Measure};

impl Cli {
    /// Refuses an option that was given and changes nothing, as far as the command line tells.
    pub(crate) fn check_effects(&self) -> Result<(), clap::Error> {
        let by = |wanted: fn(Method) -> bool| {
            self.maps.iter().any(|name| matches!(name, MapName::Explain { method, .. } if wanted(*method)))
        };
        let [faithful, sane, clutter, timed] =
            [Measure::Faithfulness, Measure::Sanity, Measure::Clutter, Measure::Time].map(|what| self.measures(what));
        let subset = faithful || sane || timed || by(Method::is_costly);
        let compared = self.report.is_some() || self.against.is_some();
        let (weights, script) = (self.weights.is_some(), self.foreign.torchscript.is_some());
        let named = weights || script || self.foreign.graph.is_some();
        self.given.check::<Self>(&[
            (
                &["torchscript_outputs", "torchscript_classes"],
                script,
                "it names outputs of the network of --torchscript",
            ),
            (OF_WEIGHTS, weights, "it is for a file of --weights"),
            (&["outputs"], named, "it says what a network of --weights, --graph or --torchscript gives out"),
            (&["subset"], subset, "it is for costly maps and --measure faithfulness, sanity and time"),
            (&["steps"], faithful, "it is for --measure faithfulness"),
            (&["rise_masks"], by(|method| method == Method::Rise), "it is for --maps rise"),
            (&["backgrounds"], clutter, "it is for --measure clutter"),
            (&["seed"], subset || clutter || compared, "nothing that is measured here is drawn at random"),
        ])?;
        if sane && self.is_foreign() {
            let message = "--measure sanity: nobody can make the weights of a scripted network, or of a graph, anew; leave it out";
            return Err(usage::<Self>(message));
        }
        if self.truth.is_some() || faithful || sane || clutter || timed || self.maps_dir.is_some() {
            return Ok(());
        }
        let message = "nothing to measure: name a --truth, or what needs none, such as --measure faithfulness";
        Err(Self::command().error(ErrorKind::MissingRequiredArgument, message))
    }

    /// The words of the options that decide how the network is opened and takes pictures, and of those of methods, as `cbam-run` knows them.
    pub(crate) fn words(&self, source: &PictureSource) -> Words {
        /// All others.
        const OTHERS: [&str; 18] = [
            "images",
            "truth",
            "maps",
            "against",
            "measure",
            "report",
            "cache",
            "subset",
            "steps",
            "rise_masks",
            "backgrounds",
            "seed",
            "maps_dir",
            "small",
            "limit",
            "threads",
            "json",
            "quiet",
        ];
        let opens = !self.plain && matches!(source, PictureSource::Folder(_));
        let opening = opens.then(|| self.given.words::<Self>(&|option| !OTHERS.contains(&option)));
        let rise = ["--masks".to_owned(), self.rise_masks.to_string(), "--seed".to_owned(), self.seed.to_string()];
        Words { opening, methods: BTreeMap::from([(Method::Rise.name(), rise.to_vec())]) }
    }

    /// Refuses an option that was given and changes nothing on these pictures.
    pub(crate) fn check_rows(&self, pictures: &StudyPictures) -> Result<(), clap::Error> {
        let located = pictures.rows.iter().any(Row::has_object);
        let faithful = self.measures(Measure::Faithfulness);
        let mapped = located || faithful || self.measures(Measure::Sanity) || self.measures(Measure::Time);
        let named = pictures.rows.iter().any(|row| row.truth.as_ref().is_some_and(|truth| truth.class.is_some()));
        let nowhere = "where the objects are is not known, and nothing is measured that asks for maps";
        self.given.check::<Self>(&[
            (&["maps"], mapped || self.maps_dir.is_some(), nowhere),
            (&["against"], located || faithful, nowhere),
            (&["labels"], named, "the truth gives none of the pictures one of the classes"),
        ])
    }
}

#[cfg(test)]
mod tests {
    use cbam_core::eval::{BoundingBox, Object, PictureSource, Remarks, TruthFormat, TruthRow};
    use clap::Parser;

    use super::*;

    fn parsed(line: &str) -> Cli {
        Cli::try_parse_from(["cbam-eval", "--images", "a"].into_iter().chain(line.split_whitespace())).unwrap()
    }

    #[test]
    fn options_without_effect_are_errors() {
        for (line, part) in [
            ("--truth t --subset 5", "--subset has no effect"),
            ("--truth t --measure clutter --subset 5", "--subset has no effect"),
            ("--truth t --seed 5", "--seed has no effect"),
            ("--truth t --measure sanity --steps 5", "--steps has no effect"),
            ("", "nothing to measure"),
            ("--json r.json", "nothing to measure"),
            ("--report r --measure none", "nothing to measure"),
        ] {
            let error = parsed(line).check_effects().expect_err(line).to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
        for line in [
            "--truth t",
            "--maps-dir m",
            "--report r",
            "--measure faithfulness",
            "--measure sanity --subset 5 --seed 2",
            "--measure time --subset 5 --seed 2",
            "--truth t --maps scorecam --subset 5 --seed 2",
            "--measure clutter --seed 2",
            "--truth t --against fused --seed 2",
        ] {
            parsed(line).check_effects().unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_the_truth_leaves_idle_is_an_error() {
        let of = |format| {
            let row = |object| Row { image: "a.jpg".to_owned(), truth: Some(object) };
            let (class, object) = match format {
                TruthFormat::Folders => (Some(1), Object::Unknown),
                TruthFormat::Table => (None, Object::Boxes(vec![BoundingBox { x0: 0.0, y0: 0.0, x1: 9.0, y1: 9.0 }])),
                _ => (None, Object::Mask("m.png".into())),
            };
            let truth = TruthRow { image: "a.jpg".to_owned(), class, size: None, small: false, object };
            let source = PictureSource::Folder("a".into());
            StudyPictures { source, rows: vec![row(truth)], format: Some(format), remarks: Remarks::default() }
        };
        let checked = |line: &str, format| parsed(line).check_rows(&of(format)).map_err(|error| error.to_string());
        for (line, format, part) in [
            ("--truth t --maps fused", TruthFormat::Folders, "--maps has no effect"),
            ("--truth t --against fused", TruthFormat::Folders, "--against has no effect"),
            ("--truth t --measure time --against fused", TruthFormat::Folders, "--against has no effect"),
            ("--truth t --labels l", TruthFormat::Masks, "--labels has no effect here: the truth gives none"),
            ("--truth t --labels l", TruthFormat::Table, "--labels has no effect here: the truth gives none"),
        ] {
            let error = checked(line, format).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
        for (line, format) in [
            ("--truth t --maps fused --against fused", TruthFormat::Masks),
            ("--truth t --maps fused --maps-dir m --labels l", TruthFormat::Folders),
            ("--truth t --maps fused --against fused --measure faithfulness", TruthFormat::Folders),
            ("--truth t --maps fused --measure sanity", TruthFormat::Folders),
        ] {
            checked(line, format).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
