//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cbam_core::Result;
use cbam_core::device::DeviceSpec;
use cbam_core::eval::PictureSource;
use cbam_core::maps::{MapName, Method};
use cbam_core::photo::Preprocess;
use clap::{Parser, ValueEnum};

use crate::common::amount::pixels;
use crate::common::foreign::Foreign;
use crate::common::given::Given;
use crate::common::graphs::GraphFiles;
use crate::common::opening::Opening;
use crate::common::values::{listed, listed_by};

/// Measure a network: how often its class is right, how well its maps point at the object, and whether its decision
/// rests on what they name.
///
/// Prints top-1 and top-5 accuracy and calibration; for each map the pointing game, the energy in the boxes, the IoU at
/// the best threshold and how often its box is right, beside the centre of the picture and a Gaussian around it; and what
/// --measure asks for. With --report, a folder gets report.html, report.json, summary.csv and scores.csv.
#[derive(Debug, Parser)]
#[command(
    name = "cbam-eval",
    version,
    after_help = "Truth:\n  \
        a table (.csv, .tsv): its first line names the columns, separated by commas, tabs or semicolons.\n    \
          image                 the path of the picture in --images\n    \
          x1, y1, x2, y2        a box, in pixels of the upright picture; a line for each box of a picture\n    \
          boxes                 or all its boxes: \"x1,y1,x2,y2;x1,y1,x2,y2\", in quotes where commas separate\n    \
          class                 if you like: a name, a WordNet id, or a number from 0 on; without boxes, top-1 alone\n    \
          width, height, small  if you like: the picture's size, to be checked; 1 for a small object, for --small\n  \
        COCO instances (.json), a folder of Pascal VOC files (.xml), a folder of masks (.png: black is ground, 255 of an\n  \
        indexed one is void), or a folder with a folder of pictures for each class, which gives top-1 and top-5 alone.\n  \
        What makes no sense in it is left out, counted and named.\n\n\
        Maps: fused, object, spatial[:STAGE], patch[:STAGE][:HEAD], rollout, and the explanations gradcam, gradcam++, hirescam, \
        layercam, xgradcam,\neigencam, scorecam, ablationcam (each [:STAGE]), occlusion, rise, relevance.\n\nExamples:\n  \
        cbam-eval --images assets/images --truth assets/images/truth.csv\n  \
        cbam-eval --images val.tar --truth val.tsv\n  \
        cbam-eval --images val/ --truth val/                      a folder for each class: top-1\n  \
        cbam-eval --images val/ --truth val.tsv --maps fused,gradcam --report report/\n  \
        cbam-eval --images photos/ --measure faithfulness         no truth is needed\n  \
        cbam-eval --images val.tar --truth val.tsv --plain        the backbone alone, as the reference"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) given: Given,
    /// The pictures: a folder or a tar archive that holds the paths of the truth
    #[arg(long, value_name = "DIR|TAR")]
    pub(crate) images: PathBuf,
    /// The truth: a table, a COCO file, or a folder of Pascal VOC files, of masks or of class folders; see below
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) truth: Option<PathBuf>,
    /// The maps to score [default: those of fused, object, spatial, patch and gradcam that the network has, and the maps that TorchScript gives out]
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = listed_by(map_names(), map_name), hide_possible_values = true)]
    pub(crate) maps: Vec<MapName>,
    /// The map that the others are compared with [default: the first of --maps]
    #[arg(long, value_name = "NAME", value_parser = listed_by(map_names(), map_name), hide_possible_values = true)]
    pub(crate) against: Option<MapName>,
    /// What to measure beside accuracy and localisation [default: all with --report, none without]
    #[arg(long, value_delimiter = ',', value_name = "WHAT")]
    pub(crate) measure: Vec<Measure>,
    /// Write report.html, report.json, summary.csv and scores.csv into DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Keep the scores of each picture in DIR, and go on from there [default: the folder cache in that of --report]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// How many pictures the costly maps (scorecam, ablationcam, occlusion, rise) and faithfulness are measured on
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least_one)]
    pub(crate) subset: usize,
    /// Steps of the insertion and deletion curves
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = at_least_one)]
    pub(crate) steps: usize,
    /// RISE: how many random masks
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = at_least_one)]
    pub(crate) rise_masks: usize,
    /// Wallpapers for the clutter: a folder or a tar archive [default: the grounds are made from the pictures alone]
    #[arg(long, value_name = "DIR|TAR")]
    pub(crate) backgrounds: Option<PathBuf>,
    /// What the subset, the clutter, the noise and the resamples are drawn from
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) seed: u64,
    /// Save every map as STEM.npy, in the tree of --images; several maps each in a folder of its own below DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) maps_dir: Option<PathBuf>,
    /// Only the rows that a table of truth calls small
    #[arg(long)]
    pub(crate) small: bool,
    /// Only the first N rows
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) limit: Option<usize>,
    /// The short side of the pictures that the network sees [default: the network's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=i64::from(Preprocess::MAX_SHORT_SIDE)))]
    pub(crate) size: Option<u32>,
    /// The network's weights, or its graph (.pt2 of torch.export, or ONNX) [default: the bundled ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// The names of the network's classes, one a line, if its weights do not say them
    #[arg(long, value_name = "FILE", requires = "truth")]
    pub(crate) labels: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) opening: Opening,
    #[command(flatten)]
    pub(crate) foreign: Foreign,
    /// The bundled backbone alone, without attention
    #[arg(long, conflicts_with_all = ["weights", "torchscript", "graph"])]
    pub(crate) plain: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value_t, value_name = "DEVICE", value_parser = listed::<DeviceSpec>(["auto", "cpu", "cuda"]), hide_possible_values = true)]
    pub(crate) device: DeviceSpec,
    /// Threads; all cores by default
    #[arg(long, value_name = "N", value_parser = crate::common::amount::threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// The most pixels (width × height) of a picture, with K, M or G for thousands, millions, thousand millions; larger ones are
    /// not scored
    #[arg(long, value_name = "N", default_value = "200M", value_parser = pixels)]
    pub(crate) max_pixels: u64,
    /// Write the figures, and which pictures could not be scored, as JSON; `-` for standard output, the tables then go to
    /// standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// No progress bar and no estimate
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What can be measured beside accuracy and localisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// Insertion, deletion, average drop, increase in confidence and ROAD, on the subset
    Faithfulness,
    /// Whether randomised weights change the maps
    Sanity,
    /// Accuracy and localisation on cluttered pictures
    Clutter,
    /// The time that each map takes
    Time,
    /// All of them
    All,
    /// None of them
    None,
}

/// The names of maps that can be completed.
fn map_names() -> Vec<String> {
    let others = ["fused", "object", "spatial", "patch", "rollout"].map(str::to_owned);
    others.into_iter().chain(Method::ALL.map(|method| method.to_string())).collect()
}

fn map_name(text: &str) -> std::result::Result<MapName, String> {
    match text.parse() {
        Ok(MapName::Channel(_)) => Err("not a map that can be scored: a channel gate is a vector".to_owned()),
        Ok(MapName::PatchAt(..)) => Err("not a map that can be scored: it depends on the point".to_owned()),
        Ok(name) => Ok(name),
        // The commas of the list have cut a point in two.
        Err(_) if text.starts_with("patch@") => Err("not a map that can be scored: it depends on the point".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|&value| value > 0).ok_or_else(|| "must be a whole number of at least 1".to_owned())
}

impl Cli {
    /// Whether something is to be measured.
    pub(crate) fn measures(&self, what: Measure) -> bool {
        let asked = |what| self.measure.contains(&what);
        if what == Measure::Sanity && self.is_foreign() {
            return asked(what); // which is refused then
        }
        (self.measure.is_empty() && self.report.is_some()) || asked(Measure::All) || asked(what)
    }

    /// The files of the network, if it is known by its graph.
    pub(crate) fn graph_files(&self) -> Option<GraphFiles> {
        GraphFiles::of(self.foreign.graph.as_deref(), self.weights.as_deref(), self.opening.options())
    }

    /// Whether nobody can make its weights anew: a scripted network's, or those of a graph.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign.torchscript.is_some() || self.graph_files().is_some()
    }

    /// Whether the sanity check belongs to what is measured and cannot be made.
    pub(crate) fn lacks_sanity(&self) -> bool {
        let all = self.measure.contains(&Measure::All) || (self.measure.is_empty() && self.report.is_some());
        all && self.is_foreign()
    }

    /// Where the pictures are.
    pub(crate) fn source(&self) -> Result<PictureSource> {
        PictureSource::at(&self.images)
    }

    /// Which weights are measured, in words.
    pub(crate) fn weights_name(&self) -> String {
        match self.weights.as_ref().or(self.foreign.graph.as_ref()).or(self.foreign.torchscript.as_ref()) {
            Some(path) => path.display().to_string(),
            None if self.plain => "the bundled backbone alone".to_owned(),
            None => "bundled".to_owned(),
        }
    }

    /// The folder of the kept scores, if they are kept.
    pub(crate) fn cache_folder(&self) -> Option<PathBuf> {
        self.cache.clone().or_else(|| self.report.as_ref().map(|folder| folder.join("cache")))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const NEEDED: [&str; 5] = ["cbam-eval", "--images", "a.tar", "--truth", "a.tsv"];

    fn parse(more: &[&str]) -> std::result::Result<Cli, clap::Error> {
        Cli::try_parse_from(NEEDED.iter().chain(more))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn maps_are_a_list_of_those_that_can_be_scored() {
        let cli = parse(&["--maps", "fused,spatial:stage5,patch:2,gradcam,layercam:stage5,rise"]).unwrap();
        let names: Vec<_> = cli.maps.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["fused", "spatial:stage5", "patch:2", "gradcam", "layercam:stage5", "rise"]);
        for wrong in ["patch@3,4", "channel:stage5", "heat", "fused,"] {
            assert!(parse(&["--maps", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_report_measures_all_unless_told_otherwise() {
        let measures = |arguments: &[&str]| {
            let cli = parse(arguments).unwrap();
            [Measure::Faithfulness, Measure::Sanity, Measure::Clutter, Measure::Time].map(|what| cli.measures(what))
        };
        assert_eq!(measures(&[]), [false; 4]);
        assert_eq!(measures(&["--report", "r"]), [true; 4]);
        assert_eq!(measures(&["--measure", "all"]), [true; 4]);
        assert_eq!(measures(&["--report", "r", "--measure", "sanity,time"]), [false, true, false, true]);
        assert_eq!(measures(&["--report", "r", "--measure", "none"]), [false; 4]);
    }

    #[test]
    fn contradictions_and_impossible_numbers_are_refused() {
        for wrong in [
            &["--plain", "--weights", "w"][..],
            &["--size", "0"],
            &["--limit", "0"],
            &["--threads", "0"],
            &["--subset", "0"],
            &["--steps", "0"],
            &["--measure", "beauty"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
