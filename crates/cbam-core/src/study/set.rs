//! From what was measured on each picture to the figures of the set.

use super::{
    DifferenceFigures, FaithFigures, Faithful, Figures, Located, MapFigures, Measured, Missing, Row, SanityFigures,
    Seen, Subject,
};
use crate::eval::{Accuracy, Calibration, Difference, Estimate, Localisation, MaxBoxAcc, Mean, RESAMPLES, thresholds};
use crate::{Error, Result};

/// Objects that cover less of the picture than the first are small, from the second on large.
const SIZES: [f64; 2] = [0.15, 0.5];

/// One figure of one map on one picture.
type Value<'a> = Box<dyn Fn(&Measured, usize) -> Option<f64> + 'a>;

/// Everything that was measured, in the order of the rows; [`Study::set`](super::Study::set) makes one.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Set<'a> {
    /// All rows.
    pub rows: &'a [Row],
    /// What was scored.
    pub subjects: &'a [Subject],
    /// What was measured.
    pub measured: &'a [Measured],
    /// What could not be measured; counted beside the figures ([`missing`](crate::eval::LocalisationSummary::missing)).
    pub missing: &'a [Missing],
}

impl Set<'_> {
    /// Over all pictures.
    pub fn all(&self) -> Figures {
        self.figures("all", |_| true)
    }

    /// Over those that a table of truth calls small.
    pub fn small(&self) -> Figures {
        self.figures("small boxes", |row| self.rows[row].truth.as_ref().is_some_and(|truth| truth.small))
    }

    /// By the size of the objects, and over the subset, whose rows `subset` tells ([`Study::subset`](super::Study::subset)); without
    /// selections that are empty or the whole set.
    pub fn groups(&self, subset: impl Fn(usize) -> bool) -> Vec<Figures> {
        let percent = SIZES.map(|share| (100.0 * share).round());
        let of_size = |name: String, low: f64, high: f64| {
            let sized = |m: &&Measured| m.seen.share.is_some_and(|share| share >= low && share < high);
            let chosen: Vec<&Measured> = self.measured.iter().filter(sized).collect();
            self.over(name, &chosen, 0)
        };
        let sizes = [
            of_size(format!("small objects, under {} % of the picture", percent[0]), 0.0, SIZES[0]),
            of_size(format!("medium objects, {} to {} %", percent[0], percent[1]), SIZES[0], SIZES[1]),
            of_size(format!("large objects, from {} %", percent[1]), SIZES[1], f64::INFINITY),
        ];
        let subset = self.figures("the subset of the costly maps", subset);
        let costly = self.subjects.iter().any(Subject::is_costly);
        let whole = |figures: &Figures| pictures(figures) == self.measured.len();
        let groups = sizes.into_iter().chain(costly.then_some(subset));
        groups.filter(|figures| pictures(figures) > 0 && !whole(figures)).collect()
    }

    /// On clutter: of the kinds that training uses together and one by one, and of the kind that it does not.
    pub fn clutter(&self) -> Vec<Figures> {
        let places = [(0, "clutter that training uses"), (1, "clutter never trained on")];
        places.into_iter().flat_map(|(place, name)| self.clutter_at(place, name)).collect()
    }

    fn clutter_at(&self, place: usize, name: &str) -> Vec<Figures> {
        let of = |kind: Option<&str>, name: String| {
            let views = self.measured.iter().filter_map(|measured| measured.clutter.get(place));
            let chosen: Vec<_> = views.filter(|view| kind.is_none_or(|kind| view.kind == kind)).collect();
            let seen: Vec<&Seen> = chosen.iter().map(|view| &view.seen).collect();
            let located = |i: usize| chosen.iter().filter_map(move |view| view.located[i].as_ref());
            (!seen.is_empty()).then(|| self.summarise(name, &seen, located, 0))
        };
        let kinds = self.measured.iter().filter_map(|measured| Some(measured.clutter.get(place)?.kind.clone()));
        let mut kinds: Vec<String> = kinds.collect();
        kinds.sort();
        kinds.dedup();
        if let [only] = &kinds[..] {
            return of(None, format!("{name}: {only}")).into_iter().collect();
        }
        let each = kinds.iter().filter_map(|kind| of(Some(kind), format!("of it {kind}")));
        of(None, name.to_owned()).into_iter().chain(each).collect()
    }

    fn figures(&self, name: &str, choose: impl Fn(usize) -> bool) -> Figures {
        let chosen: Vec<&Measured> = self.measured.iter().filter(|measured| choose(measured.row)).collect();
        let missing = self.missing.iter().filter(|missing| choose(missing.row)).count();
        self.over(name.to_owned(), &chosen, missing)
    }

    fn over(&self, name: String, chosen: &[&Measured], missing: usize) -> Figures {
        let seen: Vec<&Seen> = chosen.iter().map(|measured| &measured.seen).collect();
        let located = |i: usize| chosen.iter().filter_map(move |measured| measured.maps[i].located.as_ref());
        self.summarise(name, &seen, located, missing)
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
        let map = |(i, subject): (usize, &Subject)| (subject.to_string(), point(located(i), missing));
        let with_truth = self.rows.iter().any(Row::has_object);
        let subjects = self.subjects.iter().enumerate().filter(|_| with_truth);
        Figures {
            name,
            accuracy: accuracy.summary(),
            calibration: classified.then(|| calibration.summary()),
            maps: subjects.map(map).collect(),
        }
    }

    /// How faithful each map is, where that was measured.
    pub fn faithfulness(&self) -> Vec<FaithFigures> {
        let of = |(i, subject): (usize, &Subject)| {
            let all = self.measured.iter().filter_map(|measured| measured.maps[i].faithful.as_ref());
            faithful(subject, &all.collect::<Vec<_>>())
        };
        self.subjects.iter().enumerate().filter_map(of).collect()
    }

    /// How much each map changes as the weights are randomised, where that was measured.
    pub fn sanity(&self) -> Vec<SanityFigures> {
        let of = |(i, subject): (usize, &Subject)| {
            let all: Vec<&Vec<f64>> = self.measured.iter().filter_map(|m| m.maps[i].sane.as_ref()).collect();
            let levels = all.first()?.len();
            let level = |level: usize| mean(all.iter().map(|correlations| correlations[level]));
            let correlation = (0..levels).map(level).collect();
            Some(SanityFigures { map: subject.to_string(), n: all.len(), correlation })
        };
        self.subjects.iter().enumerate().filter_map(of).collect()
    }

    /// Every map against that of the subject at the place `against`, on the pictures that both were measured on. IoU is taken at each
    /// map's own best threshold of all its pictures. The resamples are drawn from `seed`.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no subject at that place; as [`Difference::paired`].
    pub fn differences(&self, against: usize, seed: u64) -> Result<Vec<DifferenceFigures>> {
        let against_name = self.subjects.get(against).map(ToString::to_string);
        let against_name =
            against_name.ok_or_else(|| Error::argument("against", format!("no subject at {against}")))?;
        let best = self.best_thresholds();
        let mut differences = Vec::new();
        for (figure, high_is_good, value) in &compared(&best) {
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
                    against: against_name.clone(),
                    figure,
                    high_is_good: *high_is_good,
                    difference: Difference::paired(&own, &other, RESAMPLES, seed)?,
                });
            }
        }
        Ok(differences)
    }

    /// The place of each map's best threshold.
    fn best_thresholds(&self) -> Vec<usize> {
        let best = |map: &MapFigures| thresholds().iter().position(|t| *t == map.summary.threshold).unwrap_or(0);
        self.all().maps.iter().map(|(_, map)| best(map)).collect()
    }
}

/// How many pictures a selection has.
fn pictures(figures: &Figures) -> usize {
    figures.maps.iter().map(|(_, map)| map.summary.n as usize).max().unwrap_or(0)
}

/// How well one map points.
fn point<'a>(located: impl Iterator<Item = &'a Located>, missing: usize) -> MapFigures {
    let (mut localisation, mut boxes) = (Localisation::default(), MaxBoxAcc::default());
    for located in located {
        localisation.add(&located.score());
        boxes.add(&located.boxes);
    }
    (0..missing).for_each(|_| localisation.add_missing());
    MapFigures { summary: localisation.summary(), boxes: boxes.summary() }
}

fn faithful(subject: &Subject, all: &[&Faithful]) -> Option<FaithFigures> {
    let of = |value: &dyn Fn(&Faithful) -> f64| mean(all.iter().map(|faithful| value(faithful)));
    let curve = |curve: &dyn Fn(&Faithful) -> &[f32]| -> Vec<f64> {
        let steps = all.first().map_or(0, |first| curve(first).len());
        let at = |step: usize| all.iter().map(|f| f64::from(curve(f)[step])).sum::<f64>() / all.len() as f64;
        (0..steps).map(at).collect()
    };
    (!all.is_empty()).then(|| FaithFigures {
        map: subject.to_string(),
        n: all.len(),
        insertion: of(&Faithful::insertion_auc),
        deletion: of(&Faithful::deletion_auc),
        average_drop: of(&|f| f.drop),
        increase: of(&|f| f64::from(u8::from(f.increase))),
        road: of(&|f| f.road),
        insertion_curve: curve(&|f| &f.insertion),
        deletion_curve: curve(&|f| &f.deletion),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Estimate {
    let mut mean = Mean::default();
    values.for_each(|value| mean.add(value));
    mean.estimate()
}

/// The figures in which maps are compared: the name, whether high is good, and the value.
fn compared(best: &[usize]) -> [(&'static str, bool, Value<'_>); 8] {
    let located = |value: fn(&Located) -> f64| -> Value<'_> {
        Box::new(move |measured, i| measured.maps[i].located.as_ref().map(value))
    };
    let faithful = |value: fn(&Faithful) -> f64| -> Value<'_> {
        Box::new(move |measured, i| measured.maps[i].faithful.as_ref().map(value))
    };
    [
        ("pointing", true, located(|l| f64::from(u8::from(l.pointing)))),
        ("energy", true, located(|l| l.energy)),
        ("IoU", true, Box::new(|measured, i| Some(measured.maps[i].located.as_ref()?.iou[best[i]]))),
        ("insertion", true, faithful(Faithful::insertion_auc)),
        ("deletion", false, faithful(Faithful::deletion_auc)),
        ("average drop", false, faithful(|f| f.drop)),
        ("increase", true, faithful(|f| f64::from(u8::from(f.increase)))),
        ("ROAD", true, faithful(|f| f.road)),
    ]
}
