//! The tables of the HTML report, and how things were measured, in sentences.

use cbam_core::eval::{Difference, Estimate, FaithfulnessOptions, Proportion, RESAMPLES};
use cbam_core::network::RandomLevel;
use cbam_core::study::{Figures, Row, Study, TIMED};
use serde::Serialize;

use crate::eval::report::{Report, share};

/// A table.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    title: String,
    /// A line under the title.
    note: String,
    header: Vec<String>,
    rows: Vec<TableRow>,
}

#[derive(Debug, Serialize)]
struct TableRow {
    name: String,
    baseline: bool,
    cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
struct Cell {
    value: String,
    /// Its standard error; none where the column has none.
    error: Option<String>,
    /// A smaller line under it.
    under: String,
    /// `best` of its column among maps, `near`: not told apart from that, or `clear`: a difference that is sure.
    mark: &'static str,
}

/// A column's value.
struct Value {
    text: String,
    error: String,
    under: String,
    /// What is compared, if it is.
    score: Option<Score>,
    /// Whether it is a difference that is sure.
    clear: bool,
}

/// What is compared: high is good.
#[derive(Clone, Copy)]
struct Score {
    value: f64,
    standard_error: Option<f64>,
}

/// How many standard errors an interval of 95 % reaches to each side.
const REACH: f64 = 1.96;

impl Score {
    /// Whether the interval of the difference to a better one holds 0, where there are intervals.
    fn is_near(self, best: Self) -> bool {
        let errors = self.standard_error.zip(best.standard_error);
        errors.is_some_and(|(own, other)| best.value - self.value < REACH * own.hypot(other))
    }
}

impl Value {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), error: String::new(), under: String::new(), score: None, clear: false }
    }

    fn lines(text: String, under: String) -> Self {
        Self { under, ..Self::text(text) }
    }

    /// In per cent; `sign` is -1 where low is good.
    fn estimate(estimate: &Estimate, sign: f64) -> Self {
        let Estimate { value, standard_error, .. } = *estimate;
        let score = Score { value: sign * value, standard_error: Some(standard_error) };
        let [text, error] = [value, standard_error].map(|part| format!("{:.1}", 100.0 * part));
        Self { error: format!("± {error}"), score: Some(score), ..Self::text(text) }
    }

    fn high(estimate: &Estimate) -> Self {
        Self::estimate(estimate, 1.0)
    }

    fn low(estimate: &Estimate) -> Self {
        Self::estimate(estimate, -1.0)
    }

    /// A share of the pictures, in per cent.
    fn share(share: &Proportion) -> Self {
        let standard_error = (share.high - share.low) / (2.0 * REACH);
        let score = Score { value: share.value, standard_error: Some(standard_error) };
        Self { score: Some(score), ..Self::text(format!("{:.1}", 100.0 * share.value)) }
    }

    /// Not compared.
    fn plain(self) -> Self {
        Self { score: None, ..self }
    }
}

fn table(title: &str, note: String, header: &[&str], rows: Vec<(String, Vec<Value>)>) -> Table {
    let baseline = |name: &str| name.starts_with("centre ");
    let columns = rows.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    // Where all maps are equal, none is best.
    let best: Vec<Option<Score>> = (0..columns)
        .map(|column| {
            let own = || rows.iter().filter(|(name, _)| !baseline(name));
            let scores = || own().filter_map(|(_, values)| values.get(column)?.score);
            let best = scores().reduce(|a, b| if b.value > a.value { b } else { a });
            best.filter(|best| scores().any(|score| score.value < best.value))
        })
        .collect();
    let has_error =
        |column: usize| rows.iter().any(|(_, values)| values.get(column).is_some_and(|v| !v.error.is_empty()));
    let with_errors: Vec<_> = (0..columns).map(has_error).collect();
    let rows = rows.into_iter().map(|(name, mut values)| {
        values.resize_with(columns, || Value::text(""));
        let cell = |((value, best), with_errors): ((Value, &Option<Score>), &bool)| {
            let mark = match value.score.zip(*best).filter(|_| !baseline(&name)) {
                Some((score, best)) if score.value == best.value => "best",
                Some((score, best)) if score.is_near(best) => "near",
                _ if value.clear => "clear",
                _ => "",
            };
            Cell { value: value.text, error: with_errors.then_some(value.error), under: value.under, mark }
        };
        let cells = values.into_iter().zip(&best).zip(&with_errors).map(cell).collect();
        TableRow { baseline: baseline(&name), cells, name }
    });
    Table {
        title: title.to_owned(),
        note,
        header: header.iter().map(ToString::to_string).collect(),
        rows: rows.collect(),
    }
}

/// The tables of a report, in the order of the page: localisation, clutter, faithfulness, sanity, differences.
pub(crate) fn tables(report: &Report) -> [Vec<Table>; 5] {
    let groups =
        |groups: &mut dyn Iterator<Item = &Figures>| groups.filter_map(|group| localisation(report, group)).collect();
    [
        groups(&mut [&report.all, &report.small].into_iter().chain(&report.groups)),
        groups(&mut report.clutter.iter()),
        faithfulness(report).into_iter().collect(),
        sanity(report).into_iter().collect(),
        differences(report),
    ]
}

/// The seconds of a map, as a cell.
fn seconds(report: &Report, map: &str) -> Value {
    let time = report.time.iter().find(|time| time.map == map);
    time.map_or_else(
        || Value::text(""),
        |time| {
            let score = Score { value: -time.median_seconds, standard_error: None };
            Value { score: Some(score), ..Value::text(format!("{:.3}", time.median_seconds)) }
        },
    )
}

fn localisation(report: &Report, group: &Figures) -> Option<Table> {
    let most = group.maps.iter().map(|(_, map)| map.summary.n).max().unwrap_or(0);
    let rows = group.maps.iter().filter(|(_, map)| map.summary.n > 0).map(|(name, map)| {
        let summary = &map.summary;
        let mut values = vec![Value::text(summary.n.to_string()), Value::high(&summary.pointing)];
        if name != "centre point" {
            values.push(Value::high(&summary.energy));
            values.push(Value::high(&summary.iou));
            values.push(Value::text(format!("{:.2}", summary.threshold)));
            values.extend(map.boxes.iter().map(|of_box| Value::share(&of_box.share)));
            values.push(seconds(report, name));
        }
        // What was measured on fewer pictures is not compared: the table of the subset does that.
        if summary.n < most {
            values = values.into_iter().map(Value::plain).collect();
        }
        (name.clone(), values)
    });
    let rows: Vec<_> = rows.collect();
    let n = group.accuracy.n;
    let note = match &group.calibration {
        Some(calibration) => format!(
            "top-1 {}, top-5 {} (95 % Wilson interval), ECE {:.1}, negative log likelihood {:.2}; n = {n}",
            share(&group.accuracy.top1),
            share(&group.accuracy.top5),
            100.0 * calibration.ece,
            calibration.nll
        ),
        None if !rows.is_empty() => "no class of the truth is one of the network's: localisation alone".to_owned(),
        None => return None,
    };
    let header = ["map", "n", "pointing", "energy", "IoU", "at", "MaxBoxAcc 0.3", "0.5", "0.7", "seconds ↓"];
    let timed = !report.time.is_empty() && std::ptr::eq(group, &raw const report.all);
    let header = if timed { &header[..] } else { &header[..9] };
    let rows = rows.into_iter().map(|(name, mut values)| {
        values.truncate(header.len() - 1);
        (name, values)
    });
    let counted = group.maps.iter().map(|(_, map)| map.summary.n).max().unwrap_or(n).max(n);
    Some(table(&format!("{}, n = {counted}", group.name), note, header, rows.collect()))
}

fn faithfulness(report: &Report) -> Option<Table> {
    let n = report.faithfulness.iter().map(|figures| figures.n).max()?;
    let rows = report.faithfulness.iter().map(|figures| {
        let values = vec![
            Value::text(figures.n.to_string()),
            Value::high(&figures.insertion),
            Value::low(&figures.deletion),
            Value::low(&figures.average_drop),
            Value::high(&figures.increase),
            Value::high(&figures.road),
            seconds(report, &figures.map),
        ];
        (figures.map.clone(), values)
    });
    let header = ["map", "n", "insertion ↑", "deletion ↓", "average drop ↓", "increase ↑", "ROAD ↑", "seconds ↓"];
    let header = if report.time.is_empty() { &header[..7] } else { &header[..] };
    let rows = rows.map(|(name, mut values)| {
        values.truncate(header.len() - 1);
        (name, values)
    });
    Some(table(&format!("The subset, n = {n}"), String::new(), header, rows.collect()))
}

fn sanity(report: &Report) -> Option<Table> {
    let n = report.sanity.first()?.n;
    let rows = report.sanity.iter().map(|figures| {
        let cell = |estimate: &Estimate| Value {
            error: format!("± {:.2}", estimate.standard_error),
            ..Value::text(format!("{:.2}", estimate.value))
        };
        (figures.map.clone(), figures.correlation.iter().map(cell).collect())
    });
    let header: Vec<&str> = std::iter::once("map").chain(RandomLevel::ALL.map(RandomLevel::name)).collect();
    Some(table(&format!("Rank correlation with the map before, n = {n}"), String::new(), &header, rows.collect()))
}

fn differences(report: &Report) -> Vec<Table> {
    let Some(first) = report.differences.first() else { return Vec::new() };
    let mut figures: Vec<&str> = report.differences.iter().map(|found| found.figure).collect();
    figures.dedup();
    let mut maps: Vec<&str> = Vec::new();
    for found in &report.differences {
        if !maps.contains(&found.map.as_str()) {
            maps.push(&found.map);
        }
    }
    let cell = |map: &str, figure: &str| {
        let found = report.differences.iter().find(|found| found.map == map && found.figure == figure);
        let Some(found) = found else { return Value::text("") };
        let Difference { n, mean, low, high } = found.difference;
        let [mean, low, high] = [mean, low, high].map(|d| format!("{:+.1}", 100.0 * d));
        Value { clear: found.difference.is_clear(), ..Value::lines(mean, format!("[{low}, {high}] n = {n}")) }
    };
    let rows = maps.iter().map(|map| ((*map).to_owned(), figures.iter().map(|figure| cell(map, figure)).collect()));
    let header: Vec<&str> = std::iter::once("map").chain(figures.iter().copied()).collect();
    let note = format!(
        "points of 100; 95 % interval of the paired bootstrap, {RESAMPLES} resamples; marked where it leaves out 0; for deletion and average drop less is better"
    );
    vec![table(&format!("Each map less {}", first.against), note, &header, rows.collect())]
}

/// How it was measured, a sentence each.
pub(crate) fn notes(study: &Study<'_>, timed: bool, lacks_sanity: bool) -> Vec<String> {
    let (pictures, options) = (study.pictures(), study.options());
    let mut notes = Vec::new();
    let mut add = |note: String| notes.push(note);
    if pictures.rows.iter().any(Row::has_object) {
        add("pointing, energy and IoU as means ± standard error, in per cent; IoU at the one threshold of 0.02, 0.04 … 0.98 that is best for the set; MaxBoxAcc: the share of pictures whose box around the largest part over the best threshold has an IoU of at least 0.3, 0.5, 0.7".into());
        add("centre point: the central pixel; centre Gaussian: standard deviation a quarter of each side".into());
    }
    let costly: Vec<String> = study.subjects().iter().filter(|s| s.is_costly()).map(ToString::to_string).collect();
    let n = study.subset().len();
    if !costly.is_empty() {
        add(format!("{}: on a fixed subset, n = {n} (seed {})", costly.join(", "), options.seed));
    }
    if let Some(FaithfulnessOptions { steps, blur, road_percentiles, road_noise, .. }) = &options.faithfulness {
        let percentiles: Vec<String> = road_percentiles.iter().map(ToString::to_string).collect();
        add(format!(
            "faithfulness on a fixed subset, n = {n} (seed {}), for the class that comes first; insertion from a picture blurred with σ = {:.1} pixels and deletion to grey, {steps} steps, area under the confidence; drop and increase: picture times map; ROAD: noisy linear imputation (noise {road_noise}) at {} %, half of least relevant removed less most relevant removed",
            options.seed,
            blur * f64::from(study.preprocess().short_side),
            percentiles.join(", ")
        ));
    }
    if !study.sane().is_empty() {
        add(format!(
            "sanity check (cascading, n = {}): fresh weights from the classifier down, the attention's shuffled; a map that tells about the network changes, so its rank correlation falls to 0 (a map that becomes flat has none, and counts as 0); the costly maps are left out",
            study.sane().len()
        ));
    }
    if lacks_sanity {
        add("no sanity check: nobody can make the weights of this network anew".into());
    }
    if let Some(clutter) = study.clutter() {
        let (others, wallpapers) = clutter.grounds();
        add(format!(
            "clutter: each picture at 0.4 to 1 of the sides on grounds of {others} other pictures (textures, blurred, shuffled tiles) and {wallpapers} wallpapers, and on stripes and bright shapes, which training never uses; the costly maps are left out"
        ));
    }
    for remark in pictures.remarks.iter().chain(study.remarks()) {
        add(remark.to_string());
    }
    if timed {
        add(format!("seconds: median of up to {TIMED} pictures, one at a time, from the prepared picture to the map"));
    }
    notes
}
