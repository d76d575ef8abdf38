//! The parts of a page that are the same in all: its frame, its style and its program.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// The frame; the names in double braces are the places of what is put into it.
const TEMPLATE: &str = include_str!("../../../web/page.html");

const STYLE: &str = concat!(include_str!("../../../web/page.css"), include_str!("../../../web/report.css"));

/// That of a film's page.
const FILM_STYLE: &str = concat!(include_str!("../../../web/page.css"), include_str!("../../../web/film/film.css"));

/// That of the live page.
pub(super) const LIVE_STYLE: &str = concat!(
    include_str!("../../../web/page.css"),
    include_str!("../../../web/report.css"),
    include_str!("../../../web/live/live.css")
);

/// What stands in the live page above its pictures.
pub(super) const LIVE: &str = include_str!("../../../web/live/live.html");

macro_rules! scripts {
    ($($name:literal)+) => {
        concat!($(include_str!(concat!("../../../web/", $name, ".js"))),+)
    };
}

/// What all programs of pages have: scripts that share their names, each using those before it.
#[rustfmt::skip]
macro_rules! shared {
    () => {
        scripts!(
            "data" "maps" "fuse" "attention" "paint" "npy" "words" "command" "dom" "store" "combobox" "view" "truth" "draw"
            "viewer-photo" "viewer-truth" "viewer-point" "viewer-patch" "viewer-maps" "range" "viewer-look" "viewer-classes"
            "viewer-gates" "viewer-take" "keys" "viewer-keys" "viewer" "pictures" "gallery-order" "gallery-card"
            "gallery-report" "gallery" "routes" "report-chart" "report"
        )
    };
}

/// The program of a page.
const SCRIPT: &str = concat!("\"use strict\";\n", shared!(), scripts!("start"));

/// That of a film's page.
const FILM_SCRIPT: &str =
    concat!("\"use strict\";\n", shared!(), scripts!("film/data" "film/course" "film/player" "film/film" "start"));

/// That of the live page.
pub(super) const LIVE_SCRIPT: &str = concat!(
    "\"use strict\";\n",
    shared!(),
    scripts!(
        "live/client" "live/engine" "live/worker" "live/served" "live/photos" "live/asking" "live/remove" "live/intake" "live/camera"
        "live/network" "live/live"
    ),
    scripts!("start")
);

/// What a page's style and program are, and what it is allowed beside them.
pub(super) struct Kind {
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    /// Whether its script may load others.
    loads: bool,
    /// What else it may show.
    media: &'static str,
}

impl Kind {
    /// What the browser is told to allow: the page's own script and style and what they hold, and what the script loads, of pages in parts.
    pub(super) fn policy(&self) -> String {
        let (script, style) = (hash(self.script), hash(self.style));
        let dynamic = if self.loads { " 'strict-dynamic'" } else { "" };
        format!(
            "default-src 'none'; script-src {script}{dynamic}; style-src {style}; img-src data: blob:; {}base-uri 'none'; form-action 'none'",
            self.media
        )
    }
}

/// A page of pictures.
pub(super) const PICTURES: Kind = Kind { style: STYLE, script: SCRIPT, loads: false, media: "" };

/// One whose pictures are in files beside it, which its script loads.
pub(super) const PICTURES_BESIDE: Kind = Kind { loads: true, ..PICTURES };

/// A page of a film, which is in it.
pub(super) const FILM: Kind = Kind { style: FILM_STYLE, script: FILM_SCRIPT, loads: false, media: "media-src blob:; " };

/// A part of the frame.
pub(super) enum Part {
    Text(&'static str),
    /// Where something of this name is put.
    Place(&'static str),
}

/// The frame, part by part.
pub(super) fn parts() -> impl Iterator<Item = Part> {
    let place = |part: &'static str| {
        part.split_once("}}")
            .map_or([Part::Text(part), Part::Text("")], |(name, text)| [Part::Place(name), Part::Text(text)])
    };
    let mut pieces = TEMPLATE.split("{{");
    let first = pieces.next().map(Part::Text);
    first.into_iter().chain(pieces.flat_map(place))
}

/// How a policy names a script or a style that stands in the page.
pub(super) fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// Text in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
