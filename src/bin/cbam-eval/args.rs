//! The command line.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use cbam::eval::{PictureSource, TruthRow, read_truth};
use cbam::maps::MapName;
use cbam::network::Network;
use cbam::photo::Preprocess;
use cbam::sys::DeviceSpec;
use cbam::{Error, Result};
use clap::Parser;

/// Measure a network: how often its class is right, and how well its maps point at what the truth boxes in.
///
/// Prints top-1 and top-5 accuracy; and for each map the pointing game, the energy in the boxes and the IoU at the best
/// threshold, over all pictures and over those with small boxes, beside the centre of the picture as the baseline.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        cbam-eval --images val.tar --truth val.tsv\n  \
        cbam-eval --images val/ --truth val.tsv --maps fused,gradcam --json figures.json\n  \
        cbam-eval --images val.tar --truth val.tsv --plain        the backbone alone, as the reference"
)]
pub(crate) struct Cli {
    /// The pictures: a folder or a tar archive that holds the paths of the truth
    #[arg(long, value_name = "DIR|TAR")]
    pub(crate) images: PathBuf,
    /// The truth, tab-separated: image, class, width, height, small (0 or 1), boxes (x0,y0,x1,y1;…)
    #[arg(long, value_name = "TSV")]
    pub(crate) truth: PathBuf,
    /// The maps to score: fused, spatial, spatial:STAGE, patch, patch:HEAD, gradcam [default: those of fused, spatial,
    /// patch and gradcam that the network has]
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = map_name)]
    pub(crate) maps: Vec<MapName>,
    /// Save every map as STEM.npy, in a folder of its own below DIR for each of several maps
    #[arg(long, value_name = "DIR")]
    pub(crate) maps_dir: Option<PathBuf>,
    /// Only the rows whose boxes are small
    #[arg(long)]
    pub(crate) small: bool,
    /// Only the first N rows
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) limit: Option<usize>,
    /// The short side of the pictures that the network sees [default: the network's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=i64::from(Preprocess::MAX_SHORT_SIDE)))]
    pub(crate) size: Option<u32>,
    /// The network's weights [default: the bundled ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// The bundled backbone alone, without attention
    #[arg(long, conflicts_with = "weights")]
    pub(crate) plain: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value_t, value_name = "DEVICE")]
    pub(crate) device: DeviceSpec,
    /// Threads; all cores by default
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Write the figures, and which pictures could not be scored, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// No progress bar
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

fn map_name(text: &str) -> std::result::Result<MapName, String> {
    match text.parse() {
        Ok(MapName::PatchAt(..) | MapName::Channel(_)) | Err(_) => {
            Err("not a map that can be scored: fused, spatial[:STAGE], patch[:HEAD] or gradcam".to_owned())
        }
        Ok(name) => Ok(name),
    }
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|&value| value > 0).ok_or_else(|| "must be a whole number of at least 1".to_owned())
}

impl Cli {
    /// The rows of the truth that are asked for.
    pub(crate) fn rows(&self) -> Result<Vec<TruthRow>> {
        let rows = read_truth(&self.truth)?.into_iter().filter(|row| row.small || !self.small);
        let rows: Vec<_> = rows.take(self.limit.unwrap_or(usize::MAX)).collect();
        if rows.is_empty() {
            let rows = if self.small { "row with small = 1" } else { "row" };
            return Err(Error::argument("--truth", format!("{} has no {rows}", self.truth.display())));
        }
        let mut stems = HashSet::new();
        let twin = rows.iter().find(|row| self.maps_dir.is_some() && !stems.insert(stem(row)));
        twin.map_or(Ok(()), |row| {
            let message = format!("a second picture would be saved as {}.npy: {}", stem(row), row.image);
            Err(Error::argument("--maps-dir", message))
        })?;
        Ok(rows)
    }

    /// Where the pictures are.
    pub(crate) fn source(&self) -> Result<PictureSource> {
        PictureSource::at(&self.images)
    }

    /// The network to measure.
    pub(crate) fn network(&self, device: tch::Device) -> Result<Network> {
        match &self.weights {
            Some(path) => Network::open(path, device),
            None if self.plain => Network::plain(device),
            None => Network::pretrained(device),
        }
    }
}

/// The name of a picture without its folders and its extension.
pub(crate) fn stem(row: &TruthRow) -> String {
    Path::new(&row.image).file_stem().unwrap_or_default().to_string_lossy().into_owned()
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
        let cli = parse(&["--maps", "fused,spatial:stage5,patch:2,gradcam"]).unwrap();
        let names: Vec<_> = cli.maps.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["fused", "spatial:stage5", "patch:2", "gradcam"]);
        for wrong in ["patch@3,4", "channel:stage5", "heat", "fused,"] {
            assert!(parse(&["--maps", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn contradictions_and_impossible_numbers_are_refused() {
        for wrong in [&["--plain", "--weights", "w"][..], &["--size", "0"], &["--limit", "0"], &["--threads", "0"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
