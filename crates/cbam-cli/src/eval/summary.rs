//! From what was measured on each picture to the figures of the set.

use cbam_core::eval::{
    Accuracy, AccuracySummary, BOX_IOUS, BoxAccuracy, Calibration, CalibrationSummary, Difference, Estimate,
    Localisation, LocalisationSummary, MaxBoxAcc, Mean, RESAMPLES, thresholds,
};
use serde::{Serialize, Serializer};

use crate::eval::chosen::Row;
use crate::eval::record::{Faithful, Located, Measured, Seen};
use crate::eval::subject::Subject;

/// Objects that cover less of the picture than the first are small, from the second on large.
const SIZES: [f64; 2] = [0.15, 0.5];

/// Figures over one selection of pictures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) accuracy: AccuracySummary,
    pub(crate) calibration: Option<CalibrationSummary>,
    /// By the subject's name, in the order in which they were asked for.
    #[serde(serialize_with = "as_object")]
    pub(crate) maps: Vec<(String, MapFigures)>,
}

/// How well one map points.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MapFigures {
    #[serde(flatten)]
    pub(crate) summary: LocalisationSummary,
    pub(crate) boxes: [BoxAccuracy; BOX_IOUS.len()],
}

/// How faithful one map is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FaithFigures {
    pub(crate) map: String,
    pub(crate) n: usize,
    pub(crate) insertion: Estimate,
    pub(crate) deletion: Estimate,
    pub(crate) average_drop: Estimate,
    pub(crate) increase: Estimate,
    pub(crate) road: Estimate,
    /// The mean curves, at equal steps from 0 to 1.
    pub(crate) insertion_curve: Vec<f64>,
    pub(crate) deletion_curve: Vec<f64>,
}

/// How much a map changes as the weights are randomised.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SanityFigures {
    pub(crate) map: String,
    pub(crate) n: usize,
    /// The rank correlation with the map before, for each level of randomisation.
    pub(crate) correlation: Vec<Estimate>,
}

/// The difference between two maps in one figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DifferenceFigures {
    pub(crate) map: String,
    pub(crate) against: String,
    pub(crate) figure: &'static str,
    /// Whether more is better.
    pub(crate) high_is_good: bool,
    #[serde(flatten)]
    pub(crate) difference: Difference,
}

fn as_object<S: Serializer>(maps: &[(String, MapFigures)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(maps.iter().map(|(name, figures)| (name, figures)))
}

/// One figure of one map on one picture.
type Value<'a> = Box<dyn Fn(&Measured, usize) -> Option<f64> + 'a>;

/// Everything that was measured, in the order of the rows.
pub(crate) struct Set<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) subjects: &'a [Subject],
    pub(crate) measured: &'a [Measured],
    /// Rows that could not be measured.
    pub(crate) missing: &'a [usize],
}

impl Set<'_> {
    /// Over all pictures.
    pub(crate) fn all(&self) -> Figures {
        self.figures("all", |_| true)
    }

    /// Over those that a table of truth calls small.
    pub(crate) fn small(&self) -> Figures {
        self.figures("small boxes", |row| self.rows[row].truth.as_ref().is_some_and(|truth| truth.small))
    }

    /// By the size of the objects, and over the subset; without selections that are empty or the whole set.
    pub(crate) fn groups(&self, subset: impl Fn(usize) -> bool) -> Vec<Figures> {
        let percent = SIZES.map(|share| (100.0 * share).round());
        let sized = |low: f64, high: f64| {
            move |measured: &&Measured| measured.seen.share.is_some_and(|share| share >= low && share < high)
        };
        let of_size = |name: String, low: f64, high: f64| {
            let chosen: Vec<&Measured> = self.measured.iter().filter(sized(low, high)).collect();
            self.over(name, &chosen, 0)
        };
        let sizes = [
            of_size(format!("small objects, under {} % of the picture", percent[0]), 0.0, SIZES[0]),
            of_size(format!("medium objects, {} to {} %", percent[0], percent[1]), SIZES[0], SIZES[1]),
            of_size(format!("large objects, from {} %", percent[1]), SIZES[1], f64::INFINITY),
        ];
        let subset = self.figures("the subset of the costly maps", subset);
        let costly = self.subjects.iter().any(Subject::is_costly);
        let whole = |figures: &Figures| Self::pictures(figures) == self.measured.len();
        let groups = sizes.into_iter().chain(costly.then_some(subset));
        groups.filter(|figures| Self::pictures(figures) > 0 && !whole(figures)).collect()
    }

    /// How many pictures a selection has.
    fn pictures(figures: &Figures) -> usize {
        figures.maps.iter().map(|(_, map)| map.summary.n as usize).max().unwrap_or(0)
    }

    fn figures(&self, name: &str, choose: impl Fn(usize) -> bool) -> Figures {
        let chosen: Vec<&Measured> = self.measured.iter().filter(|measured| choose(measured.row)).collect();
        let missing = self.missing.iter().filter(|row| choose(**row)).count();
        self.over(name.to_owned(), &chosen, missing)
    }

    fn over(&self, name: String, chosen: &[&Measured], missing: usize) -> Figures {
        let seen: Vec<&Seen> = chosen.iter().map(|measured| &measured.seen).collect();
        let located = |i: usize| chosen.iter().filter_map(move |measured| measured.located[i].as_ref());
        self.summarise(name, &seen, located, missing)
    }

    /// On clutter: of the kinds that training uses together and one by one, and of the kind that it does not.
    pub(crate) fn clutter(&self) -> Vec<Figures> {
        let mut figures = Vec::new();
        for (place, name) in [(0, "clutter that training uses"), (1, "clutter never trained on")] {
            let of = |kind: Option<&str>, name: String| {
                let chosen: Vec<_> = self.measured.iter().filter_map(|measured| measured.clutter.get(place)).collect();
                let chosen: Vec<_> =
                    chosen.into_iter().filter(|view| kind.is_none_or(|kind| view.kind == kind)).collect();
                let seen: Vec<&Seen> = chosen.iter().map(|view| &view.seen).collect();
                let located = |i: usize| chosen.iter().filter_map(move |view| view.located[i].as_ref());
                (!seen.is_empty()).then(|| self.summarise(name, &seen, located, 0))
            };
            let kinds = self.measured.iter().filter_map(|measured| Some(measured.clutter.get(place)?.kind.clone()));
            let mut kinds: Vec<String> = kinds.collect();
            kinds.sort();
            kinds.dedup();
            if let [only] = &kinds[..] {
                figures.extend(of(None, format!("{name}: {only}")));
            } else {
                figures.extend(of(None, name.to_owned()));
                figures.extend(kinds.iter().filter_map(|kind| of(Some(kind), format!("of it {kind}"))));
            }
        }
        figures
    }

    fn summarise<'a, I: Iterator<Item = &'a Located>>(
        &self,
        name: String,
        seen: &[&Seen],
        located: impl Fn(usize) -> I,
        missing: usize,
    ) -> Figures {
        let (mut accuracy, mut calibration, mut classified) = (Accuracy::default(), Calibration::default(), false);
        for seen in seen {
            if let Some((rank, probability)) = seen.truth {
                accuracy.add_rank(rank);
                calibration.add(f64::from(seen.confidence), rank == 0, f64::from(probability));
                classified = true;
            }
        }
        let map = |(i, subject): (usize, &Subject)| {
            let (mut localisation, mut boxes) = (Localisation::default(), MaxBoxAcc::default());
            for located in located(i) {
                localisation.add(&located.score());
                boxes.add(&located.boxes);
            }
            (0..missing).for_each(|_| localisation.add_missing());
            let summary = localisation.summary();
            let figures = MapFigures { summary, boxes: boxes.summary() };
            (subject.to_string(), figures)
        };
        let with_truth = self.rows.iter().any(Row::has_object);
        let subjects = self.subjects.iter().enumerate().filter(|_| with_truth);
        Figures {
            name,
            accuracy: accuracy.summary(),
            calibration: classified.then(|| calibration.summary()),
            maps: subjects.map(map).collect(),
        }
    }

    pub(crate) fn faithfulness(&self) -> Vec<FaithFigures> {
        let of = |(i, subject): (usize, &Subject)| {
            let all: Vec<&Faithful> = self.measured.iter().filter_map(|m| m.faithful[i].as_ref()).collect();
            let mean = |value: &dyn Fn(&Faithful) -> f64| {
                let mut mean = Mean::default();
                for faithful in &all {
                    mean.add(value(faithful));
                }
                mean.estimate()
            };
            let curve = |curve: &dyn Fn(&Faithful) -> &[f32]| -> Vec<f64> {
                let steps = all.first().map_or(0, |first| curve(first).len());
                let at = |step: usize| all.iter().map(|f| f64::from(curve(f)[step])).sum::<f64>() / all.len() as f64;
                (0..steps).map(at).collect()
            };
            (!all.is_empty()).then(|| FaithFigures {
                map: subject.to_string(),
                n: all.len(),
                insertion: mean(&Faithful::insertion_auc),
                deletion: mean(&Faithful::deletion_auc),
                average_drop: mean(&|f| f.drop),
                increase: mean(&|f| f64::from(u8::from(f.increase))),
                road: mean(&|f| f.road),
                insertion_curve: curve(&|f| &f.insertion),
                deletion_curve: curve(&|f| &f.deletion),
            })
        };
        self.subjects.iter().enumerate().filter_map(of).collect()
    }

    pub(crate) fn sanity(&self) -> Vec<SanityFigures> {
        let of = |(i, subject): (usize, &Subject)| {
            let all: Vec<&Vec<f64>> = self.measured.iter().filter_map(|m| m.sane[i].as_ref()).collect();
            let levels = all.first()?.len();
            let level = |level: usize| {
                let mut mean = Mean::default();
                for correlations in &all {
                    mean.add(correlations[level]);
                }
                mean.estimate()
            };
            let correlation = (0..levels).map(level).collect();
            Some(SanityFigures { map: subject.to_string(), n: all.len(), correlation })
        };
        self.subjects.iter().enumerate().filter_map(of).collect()
    }

    /// Every map against one, on the pictures that both were measured on. IoU is taken at each map's own best threshold
    /// of all its pictures.
    pub(crate) fn differences(&self, against: usize, seed: u64) -> cbam_core::Result<Vec<DifferenceFigures>> {
        let all = self.all();
        let best: Vec<usize> = all
            .maps
            .iter()
            .map(|(_, map)| thresholds().iter().position(|t| *t == map.summary.threshold).unwrap_or(0))
            .collect();
        let located = |value: fn(&Located) -> f64| -> Value<'_> {
            Box::new(move |measured, i| measured.located[i].as_ref().map(value))
        };
        let faithful = |value: fn(&Faithful) -> f64| -> Value<'_> {
            Box::new(move |measured, i| measured.faithful[i].as_ref().map(value))
        };
        let figures: [(&'static str, bool, Value<'_>); 8] = [
            ("pointing", true, located(|l| f64::from(u8::from(l.pointing)))),
            ("energy", true, located(|l| l.energy)),
            ("IoU", true, Box::new(|measured, i| Some(measured.located[i].as_ref()?.iou[best[i]]))),
            ("insertion", true, faithful(Faithful::insertion_auc)),
            ("deletion", false, faithful(Faithful::deletion_auc)),
            ("average drop", false, faithful(|f| f.drop)),
            ("increase", true, faithful(|f| f64::from(u8::from(f.increase)))),
            ("ROAD", true, faithful(|f| f.road)),
        ];
        let mut differences = Vec::new();
        for (figure, high_is_good, value) in &figures {
            for (i, subject) in self.subjects.iter().enumerate().filter(|(i, _)| *i != against) {
                if *subject == Subject::Centre && *figure != "pointing" {
                    continue;
                }
                let pairs = self.measured.iter().filter_map(|m| Some((value(m, i)?, value(m, against)?)));
                let (own, other): (Vec<f64>, Vec<f64>) = pairs.unzip();
                if own.is_empty() {
                    continue;
                }
                differences.push(DifferenceFigures {
                    map: subject.to_string(),
                    against: self.subjects[against].to_string(),
                    figure,
                    high_is_good: *high_is_good,
                    difference: Difference::paired(&own, &other, RESAMPLES, seed)?,
                });
            }
        }
        Ok(differences)
    }
}
