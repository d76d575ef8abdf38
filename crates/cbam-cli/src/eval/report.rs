//! The figures: as a table on the terminal, and as JSON.

use std::fmt;

use cbam_core::eval::{AccuracySummary, Estimate, LocalisationSummary, Proportion, Remarks};
use cbam_core::network::RandomLevel;
use cbam_core::study::{DifferenceFigures, FaithFigures, Figures, MapFigures, Missing, SanityFigures, TimeFigures};
use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) arch: String,
    /// Whether the network has attention, or is the backbone alone; none where that cannot be told.
    pub(crate) attention: Option<bool>,
    pub(crate) weights: String,
    pub(crate) short_side: u32,
    pub(crate) device: String,
    pub(crate) images: String,
    /// How the truth is written down; none if there is none.
    pub(crate) truth: Option<String>,
    pub(crate) seed: u64,
    /// The number of pictures that were measured.
    pub(crate) n: usize,
    /// Over all pictures.
    pub(crate) all: Figures,
    /// Over those that a table of truth calls small.
    pub(crate) small: Figures,
    /// By the size of the objects, and over the subset.
    pub(crate) groups: Vec<Figures>,
    pub(crate) faithfulness: Vec<FaithFigures>,
    pub(crate) sanity: Vec<SanityFigures>,
    pub(crate) clutter: Vec<Figures>,
    pub(crate) time: Vec<TimeFigures>,
    pub(crate) differences: Vec<DifferenceFigures>,
    /// How it was measured, a sentence each.
    pub(crate) notes: Vec<String>,
    /// What of the truth and the pictures was left out, changed or assumed.
    pub(crate) remarks: Remarks,
    pub(crate) missing: Vec<Missing>,
    /// Why not all pictures were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stopped: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attention = match self.attention {
            Some(true) => " with attention",
            Some(false) => " without attention",
            None => "",
        };
        let (n, missing) = (self.n, self.missing.len());
        writeln!(f, "{}{attention}, short side {}; {n} pictures, {missing} missing", self.arch, self.short_side)?;
        for figures in [&self.all, &self.small].into_iter().chain(&self.groups) {
            self.group(f, figures)?;
        }
        for figures in &self.clutter {
            self.group(f, figures)?;
        }
        self.faithful(f)?;
        self.sane(f)?;
        self.different(f)?;
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "* {note}"))
    }
}

impl Report {
    fn group(&self, f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
        let AccuracySummary { n, top1, top5 } = &figures.accuracy;
        let pictures = figures.maps.iter().map(|(_, map)| map.summary.n).max().unwrap_or(0).max(*n);
        if pictures == 0 {
            return Ok(());
        }
        writeln!(f, "\n{}, n = {pictures}", figures.name)?;
        match &figures.calibration {
            Some(calibration) => {
                let of = if *n == pictures { String::new() } else { format!("   (n = {n}: their class is known)") };
                writeln!(
                    f,
                    "  top-1 {}   top-5 {}   (95 % interval)   ECE {:.1}{of}",
                    share(top1),
                    share(top5),
                    100.0 * calibration.ece
                )?;
            }
            None if self.truth.is_some() => {
                writeln!(f, "  no class of the truth is one of the network's: localisation alone")?;
            }
            None => {}
        }
        if figures.maps.is_empty() {
            return Ok(());
        }
        write!(f, "  {:<25}{:>5}{:>13}{:>13}{:>13}{:>6}", "map", "n", "pointing", "energy", "IoU", "at")?;
        let time = if std::ptr::eq(figures, &raw const self.all) { self.time_title() } else { "" };
        writeln!(f, "{}", format!("{:>8}{:>6}{:>6}{time:>11}", "box .3", ".5", ".7").trim_end())?;
        for (name, MapFigures { summary, boxes, .. }) in figures.maps.iter().filter(|(_, map)| map.summary.n > 0) {
            let LocalisationSummary { n, pointing, energy, iou, threshold, .. } = summary;
            write!(f, "  {name:<25}{n:>5}{:>13}", percent(pointing))?;
            if name == "centre point" {
                writeln!(f)?;
                continue;
            }
            write!(f, "{:>13}{:>13}{threshold:>6.2}", percent(energy), percent(iou))?;
            let [low, middle, high] = boxes.map(|figure| format!("{:.1}", 100.0 * figure.share.value));
            let time = if time.is_empty() { String::new() } else { self.time_of(name) };
            writeln!(f, "{}", format!("{low:>8}{middle:>6}{high:>6}{time:>11}").trim_end())?;
        }
        Ok(())
    }

    fn time_title(&self) -> &'static str {
        if self.time.is_empty() { "" } else { "s/picture" }
    }

    fn time_of(&self, map: &str) -> String {
        let time = self.time.iter().find(|time| time.map == map);
        time.map_or_else(String::new, |time| format!("{:.3}", time.median_seconds))
    }

    fn faithful(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faithfulness.is_empty() {
            return Ok(());
        }
        let n = self.faithfulness.iter().map(|figures| figures.n).max().unwrap_or(0);
        writeln!(f, "\nfaithfulness, n = {n}")?;
        write!(f, "  {:<25}{:>5}{:>13}{:>13}", "map", "n", "insertion ↑", "deletion ↓")?;
        writeln!(f, "{:>13}{:>13}{:>13}{:>11}", "drop ↓", "increase ↑", "ROAD ↑", self.time_title())?;
        for figures in &self.faithfulness {
            let FaithFigures { map, n, insertion, deletion, average_drop, increase, road, .. } = figures;
            write!(f, "  {map:<25}{n:>5}{:>13}{:>13}", percent(insertion), percent(deletion))?;
            write!(f, "{:>13}{:>13}{:>13}", percent(average_drop), percent(increase), percent(road))?;
            writeln!(f, "{}", format!("{:>11}", self.time_of(map)).trim_end())?;
        }
        Ok(())
    }

    fn sane(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.sanity.first() else { return Ok(()) };
        let n = first.n;
        writeln!(f, "\nsanity check: rank correlation with the map before the weights were randomised, n = {n}")?;
        write!(f, "  {:<25}", "map")?;
        RandomLevel::ALL.iter().try_for_each(|level| write!(f, "{level:>26}"))?;
        writeln!(f)?;
        for SanityFigures { map, correlation, .. } in &self.sanity {
            write!(f, "  {map:<25}")?;
            for estimate in correlation {
                let text = format!("{:.2} ± {:.2}", estimate.value, estimate.standard_error);
                write!(f, "{text:>26}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn different(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.differences.first() else { return Ok(()) };
        let against = &first.against;
        writeln!(f, "\ndifference to {against}, with its 95 % interval (paired bootstrap); * leaves out 0")?;
        writeln!(f, "  {:<25}{:<14}{:>5}{:>12}{:>20}", "map", "figure", "n", "difference", "interval")?;
        for DifferenceFigures { map, figure, difference, .. } in &self.differences {
            let star = if difference.is_clear() { " *" } else { "" };
            let [mean, low, high] =
                [difference.mean, difference.low, difference.high].map(|d| format!("{:+.1}", 100.0 * d));
            let interval = format!("[{low}, {high}]");
            writeln!(f, "  {map:<25}{figure:<14}{:>5}{mean:>12}{interval:>20}{star}", difference.n)?;
        }
        Ok(())
    }
}

pub(crate) fn percent(estimate: &Estimate) -> String {
    format!("{:.1} ± {:.1}", 100.0 * estimate.value, 100.0 * estimate.standard_error)
}

pub(crate) fn share(share: &Proportion) -> String {
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * share.value, 100.0 * share.low, 100.0 * share.high)
}
