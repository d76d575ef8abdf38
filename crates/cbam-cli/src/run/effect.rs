//! Options that would change nothing in this run: each is an error that says what it is for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use cbam_core::classes::ClassChoice;
use cbam_core::maps::{MapName, Method, Scale};
use cbam_core::pipeline::Target;
use cbam_core::render::PictureFormat;
use clap::CommandFactory;

use crate::common::given::Effect;
use crate::common::page::Words;
use crate::run::args::{Args, usage};
use crate::run::film::{self, Container};
use crate::run::request::Request;

/// The options that decide how a network is opened, whatever is done with it.
const OPENING: [&str; 12] = [
    "weights",
    "part",
    "stride_in",
    "pool_order",
    "stem_pool",
    "padding",
    "arch",
    "drop_attention",
    "torchscript",
    "graph",
    "device",
    "threads",
];

impl Args {
    /// Refuses an option that was given and changes nothing, as far as the command line tells.
    pub(crate) fn check_effects(&self) -> Result<(), clap::Error> {
        self.given.check::<Self>(&self.network.effects())?;
        if self.list_maps {
            return self.check_alone("list_maps", &["torchscript_outputs", "torchscript_classes", "score", "at"]);
        }
        if self.check.is_some() {
            return self.check_alone("check", &["tolerance", "precision", "torchscript_classes", "quiet"]);
        }
        if self.out_parquet.is_none() && self.film()?.is_some() {
            return self.check_film();
        }
        self.check_format()?;
        self.given.check::<Self>(&self.of_methods())?;
        self.given.check::<Self>(&self.of_drawing())
    }

    /// The film that is to be looked at, if it is one: told by the name of what is read, or of what is written.
    pub(crate) fn film(&self) -> Result<Option<PathBuf>, clap::Error> {
        if self.stream {
            return match &self.inputs[..] {
                [input] => Ok(Some(input.clone())),
                _ => Err(usage("--stream: one input at a time")),
            };
        }
        let read = self.inputs.iter().find(|path| film::is_film(path));
        // A GIF is a film of what moves; of a photo it is a picture.
        let moves = read.is_some() || self.inputs.iter().any(|path| film::may_move(path));
        let named = [("--overlay", &self.overlay), ("--panel", &self.panel)];
        let mut named = named.into_iter().filter_map(|(option, path)| Some((option, path.as_ref()?)));
        let written = named.clone().find(|(_, path)| match Container::of(path) {
            Some(Container::Gif) => moves,
            container => container.is_some(),
        });
        match (&self.inputs[..], read, written) {
            (_, None, None) => Ok(None),
            ([input], ..) => match named.next() {
                Some((option, path)) if written.is_none() => {
                    let (path, input) = (path.display(), input.display());
                    Err(usage(format!(
                        "{option} {path}: of {input}, a film, it is one too: name it {}; or --stream",
                        film::WRITTEN
                    )))
                }
                _ => Ok(Some(input.clone())),
            },
            (_, Some(film), _) => Err(usage(format!("{}: films are looked at one at a time", film.display()))),
            (_, None, Some((option, path))) => {
                Err(usage(format!("{option} {}: a film is made of one film", path.display())))
            }
        }
    }

    /// Refuses what films do not have.
    fn check_film(&self) -> Result<(), clap::Error> {
        const NOT_OF_FILMS: [&str; 5] = ["out_dir", "panel_dir", "format", "jpeg_quality", "memory"];
        if let Some(option) = NOT_OF_FILMS.into_iter().find(|option| self.given.holds(option)) {
            return Err(usage(format!("--{} is for pictures, and this is a film", option.replace('_', "-"))));
        }
        if self.stream {
            self.check_stream()?;
        } else if self.inputs.iter().any(|path| path.as_os_str() == "-") {
            return Err(usage("-: a film from standard input can be read only once: --stream"));
        }
        let asked = self.explained.class.is_some()
            || (!self.stream && (self.maps().is_empty() || self.maps().iter().any(MapName::needs_class)));
        let named = self.panel.is_some() || self.json.is_some() || self.html.is_some();
        if self.network.labels.is_some() && !asked && !named {
            return Err(usage(
                "--labels has no effect here: names of classes stand on panels and pages, in reports (--json), and with maps of a class",
            ));
        }
        if self.overlay.is_some() && self.panel.is_some() {
            return Err(usage("--overlay and --panel are two films: one at a time"));
        }
        let film = self.overlay.is_some() || self.panel.is_some() || self.overlays_beside();
        let look = "no film is drawn";
        let drawing = &["scale", "colormap", "alpha", "opacity", "contour", "resample", "smooth"];
        let sheets = "a sheet of several maps has a width and a legend of its own";
        self.given.check::<Self>(&[
            (drawing, film || self.html.is_some(), look),
            (&["legend", "refine", "width"], film, look),
            (&["legend", "width"], self.compare.is_none() && self.panel.is_none(), sheets),
        ])?;
        if self.compare.is_some() && self.overlay.is_none() {
            return Err(usage("--compare draws a film: name a place for it with --overlay FILE"));
        }
        self.given.check::<Self>(&self.of_methods())
    }

    /// Refuses what is known of a film only at its end, or has no effect before.
    fn check_stream(&self) -> Result<(), clap::Error> {
        let whole =
            [("maps-dir", self.maps_dir.is_some()), ("json", self.json.is_some()), ("html", self.html.is_some())];
        if let Some((option, _)) = whole.into_iter().find(|(_, given)| *given) {
            return Err(usage(format!(
                "--{option} tells of all frames, and --stream keeps none: write the film first"
            )));
        }
        if self.given.holds("scale") && self.scale == Scale::Run {
            return Err(usage(
                "--scale run is that of the whole film, which --stream has not seen: --scale fixed:LO,HI",
            ));
        }
        if self.given.holds("batch_size") {
            return Err(usage("--batch-size has no effect with --stream, which looks at each frame as it comes"));
        }
        if self.smooth.is_some_and(|past| past > film::MOST_PAST) {
            return Err(usage("--smooth: over 0.66 --stream would be more than two frames behind"));
        }
        if self.inputs.iter().any(|path| film::may_move(path)) {
            return Err(usage("--stream: a picture that moves is no stream: leave it out"));
        }
        Ok(())
    }

    /// With an option that looks at no picture nothing counts but that, `besides`, and what opens the network.
    fn check_alone(&self, mode: &str, besides: &[&str]) -> Result<(), clap::Error> {
        // A scripted network may take pictures of one size alone, with which it is tried when it is opened.
        let foreign = self.network.is_foreign();
        let sizes: &[&str] = if foreign { &["size", "square"] } else { &[] };
        let counts = |option: &str| {
            option == mode || [&OPENING[..], sizes, besides].iter().any(|options| options.contains(&option))
        };
        let command = Self::command();
        let mut given = command.get_arguments().map(|argument| argument.get_id().as_str());
        match given.find(|option| self.given.holds(option) && !counts(option)) {
            Some(option) => {
                let [option, mode] = [option, mode].map(|name| name.replace('_', "-"));
                Err(usage(format!("--{option} has no effect with --{mode}")))
            }
            None => Ok(()),
        }
    }

    /// Refuses a `--format` that contradicts the names of the outputs, where none takes its format from the option.
    fn check_format(&self) -> Result<(), clap::Error> {
        let Some(format) = self.format else { return Ok(()) };
        let folders = self.out_dir.is_some() || self.panel_dir.is_some() || self.overlays_beside();
        let files = [("--overlay", &self.overlay), ("--panel", &self.panel)];
        let mut files = files.into_iter().filter_map(|(option, path)| path.as_ref().map(|path| (option, path)));
        if folders || files.clone().any(|(_, path)| named_format(path).is_none()) {
            return Ok(());
        }
        files
            .find(|(_, path)| named_format(path).is_some_and(|named| named != format))
            .map_or(Ok(()), |(option, path)| {
                Err(usage(format!("{option} {} contradicts --format {format}", path.display())))
            })
    }

    fn of_methods(&self) -> [Effect<'static>; 2] {
        let maps = self.maps();
        // Which map a scripted network shows by itself is known when it is open.
        let foreign = self.network.is_foreign();
        let any_map = maps.is_empty() && foreign;
        let made_by = |wanted: Method| {
            any_map || maps.iter().any(|name| matches!(name, MapName::Explain { method, .. } if *method == wanted))
        };
        [
            (&["masks", "seed"], made_by(Method::Rise), "it is for --map rise"),
            (&["window", "stride"], made_by(Method::Occlusion), "it is for --map occlusion"),
        ]
    }

    /// The maps that are named.
    fn maps(&self) -> &[MapName] {
        self.compare.as_ref().map_or(&self.map, |list| &list.0)
    }

    fn of_drawing(&self) -> [Effect<'static>; 7] {
        let maps = self.maps();
        let beside = self.overlays_beside();
        let pictures = [&self.overlay, &self.panel].into_iter().flatten();
        let folders = self.out_dir.is_some() || self.panel_dir.is_some();
        let drawn = beside || folders || pictures.clone().next().is_some();
        let panel = self.panel.is_some() || self.panel_dir.is_some();
        let overlaid = (beside || self.out_dir.is_some() || self.overlay.is_some()) && self.compare.is_none();
        // An overlay of a channel gate is a chart, without colours.
        let chart = !maps.is_empty() && maps.iter().all(|name| matches!(name, MapName::Channel(_)));
        let coloured = panel || (drawn && !chart);
        let by_format = self.format.unwrap_or_default() == PictureFormat::Jpeg;
        let jpeg = |path: &Path| named_format(path).map_or(by_format, |format| format == PictureFormat::Jpeg);
        let jpegs = ((beside || folders) && by_format) || pictures.clone().any(|path| jpeg(path));
        let look = if chart { "an overlay of a channel gate is a chart" } else { "no picture is drawn" };
        [
            (&["scale", "colormap", "alpha", "opacity", "contour", "resample"], coloured || self.html.is_some(), look),
            (
                &["refine"],
                coloured && (self.alpha != Some(0.0) || self.contour.is_some()),
                if coloured { "no map is drawn at --alpha 0" } else { look },
            ),
            (&["legend"], overlaid && !chart, if chart { look } else { "no overlay is drawn" }),
            (&["width"], overlaid, "no overlay is drawn"),
            (&["format"], drawn, "no picture is drawn"),
            (&["jpeg_quality"], jpegs, "no picture is written as JPEG"),
            (&["smooth", "every", "codec", "stream"], false, "it is for films"),
        ]
    }

    /// The words of the options that decide how the network is opened and takes pictures, and of those of methods.
    pub(crate) fn words(&self) -> Words {
        /// All others.
        const OTHERS: [&str; 33] = [
            "inputs",
            "overlay",
            "panel",
            "out_dir",
            "panel_dir",
            "maps_dir",
            "json",
            "html",
            "out_parquet",
            "shard",
            "image_column",
            "key_column",
            "format",
            "jpeg_quality",
            "map",
            "compare",
            "class",
            "scale",
            "colormap",
            "alpha",
            "opacity",
            "contour",
            "resample",
            "refine",
            "legend",
            "width",
            "batch_size",
            "memory",
            "quiet",
            "smooth",
            "every",
            "codec",
            "stream",
        ];
        Words::of::<Self>(&self.given, &OTHERS)
    }

    /// Whether no output is named, so that overlays go beside their pictures.
    fn overlays_beside(&self) -> bool {
        let folders = [&self.out_dir, &self.panel_dir, &self.maps_dir];
        let files = [&self.overlay, &self.panel, &self.json, &self.html, &self.out_parquet];
        folders.into_iter().chain(files).all(Option::is_none)
    }
}

impl Request {
    /// Refuses names of classes that this run of so many pictures shows nowhere.
    pub(crate) fn check_labels(&self, pictures: usize) -> Result<(), clap::Error> {
        let outputs = &self.outputs;
        let panel = outputs.panel.is_some() || outputs.panel_dir.is_some();
        let sheet = self.options.compare && self.options.maps.iter().any(MapName::needs_class);
        let asked = matches!(self.options.class, Some(ClassChoice::Name(_)));
        let line = pictures == 1 && !self.quiet && !self.writes_stdout();
        let of_class = self.options.maps.is_empty() || self.options.maps.iter().any(MapName::needs_class);
        let legend = self.options.legend && of_class;
        let report = self.json.is_some() || outputs.html.is_some();
        if self.labels.is_none() || panel || sheet || legend || asked || line || report {
            return Ok(());
        }
        let purpose =
            "names of classes stand in reports (--json), pages, panels, legends and the line about a single picture";
        Err(usage(format!("--labels has no effect here: {purpose}")))
    }

    /// Whether an output of the run goes to standard output.
    pub(crate) fn writes_stdout(&self) -> bool {
        let pictures = [&self.outputs.overlay, &self.outputs.panel].into_iter().flatten().map(|to| &to.target);
        pictures.chain(&self.json).any(|target| matches!(target, Target::Stream(_)))
    }
}

/// The format that a file's name says.
fn named_format(path: &Path) -> Option<PictureFormat> {
    path.extension().and_then(OsStr::to_str)?.parse().ok()
}
