//! The tables of the HTML report, and how things were measured, in sentences.

use cbam_core::eval::{Difference, Estimate, FaithfulnessOptions, RESAMPLES};
use cbam_core::network::RandomLevel;
use cbam_core::study::{Figures, Row, Study, TIMED};
use serde::Serialize;

use crate::eval::report::{Report, percent, share};

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
    text: String,
    /// A smaller line under it.
    under: String,
    /// Whether it is the best of its column, among maps.
    best: bool,
}

/// A column's value, and which is best.
enum Value {
    Text(String),
    /// Two lines.
    Lines(String, String),
    /// What is compared, and its text; high is good, or low.
    High(f64, String),
    Low(f64, String),
}

impl Value {
    fn high(estimate: &Estimate) -> Self {
        Self::High(estimate.value, percent(estimate))
    }

    fn low(estimate: &Estimate) -> Self {
        Self::Low(estimate.value, percent(estimate))
    }

    /// The text alone.
    fn plain(self) -> Self {
        match self {
            Self::High(_, text) | Self::Low(_, text) => Self::Text(text),
            other => other,
        }
    }
}

fn table(title: &str, note: String, header: &[&str], rows: Vec<(String, Vec<Value>)>) -> Table {
    let baseline = |name: &str| name.starts_with("centre ");
    let score = |value: &Value| match value {
        Value::Text(_) | Value::Lines(..) => None,
        Value::High(value, _) => Some(*value),
        Value::Low(value, _) => Some(-value),
    };
    let columns = rows.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    // Where all maps are equal, none is best.
    let best: Vec<Option<f64>> = (0..columns)
        .map(|column| {
            let own = || rows.iter().filter(|(name, _)| !baseline(name));
            let scores = || own().filter_map(|(_, values)| score(values.get(column)?));
            scores().reduce(f64::max).filter(|best| scores().any(|score| score < *best))
        })
        .collect();
    let rows = rows.into_iter().map(|(name, mut values)| {
        values.resize_with(columns, || Value::Text(String::new()));
        let cell = |(value, best): (Value, &Option<f64>)| {
            let is_best = !baseline(&name) && best.is_some() && score(&value) == *best;
            match value {
                Value::Lines(text, under) => Cell { text, under, best: is_best },
                Value::Text(text) | Value::High(_, text) | Value::Low(_, text) => {
                    Cell { text, under: String::new(), best: is_best }
                }
            }
        };
        let cells = values.into_iter().zip(&best).map(cell).collect();
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
    time.map_or(Value::Text(String::new()), |t| Value::Low(t.median_seconds, format!("{:.3}", t.median_seconds)))
}

fn localisation(report: &Report, group: &Figures) -> Option<Table> {
    let most = group.maps.iter().map(|(_, map)| map.summary.n).max().unwrap_or(0);
    let rows = group.maps.iter().filter(|(_, map)| map.summary.n > 0).map(|(name, map)| {
        let summary = &map.summary;
        let mut values = vec![Value::Text(summary.n.to_string()), Value::high(&summary.pointing)];
        if name != "centre point" {
            values.push(Value::high(&summary.energy));
            values.push(Value::high(&summary.iou));
            values.push(Value::Text(format!("{:.2}", summary.threshold)));
            let boxes = map.boxes.iter().map(|b| Value::High(b.share.value, format!("{:.1}", 100.0 * b.share.value)));
            values.extend(boxes);
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
    let header = ["map", "n", "pointing", "energy", "IoU", "at", "MaxBoxAcc 0.3", "0.5", "0.7", "seconds"];
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
            Value::Text(figures.n.to_string()),
            Value::high(&figures.insertion),
            Value::low(&figures.deletion),
            Value::low(&figures.average_drop),
            Value::high(&figures.increase),
            Value::high(&figures.road),
            seconds(report, &figures.map),
        ];
        (figures.map.clone(), values)
    });
    let header = ["map", "n", "insertion ↑", "deletion ↓", "average drop ↓", "increase ↑", "ROAD ↑", "seconds"];
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
        let cell = |estimate: &Estimate| Value::Text(format!("{:.2} ± {:.2}", estimate.value, estimate.standard_error));
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
        let Some(found) = found else { return Value::Text(String::new()) };
        let Difference { n, mean, low, high } = found.difference;
        let [mean, low, high] = [mean, low, high].map(|d| format!("{:+.1}", 100.0 * d));
        let star = if found.difference.is_clear() { " *" } else { "" };
        Value::Lines(format!("{mean}{star}"), format!("[{low}, {high}] n = {n}"))
    };
    let rows = maps.iter().map(|map| ((*map).to_owned(), figures.iter().map(|figure| cell(map, figure)).collect()));
    let header: Vec<&str> = std::iter::once("map").chain(figures.iter().copied()).collect();
    let note = format!(
        "points of 100; 95 % interval of the paired bootstrap, {RESAMPLES} resamples; * leaves out 0; for deletion and average drop less is better"
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
