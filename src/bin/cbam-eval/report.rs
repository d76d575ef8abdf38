//! The figures, as a table and as JSON.

use std::fmt;

use cbam::backbone::Arch;
use cbam::eval::{AccuracySummary, Estimate, LocalisationSummary, Proportion};
use serde::{Serialize, Serializer};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) arch: Arch,
    /// Whether the network has attention, or is the backbone alone.
    pub(crate) attention: bool,
    pub(crate) short_side: u32,
    /// Over all rows.
    pub(crate) all: Figures,
    /// Over the rows with small boxes.
    pub(crate) small: Figures,
    pub(crate) missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) accuracy: AccuracySummary,
    /// By the map's name, in the order in which they were asked for.
    #[serde(serialize_with = "as_object")]
    pub(crate) maps: Vec<(String, LocalisationSummary)>,
}

/// A picture that could not be scored.
#[derive(Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) image: String,
    pub(crate) reason: String,
}

fn as_object<S: Serializer>(maps: &[(String, LocalisationSummary)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(maps.iter().map(|(name, summary)| (name, summary)))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attention = if self.attention { "with attention" } else { "without attention" };
        writeln!(f, "{} {attention}, short side {}; {} missing", self.arch, self.short_side, self.missing.len())?;
        for (title, figures) in [("all", &self.all), ("small boxes", &self.small)] {
            let AccuracySummary { n, top1, top5 } = &figures.accuracy;
            if *n == 0 {
                continue;
            }
            writeln!(f, "\n{title}, n = {n}")?;
            writeln!(f, "  top-1 {}   top-5 {}   (95 % interval)", share(top1), share(top5))?;
            writeln!(f, "  {:<18}{:>12}{:>12}{:>12}{:>6}", "map", "pointing", "energy", "IoU", "at")?;
            if let Some((_, summary)) = figures.maps.first() {
                writeln!(f, "  {:<18}{:>12}", "centre", percent(&summary.centre))?;
            }
            for (name, LocalisationSummary { pointing, energy, iou, threshold, .. }) in &figures.maps {
                let [pointing, energy, iou] = [pointing, energy, iou].map(percent);
                writeln!(f, "  {name:<18}{pointing:>12}{energy:>12}{iou:>12}{threshold:>6.2}")?;
            }
        }
        Ok(())
    }
}

fn percent(estimate: &Estimate) -> String {
    format!("{:.1} ± {:.1}", 100.0 * estimate.value, 100.0 * estimate.standard_error)
}

fn share(share: &Proportion) -> String {
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * share.value, 100.0 * share.low, 100.0 * share.high)
}
