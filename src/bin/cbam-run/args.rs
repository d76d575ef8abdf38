//! Raw arguments, and the validated request that they resolve to. Nothing here touches a file or a device.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use cbam::maps::{MapName, Resample, Scale};
use cbam::pipeline::{Destination, Options, PictureFormat, Target};
use cbam::render::{Colormap, Opacity, Overlay};
use cbam::sys::DeviceSpec;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueHint};

const EXAMPLES: &str = "\
Examples:
  cbam-run photo.jpg
      Writes photo-overlay.png beside the photo: where the network looked, over what it looked at.

  cbam-run photo.jpg --overlay out.webp --panel panel.png
      The overlay in the format of its extension, and a panel of every map with the five likeliest classes.

  cbam-run photos/ more.jpg --out-dir overlays/ --maps-dir maps/ --json report.json
      Every picture below photos/, and one more. overlays/ and maps/ mirror the tree below photos/; the maps are
      float32 .npy files on the network's own grid. report.json says what the network saw in each picture.

  cbam-run photos/ --out-dir overlays/ --scale run --colormap inferno --contour 0.5
      One colour scale for all pictures, so that colours compare between them; a line around half of the attention.

  cbam-run street.jpg --overlay door.png --map patch@420,310
      Where the patch at pixel x = 420, y = 310 looks.

  cbam-run photo.jpg --maps-dir maps/ --map fused --map spatial --map channel:stage5
      Several maps: maps/photo.fused.npy, maps/photo.spatial.npy, maps/photo.channel-stage5.npy.

  curl -s https://example.org/photo.jpg | cbam-run - --overlay - > out.png
      From a pipe into a pipe.

  cbam-run --list-maps
      The maps that this network has.

Exit status: 0 all done; 1 some picture failed (its name and the reason are on standard error, the others are done);
2 the command line is wrong, nothing was done; 130 interrupted (finished files are whole).";

const INPUT: &str = "Pictures";
const OUTPUT: &str = "Outputs (none named: IMAGE-overlay.png beside the picture)";
const MAP: &str = "Maps";
const LOOK: &str = "Look";
const RUN: &str = "Network and machine";

/// Shows where a convolutional network looks: lays its attention over the picture.
#[derive(Debug, Parser)]
#[command(name = "cbam-run", version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Pictures, folders (everything below them) and `-` for standard input
    ///
    /// A scan of a folder takes the files whose extension is that of a picture, and skips `*-overlay.*` and the output
    /// folders.
    #[arg(required_unless_present_any = ["list_maps", "completions"], value_hint = ValueHint::AnyPath, help_heading = INPUT)]
    inputs: Vec<PathBuf>,

    /// The overlay of the only picture; `-` for standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    overlay: Option<PathBuf>,
    /// The panel of the only picture: all maps, a colour bar, the five likeliest classes; `-` for standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    panel: Option<PathBuf>,
    /// Overlays, as STEM.png, in the tree of the folders given
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    out_dir: Option<PathBuf>,
    /// Panels, likewise
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    panel_dir: Option<PathBuf>,
    /// Maps, likewise, as STEM.npy: float32, unscaled, on the network's grid (STEM.MAP.npy with several --map)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    maps_dir: Option<PathBuf>,
    /// A report on every picture: size, top 5, statistics of every map, strongest channels, timings; `-` for standard
    /// output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    json: Option<PathBuf>,
    /// The format of pictures whose name does not say it: png, jpg, webp, tiff, bmp, gif, qoi, ppm, tga [default: png]
    #[arg(long, value_name = "FORMAT", value_parser = parsed::<PictureFormat>, help_heading = OUTPUT)]
    format: Option<PictureFormat>,
    /// Quality of JPEG output
    #[arg(long, value_name = "1..100", default_value = "90", value_parser = clap::value_parser!(u8).range(1..=100), help_heading = OUTPUT)]
    jpeg_quality: u8,

    /// The map: fused, spatial, spatial:STAGE, patch, patch:HEAD, patch@X,Y, channel:STAGE, gradcam [default: fused]
    ///
    /// `fused` joins the last spatial gate and the patch attention. `spatial:STAGE` is that stage's gate, `spatial` the
    /// last one. `patch` is the attention that each patch receives, `patch:HEAD` that of one head, `patch@X,Y` where
    /// the patch at that pixel of the upright picture looks. `channel:STAGE` is the channel gate, drawn as a bar chart.
    /// `gradcam` is Grad-CAM of the likeliest class, the default for a network without attention. May be repeated with --maps-dir, which then writes each; overlays show the first.
    #[arg(long, short, value_name = "NAME", value_parser = parsed::<MapName>, help_heading = MAP)]
    map: Vec<MapName>,
    /// List the names of this network's maps
    #[arg(long, conflicts_with = "inputs", help_heading = MAP)]
    list_maps: bool,
    /// What spans the colours: image (each map's own range), percentile:LO,HI, fixed:LO,HI, or run (one range for all
    /// pictures of the run, which are then decoded twice)
    #[arg(long, default_value = "image", value_parser = parsed::<Scale>, help_heading = MAP)]
    scale: Scale,

    /// turbo, viridis, inferno, magma, plasma, cividis, jet or grey
    #[arg(long, value_name = "NAME", default_value = "turbo", value_parser = parsed::<Colormap>, help_heading = LOOK)]
    colormap: Colormap,
    /// Strength of the colours, from 0 (the picture itself) to 1
    #[arg(long, value_name = "0..1", default_value = "0.5", value_parser = fraction, help_heading = LOOK)]
    alpha: f32,
    /// constant (the same strength everywhere) or attention (strong where attention is)
    #[arg(long, value_name = "MODE", default_value = "constant", value_parser = parsed::<Opacity>, help_heading = LOOK)]
    opacity: Opacity,
    /// A line around the strongest places that hold this share of all attention
    #[arg(long, value_name = "0..1", value_parser = fraction, help_heading = LOOK)]
    contour: Option<f32>,
    /// How maps are enlarged: nearest, bilinear or bicubic
    #[arg(long, value_name = "NAME", default_value = "bicubic", value_parser = parsed::<Resample>, help_heading = LOOK)]
    resample: Resample,

    /// Short side of the picture that the network sees, in pixels [default: what the weights were measured best at]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=4096), help_heading = RUN)]
    size: Option<u32>,
    /// A weights file (safetensors or PyTorch) instead of the built-in ones
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = RUN)]
    weights: Option<PathBuf>,
    /// auto (a GPU if there is one), cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parsed::<DeviceSpec>, help_heading = RUN)]
    device: DeviceSpec,
    /// Threads for pixels, and threads for the network on a CPU [default: all cores]
    #[arg(long, value_name = "N", help_heading = RUN)]
    threads: Option<NonZeroUsize>,
    /// Most pictures that the network takes at once; they must have one size there [default: 16 on a GPU, one for every
    /// four threads on a CPU]
    #[arg(long, value_name = "N", value_parser = batch_size, help_heading = RUN)]
    batch_size: Option<NonZeroUsize>,
    /// No progress bar and no summary; errors are still told
    #[arg(long, short, help_heading = RUN)]
    quiet: bool,

    /// Print a completion script
    #[arg(long, value_name = "SHELL", exclusive = true, help_heading = "Other")]
    completions: Option<clap_complete::Shell>,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print a completion script.
    Completions(clap_complete::Shell),
    /// Print the names of the network's maps.
    ListMaps(Model),
    /// Look at pictures.
    Run(Box<Request>),
}

/// The network and what it runs on.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) weights: Option<PathBuf>,
    pub(crate) device: DeviceSpec,
    pub(crate) threads: NonZeroUsize,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Outputs,
    pub(crate) json: Option<Target>,
    pub(crate) options: Options,
    pub(crate) model: Model,
    pub(crate) quiet: bool,
}

/// One input argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// `-`.
    Stdin,
    /// A picture or a folder: not looked at yet.
    Path(PathBuf),
}

/// Where results go.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// Of the only picture.
    pub(crate) overlay: Option<Destination>,
    /// Of the only picture.
    pub(crate) panel: Option<Destination>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) panel_dir: Option<PathBuf>,
    pub(crate) maps_dir: Option<PathBuf>,
    /// No output was named: an overlay beside each picture.
    pub(crate) beside: bool,
    /// Of pictures whose name is made up here.
    pub(crate) format: PictureFormat,
}

/// The completion script of a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "cbam-run", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// A usage error, as clap prints it: exit status 2.
pub(crate) fn usage(message: impl std::fmt::Display) -> clap::Error {
    Args::command().error(ErrorKind::ArgumentConflict, message)
}

impl Args {
    /// Checks what clap cannot, and fills in the defaults.
    pub(crate) fn resolve(self) -> Result<Command, clap::Error> {
        if let Some(shell) = self.completions {
            return Ok(Command::Completions(shell));
        }
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let model = Model { weights: self.weights, device: self.device, threads };
        if self.list_maps {
            return Ok(Command::ListMaps(model));
        }
        let inputs: Vec<_> = self.inputs.into_iter().map(input).collect();
        let stdin = inputs.iter().filter(|input| **input == Input::Stdin).count();
        if stdin > 1 {
            return Err(usage("standard input ('-') can be read only once"));
        }
        let to_stdout = [&self.overlay, &self.panel, &self.json].into_iter().flatten().filter(|path| is_dash(path));
        if to_stdout.count() > 1 {
            return Err(usage("only one of --overlay, --panel and --json can go to standard output ('-')"));
        }
        for (option, given) in [("--overlay", self.overlay.is_some()), ("--panel", self.panel.is_some())] {
            if given && inputs.len() > 1 {
                return Err(usage(only_one(option)));
            }
        }
        for (file, folder, names) in [
            (self.overlay.is_some(), self.out_dir.is_some(), "--overlay and --out-dir"),
            (self.panel.is_some(), self.panel_dir.is_some(), "--panel and --panel-dir"),
        ] {
            if file && folder {
                return Err(usage(format!("{names} are for one and for many pictures: use one of them")));
            }
        }
        if self.map.len() > 1 && self.maps_dir.is_none() {
            return Err(usage("several --map need --maps-dir: an overlay shows one map"));
        }
        let format = self.format.unwrap_or_default();
        let outputs = Outputs {
            overlay: self.overlay.map(|path| destination("--overlay", path, self.format)).transpose()?,
            panel: self.panel.map(|path| destination("--panel", path, self.format)).transpose()?,
            out_dir: self.out_dir,
            panel_dir: self.panel_dir,
            maps_dir: self.maps_dir,
            beside: false,
            format,
        };
        let beside = !outputs.any() && self.json.is_none();
        if beside && stdin > 0 {
            return Err(usage("standard input has no place of its own: name an output, such as --overlay FILE"));
        }
        Ok(Command::Run(Box::new(Request {
            inputs,
            outputs: Outputs { beside, ..outputs },
            json: self.json.map(target),
            options: Options {
                maps: self.map,
                scale: self.scale,
                overlay: Overlay {
                    colormap: self.colormap,
                    alpha: self.alpha,
                    opacity: self.opacity,
                    contour: self.contour,
                    resample: self.resample,
                },
                short_side: self.size,
                threads,
                batch_size: self.batch_size,
                jpeg_quality: self.jpeg_quality,
                ..Options::default()
            },
            model,
            quiet: self.quiet,
        })))
    }
}

impl Outputs {
    fn any(&self) -> bool {
        self.overlay.is_some()
            || self.panel.is_some()
            || self.out_dir.is_some()
            || self.panel_dir.is_some()
            || self.maps_dir.is_some()
    }
}

/// The message about an option that is for one picture.
pub(crate) fn only_one(option: &str) -> String {
    let folder = if option == "--panel" { "--panel-dir" } else { "--out-dir" };
    format!("{option} is for one picture; use {folder} for several")
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn input(path: PathBuf) -> Input {
    if is_dash(&path) { Input::Stdin } else { Input::Path(path) }
}

fn target(path: PathBuf) -> Target {
    if is_dash(&path) { Target::Stdout } else { Target::File(path) }
}

/// A picture file and its format: that of the extension, which `--format` must not contradict.
fn destination(option: &str, path: PathBuf, format: Option<PictureFormat>) -> Result<Destination, clap::Error> {
    let extension = path.extension().and_then(OsStr::to_str);
    let by_name = extension.map(str::parse::<PictureFormat>).transpose();
    let format = match (by_name, format) {
        _ if is_dash(&path) => format.unwrap_or_default(),
        (Ok(Some(named)), Some(given)) if named != given => {
            return Err(usage(format!("{option} {} contradicts --format {given}", path.display())));
        }
        (Ok(Some(named)), _) => named,
        (Ok(None) | Err(_), Some(given)) => given,
        (Ok(None), None) => {
            return Err(usage(format!("{option} {}: add an extension such as .png, or --format", path.display())));
        }
        (Err(error), None) => return Err(usage(format!("{option} {}: {error}", path.display()))),
    };
    Ok(Destination { target: target(path), format })
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn batch_size(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|size: &NonZeroUsize| size.get() <= 1024)
        .ok_or_else(|| "not a number from 1 to 1024".into())
}

fn fraction(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| "not a number from 0 to 1".into())
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
