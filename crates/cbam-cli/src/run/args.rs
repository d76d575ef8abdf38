//! The command line as clap reads it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cbam_core::maps::{MapName, Resample, Scale};
use cbam_core::render::{Colormap, Opacity, PictureFormat};
use clap::{Parser, ValueHint};

use crate::common;
use crate::common::amount::{amount, pixels};
use crate::common::explained::{Explained, MAP};
use crate::common::given::Given;
use crate::common::network::{NetworkArgs, RUN};
use crate::common::values::{listed, map_names, parsed};
use crate::run::film::Codec;
use crate::run::share::Share;

pub(crate) const EXAMPLES: &str = "\
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

  cbam-run photo.jpg --html photo.html
      A page to point at: where any patch looks, every map, any class. Of a folder it is a gallery.

  cbam-run street.jpg --overlay door.png --map patch@420,310
      Where the patch at pixel x = 420, y = 310 looks; it is outlined.

  cbam-run photo.jpg --maps-dir maps/ --map fused --map spatial --map channel:stage5
      Several maps: maps/photo.fused.npy, maps/photo.spatial.npy, maps/photo.channel-stage5.npy.

  cbam-run street.jpg --overlay look.png --map patch@420,310 --map patch@80,200
      Several overlays: look.patch-at-420-310.png, look.patch-at-80-200.png.

  curl -s https://example.org/photo.jpg | cbam-run - --overlay - > out.png
      From a pipe into a pipe.

  cbam-run photo.jpg --map layercam:stage5 --class 281 --overlay tabby.png
      What speaks for class 281, at stage 5, by LayerCAM. A name will do: --class tabby

  cbam-run photos/ --out-dir sheets/ --compare gradcam,layercam:stage5,scorecam,fused
      For every picture one sheet with these maps side by side, under one colour bar.

  cbam-run photo.jpg --torchscript model.pt --torchscript-outputs 1,2 --map output:1 --overlay out.png
      A map that a network of your own gives out.

  cbam-run photo.jpg --torchscript labels.pt --outputs sigmoid --map gradcam:output:1 --class 3
      What speaks for one of several labels, by Grad-CAM on the features that the network gives out.

  cbam-run shards/ --out-parquet maps/ --shard 3/8
      Tar archives and Parquet files of pictures, this machine's eighth of them: a Parquet file of maps for each.

  cbam-run --list-maps
      The maps that this network has.

  cbam-run --weights net.pth --check reference.safetensors
      Whether the network that is made of net.pth gives out what PyTorch does; --check in --help says how to write the reference.

An option that changes nothing in a run is an error.";

const INPUT: &str = "Pictures";
const OUTPUT: &str = "Outputs (none named: IMAGE-overlay.png beside the picture)";
const LOOK: &str = "Look";
const FILM: &str = "Films";

/// Shows where a convolutional network looks: lays its attention over the picture.
#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of its own
#[command(name = "cbam-run", version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) given: Given,
    /// Pictures, folders (everything below them) and `-` for standard input; or a film
    ///
    /// A scan of a folder takes the files whose extension is that of a picture, and skips `*-overlay.*`, `*-compare.*`,
    /// hidden files and folders, those that systems make (`._*`, `__MACOSX`, `@eaDir` and the like) and the output folders;
    /// what is left out is counted and told.
    ///
    /// A film, one at a time, is read and written by `ffmpeg`, which must be installed (5.1 or later): frames keep their times, and sound,
    /// subtitles and chapters come along. Its maps are of one class, the likeliest on the whole unless --class names one, and have one
    /// scale, so that it does not flicker. A GIF, WebP or APNG is a film if the overlay is named as one is (.gif too).
    #[arg(required_unless_present_any = ["list_maps", "check"], value_hint = ValueHint::AnyPath, help_heading = INPUT)]
    pub(crate) inputs: Vec<PathBuf>,

    /// The overlay of the only picture, `-` for standard output; or of a film: a name in .mp4, .m4v, .mov, .mkv, .webm, .gif or .apng
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    pub(crate) overlay: Option<PathBuf>,
    /// The panel of the only picture: all maps, a colour bar, the five likeliest classes; `-` for standard output; or of a film, a
    /// panel for each frame: named as an overlay of one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    pub(crate) panel: Option<PathBuf>,
    /// Overlays, as STEM.png, in the tree of the folders given (STEM.MAP.png with several --map)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    pub(crate) out_dir: Option<PathBuf>,
    /// Panels, likewise
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    pub(crate) panel_dir: Option<PathBuf>,
    /// Maps, likewise, as STEM.npy: float32, unscaled, on the network's grid (STEM.MAP.npy with several --map); of a film those of
    /// all frames, [T, h, w]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = OUTPUT)]
    pub(crate) maps_dir: Option<PathBuf>,
    /// A report on every picture: size, top 5, statistics of every map, strongest channels, timings; `-` for standard
    /// output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    pub(crate) json: Option<PathBuf>,
    /// One interactive page of all pictures, for a browser: point at any place of a photo and see where the network looks from there
    ///
    /// It shows every map, head by head, what speaks for any class, and the gates of channels; it asks nothing of any network, and can be
    /// mailed. Of several pictures it is a gallery, which shows where patches look as the mean over heads; over 150 MB its
    /// pictures lie in a folder beside it, named as the page with `_files` behind. Of a film it plays the film with any map over it,
    /// each head's too, and goes from frame to frame.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = OUTPUT)]
    pub(crate) html: Option<PathBuf>,
    /// A Parquet file of maps for each shard: inputs are tar archives (`WebDataset`) and Parquet files, or folders of such
    ///
    /// DIR/STEM.parquet has a row for each picture and map: its key, what the network took it for, the map (float32, unscaled, on the
    /// network's grid) and its statistics. A picture that cannot be looked at is a row with `error`, and fails no shard. A part is
    /// written under another name first: one that is there is done, and a run that was ended goes on where it was. The exit status is 0
    /// if all parts are there, whatever became of single pictures.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["overlay", "panel", "out_dir", "panel_dir", "maps_dir", "json", "html", "compare", "list_maps", "check"], help_heading = OUTPUT)]
    pub(crate) out_parquet: Option<PathBuf>,
    /// This machine's share of the shards: number I, from 0, of N; all machines are given the same inputs
    #[arg(long, value_name = "I/N", value_parser = parsed::<Share>, requires = "out_parquet", help_heading = OUTPUT)]
    pub(crate) shard: Option<Share>,
    /// The column of Parquet files that holds pictures: bytes, `datasets`' images, or paths [default: the only one of bytes]
    #[arg(long, value_name = "NAME", requires = "out_parquet", help_heading = INPUT)]
    pub(crate) image_column: Option<String>,
    /// The column of Parquet files that tells pictures apart [default: `key` or `__key__`, or else the picture's path, or `FILE:ROW`]
    #[arg(long, value_name = "NAME", requires = "out_parquet", help_heading = INPUT)]
    pub(crate) key_column: Option<String>,
    /// The format of pictures whose name does not say it: png, jpg, webp, tiff, bmp, gif, qoi, ppm, tga [default: png]
    #[arg(long, value_name = "FORMAT", value_parser = listed::<PictureFormat>(PictureFormat::ALL), hide_possible_values = true, help_heading = OUTPUT)]
    pub(crate) format: Option<PictureFormat>,
    /// Quality of JPEG output
    #[arg(long, value_name = "1..100", default_value = "90", value_parser = clap::value_parser!(u8).range(1..=100), help_heading = OUTPUT)]
    pub(crate) jpeg_quality: u8,

    /// The map: fused, object, `spatial[:STAGE]`, `patch[:STAGE][:HEAD]`, patch@X,Y, `cls[:STAGE][:HEAD]`, `coordinate[:STAGE]`, channel:STAGE,
    /// rollout, output:N, or an explanation
    /// [default: fused, or gradcam without attention]
    ///
    /// `fused` is what of the picture tells the class most: it points best, at small things too. `object` is the whole thing, from the
    /// same pass: it covers best, and keeps what the network needs. Both are made of the attention, `gradcam` and how alike features are.
    /// `spatial:STAGE` is that stage's gate,
    /// `spatial` the last one. `patch` is the attention that each patch receives on the finest grid, `patch:HEAD` that of
    /// one head, `patch:STAGE` that of another stage; `patch@X,Y` is where the patch at that pixel of the upright picture
    /// looks. `channel:STAGE` is the channel gate, drawn as a bar chart. `rollout` joins several patch attentions, `cls` is where
    /// a class token looks, `coordinate` the gate of rows and columns, for networks that have them.
    ///
    /// Explanations say what speaks for a class (--class): gradcam, gradcam++, hirescam, layercam, xgradcam, eigencam
    /// (which is of no class), and, running the network hundreds of times, scorecam, ablationcam, occlusion and rise. All
    /// but the last two look at a stage: `layercam:stage5`; without one, at the last convolution (`head`). relevance joins
    /// all attentions of a vision transformer for the class.
    ///
    /// May be repeated: each map gets an overlay and a file of --maps-dir of its own; panels show the first large.
    #[arg(long, short, value_name = "NAME", value_parser = listed::<MapName>(map_names()), hide_possible_values = true, help_heading = MAP)]
    pub(crate) map: Vec<MapName>,
    /// Maps to draw side by side, separated by commas, on one sheet in the stead of the overlay
    ///
    /// The sheet goes where the overlay would (--overlay, --out-dir; none named: IMAGE-compare.png beside the picture).
    /// Maps have no common unit, so each is scaled by itself as --scale says, and all share one bar of colours: with
    /// `image`, the lowest colour is each map's own least value and the highest its greatest, as in its overlay;
    /// `fixed:LO,HI` draws all maps on the same numbers.
    #[arg(long, value_name = "NAME,NAME,…", value_parser = map_list, conflicts_with = "map", help_heading = MAP)]
    pub(crate) compare: Option<MapList>,
    #[command(flatten)]
    pub(crate) explained: Explained,
    /// List the names of this network's maps
    #[arg(long, conflicts_with = "inputs", help_heading = MAP)]
    pub(crate) list_maps: bool,
    /// What spans the colours: image (each map's own range), percentile:LO,HI, fixed:LO,HI, or run (one range for all
    /// pictures of the run, which are then decoded twice)
    #[arg(long, default_value = "image", value_parser = listed::<Scale>(["image", "run"]), hide_possible_values = true, help_heading = MAP)]
    pub(crate) scale: Scale,

    /// turbo, viridis, inferno, magma, plasma, cividis, jet or grey
    #[arg(long, value_name = "NAME", default_value = "turbo", value_parser = listed::<Colormap>(Colormap::ALL), hide_possible_values = true, help_heading = LOOK)]
    pub(crate) colormap: Colormap,
    /// Strength of the colours, from 0 (the picture itself) to 1 [default: 0.75, with --opacity constant 0.5]
    #[arg(long, value_name = "0..1", value_parser = fraction, help_heading = LOOK)]
    pub(crate) alpha: Option<f32>,
    /// attention (the strength grows with the map as value^0.6: the picture is as it was where nothing is) or constant (the same
    /// strength everywhere)
    #[arg(long, value_name = "MODE", default_value = "attention", value_parser = listed::<Opacity>(["attention", "constant"]), hide_possible_values = true, help_heading = LOOK)]
    pub(crate) opacity: Opacity,
    /// A line around the strongest places that hold this share of all attention
    #[arg(long, value_name = "0..1", value_parser = fraction, help_heading = LOOK)]
    pub(crate) contour: Option<f32>,
    /// How maps are enlarged: nearest, bilinear or bicubic
    #[arg(long, value_name = "NAME", default_value = "bicubic", value_parser = listed::<Resample>(["nearest", "bilinear", "bicubic"]), hide_possible_values = true, help_heading = LOOK)]
    pub(crate) resample: Resample,
    /// Draw maps along the edges of the picture, by a guided filter: smoother to look at, and finer than what the network saw. The
    /// files of --maps-dir stay as they are; PNG, JPEG and WebP say it in their metadata
    #[arg(long, help_heading = LOOK)]
    pub(crate) refine: bool,
    /// Put a strip below each overlay, with the map's name, its class, the colours and their scale
    #[arg(long, help_heading = LOOK)]
    pub(crate) legend: bool,
    /// The width of overlays [default: that of the picture]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=65_535), help_heading = LOOK)]
    pub(crate) width: Option<u32>,

    /// How much the frames beside one count in its map, so that it does not flicker: one that is N away S^N, before it and after it
    /// alike, up to the next cut; 0 draws each frame as the network sees it [default: 0.5]
    #[arg(long, value_name = "S", value_parser = past, help_heading = FILM)]
    pub(crate) smooth: Option<f32>,
    /// Have the network look at every Nth frame; those between keep what it saw last [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = FILM)]
    pub(crate) every: Option<u16>,
    /// Look at what cannot be read twice, and draw it as it comes: a pipe, a camera (`/dev/video0`), `-` for standard input. --overlay - is
    /// standard output: cbam-run /dev/video0 --stream --overlay - | ffplay -
    ///
    /// At most three frames are under way of what ffmpeg hands on. Maps are of each frame's likeliest class unless --class names one; the
    /// colours span what the first two seconds have, unless --scale says otherwise; --smooth looks back alone. Sound is left out. Ctrl-C ends
    /// the film, which is whole.
    #[arg(long, help_heading = FILM)]
    pub(crate) stream: bool,
    /// What films are written in: h264, h265, vp9, av1, or ffv1 (into .mkv, without loss) [default: h264; vp9 into .webm; GIF and
    /// APNG have their own]
    #[arg(long, value_name = "NAME", value_parser = listed::<Codec>(Codec::ALL), hide_possible_values = true, help_heading = FILM)]
    pub(crate) codec: Option<Codec>,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Compare the network with what PyTorch made of an input, and look at no picture: a file of safetensors with `input`
    /// [N, C, H, W], normalised, and `logits` [N, classes]
    ///
    /// Prints the largest difference; exits with 0 if it is within --tolerance, with 1 if not. The network runs as a run would
    /// have it, and besides as libtorch has it, where the two differ. Gates may lie in the file too, such as
    /// `gate:spatial:layer1.0` [N, h, w] and `gate:channel:layer1.0` [N, C]. In Python:
    ///
    ///     x = torch.randn(2, 3, 224, 288)
    ///     y = model.eval()(x).detach()
    ///     from safetensors.torch import save_file
    ///     save_file({"input": x, "logits": y}, "reference.safetensors")
    #[arg(long, value_name = "FILE", conflicts_with_all = ["inputs", "list_maps", "score"], value_hint = ValueHint::FilePath, verbatim_doc_comment, help_heading = RUN)]
    pub(crate) check: Option<PathBuf>,
    /// By what share of their largest value results may differ from the reference's
    #[arg(long, value_name = "0..1", default_value = "0.001", value_parser = share, requires = "check", help_heading = RUN)]
    pub(crate) tolerance: f64,
    /// Most pictures that the network takes at once; they must have one size there [default: on a GPU 16, or in a run of over
    /// 1,000 pictures what a trial finds fastest; on a CPU four for each of several threads, at most 32, or fewer for a network
    /// that has no faster form for inference]
    #[arg(long, value_name = "N", value_parser = batch_size, help_heading = RUN)]
    pub(crate) batch_size: Option<NonZeroUsize>,
    /// The same bits for the same file in every run on a machine, with any --threads and --batch-size; on a CPU alone
    ///
    /// Without it, maps may differ in the last bits from run to run, and a pixel by one level: pictures go through the network
    /// in batches as they come, and libtorch's sums depend on the batch. With it every picture goes through by itself.
    #[arg(long, help_heading = RUN)]
    pub(crate) deterministic: bool,
    /// The most pixels (width × height) of a picture, with K, M or G for thousands, millions, thousand millions; larger ones
    /// are errors
    #[arg(long, value_name = "N", default_value = "200M", value_parser = pixels, help_heading = RUN)]
    pub(crate) max_pixels: u64,
    /// What pictures under way may take together, in bytes, with K, M or G (1024 each); a picture that needs more passes
    /// alone
    ///
    /// It counts files, decoded pixels and what decoders work in, not the network. More lets more threads decode large
    /// pictures at once.
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = bytes, help_heading = RUN)]
    pub(crate) memory: u64,
    /// No progress bar and no summary; errors are still told, and damaged pictures
    #[arg(long, short, help_heading = RUN)]
    pub(crate) quiet: bool,
}

/// A usage error, as clap prints it: exit status 2.
pub(crate) fn usage(message: impl std::fmt::Display) -> clap::Error {
    common::usage::<Args>(message)
}

/// The maps of a comparison.
#[derive(Debug, Clone)]
pub(crate) struct MapList(pub(crate) Vec<MapName>);

/// Names separated by commas; the comma of `patch@X,Y` belongs to its name.
fn map_list(text: &str) -> Result<MapList, String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(',').map(str::trim) {
        match parts.last_mut() {
            Some(point) if point.starts_with("patch@") && !point.contains(',') => *point = format!("{point},{part}"),
            _ => parts.push(part.to_owned()),
        }
    }
    let mut names = Vec::with_capacity(parts.len());
    for part in parts {
        let name: MapName = parsed(&part)?;
        if names.contains(&name) {
            return Err(format!("{name} is named twice"));
        }
        names.push(name);
    }
    Ok(MapList(names))
}

fn batch_size(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|size: &NonZeroUsize| size.get() <= 1024)
        .ok_or_else(|| "not a number from 1 to 1024".into())
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| "not a number from 0 to 1".into())
}

/// A number of bytes: `512M` is 512 × 1024 × 1024.
fn bytes(text: &str) -> Result<u64, String> {
    amount(text, 1024).ok_or_else(|| "write a size from 1, such as 536870912, 512M or 2G".into())
}

fn past(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|past| (0.0..=0.9).contains(past)).ok_or_else(|| "not a number from 0 to 0.9".into())
}

fn fraction(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| "not a number from 0 to 1".into())
}
