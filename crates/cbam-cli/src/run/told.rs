//! The words about what a run did.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cbam_core::network::Outputs;
use cbam_core::pipeline::{PictureReport, Target, TopClass};
use cbam_core::text::{percent, printable_path};

use crate::common::duration::duration;
use crate::run::request::Request;

/// The least probability at which one of several labels is named beside the likeliest.
const NAMED: f32 = 0.5;

/// `coffee.jpg: espresso 92.1 % -> coffee-overlay.png`; with the class that is explained, if that is another, and with the page's file.
pub(crate) fn picture(picture: &PictureReport, page: Option<&Path>) -> String {
    let answer = answer(picture);
    let likeliest = picture.top.first().map(|top| top.class);
    let explained = picture.explained.as_ref().filter(|explained| Some(explained.class) != likeliest);
    let between = if answer.is_empty() { "" } else { "; " };
    let explained = explained.map(|class| format!("{between}explained: {}", named(class))).unwrap_or_default();
    let page = page.map(|path| path.display().to_string());
    let outputs: Vec<_> = picture.outputs.iter().cloned().chain(page).collect();
    let arrow = if outputs.is_empty() { "" } else { " -> " };
    let colon = if answer.is_empty() && explained.is_empty() { "" } else { ": " };
    format!("{}{colon}{answer}{explained}{arrow}{}", picture.input, outputs.join(", "))
}

/// The likeliest class, or, where each class is judged by itself, all that are rather there than not.
fn answer(picture: &PictureReport) -> String {
    let by_itself = picture.outputs_are.is_some_and(|outputs| outputs != Outputs::Softmax);
    let more = picture.top.iter().skip(1).filter(|class| by_itself && class.probability >= Some(NAMED));
    picture.top.iter().take(1).chain(more).map(named).collect::<Vec<_>>().join(", ")
}

fn named(class: &TopClass) -> String {
    class.probability.map_or_else(|| class.label.clone(), |share| format!("{} {}", class.label, percent(share)))
}

/// What to say about the maps that were asked for and tell no place from another.
pub(crate) fn flat(picture: &PictureReport) -> Vec<String> {
    let line = |(map, value): (&String, &f32)| {
        let of_class = map.parse().is_ok_and(|map: cbam_core::maps::MapName| map.needs_class());
        let class = picture.explained.as_ref().filter(|_| of_class);
        let meaning = match (class, *value) {
            (Some(class), 0.0) if class.label == format!("class {}", class.class) => {
                format!("nothing speaks for class {}: the map is 0 everywhere", class.class)
            }
            (Some(class), 0.0) if class.probability.is_none() => {
                format!("nothing speaks for {}: the map is 0 everywhere", class.label)
            }
            (Some(class), 0.0) => {
                format!("nothing speaks for class {} ({}): the map is 0 everywhere", class.class, class.label)
            }
            (_, value) => format!("the map is {value} everywhere and tells no place from another"),
        };
        format!("{}: {map}: {meaning}", picture.input)
    };
    picture.flat.iter().map(line).collect()
}

/// How many pictures there were, and what became of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) done: usize,
    pub(crate) failed: usize,
}

/// `36 pictures, 0 failed -> overlays/, r.json (1.2 s, 30/s)`
pub(crate) fn run(Count { done, failed }: Count, places: &[String], time: Duration) -> String {
    let total = done + failed;
    let pictures = if total == 1 { "picture" } else { "pictures" };
    let arrow = if done > 0 && !places.is_empty() { format!(" -> {}", places.join(", ")) } else { String::new() };
    let seconds = time.as_secs_f64();
    let rate = if done > 0 { format!(", {}", rate(done as f64 / seconds.max(1e-3))) } else { String::new() };
    format!("{total} {pictures}, {failed} failed{arrow} ({}{rate})", duration(seconds))
}

/// Pictures a second, or a minute where it takes long: `30/s`, `2.5/s`, `12/min`.
pub(crate) fn rate(a_second: f64) -> String {
    match a_second {
        fast if fast >= 10.0 => format!("{fast:.0}/s"),
        some if some >= 0.5 => format!("{some:.1}/s"),
        slow => format!("{:.1}/min", 60.0 * slow),
    }
}

/// Where the outputs of many pictures go.
pub(crate) fn places(request: &Request) -> Vec<String> {
    let outputs = &request.outputs;
    let folders = [&outputs.out_dir, &outputs.panel_dir, &outputs.maps_dir].into_iter().flatten();
    let folder = |folder: &PathBuf| format!("{}/", printable_path(folder).to_string().trim_end_matches('/'));
    let kind = if request.options.compare { "compare" } else { "overlay" };
    let beside = outputs.beside.then(|| format!("*-{kind}.{} beside them", outputs.format.extension()));
    let json = request.json.iter().filter_map(|target| match target {
        Target::File(path) => Some(printable_path(path).to_string()),
        Target::Stream(_) => None,
    });
    let page = outputs.html.iter().map(|path| printable_path(path).to_string());
    folders.map(folder).chain(beside).chain(json).chain(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_what_it_did() {
        let places = ["overlays/".to_owned(), "r.json".to_owned()];
        let said = |done, failed, seconds: f64| run(Count { done, failed }, &places, Duration::from_secs_f64(seconds));
        assert_eq!(said(36, 0, 1.2), "36 pictures, 0 failed -> overlays/, r.json (1.2 s, 30/s)");
        assert_eq!(said(2, 1, 125.0), "3 pictures, 1 failed -> overlays/, r.json (2 min 5 s, 1.0/min)");
        assert_eq!(said(0, 2, 0.01), "2 pictures, 2 failed (0.0 s)");
        assert_eq!([120.4, 10.0, 3.25, 0.5, 0.1].map(rate), ["120/s", "10/s", "3.2/s", "0.5/s", "6.0/min"]);
    }
}
