use cbam::maps::MapName;
use cbam::network::ForwardPrecision;
use cbam::pipeline::ClassChoice;
use clap::{CommandFactory, Parser};

use super::*;
use crate::args::{EXAMPLES, completions};

fn resolve(line: &str) -> Result<Command, clap::Error> {
    let words = std::iter::once("cbam-run").chain(line.split_whitespace());
    Args::try_parse_from(words).and_then(Args::resolve)
}

fn request(line: &str) -> Request {
    match resolve(line) {
        Ok(Command::Run(request)) => *request,
        other => panic!("{line}: {other:?}"),
    }
}

/// The message of a usage error.
fn refused(line: &str) -> String {
    let error = resolve(line).expect_err(line);
    assert_eq!(error.exit_code(), 2, "{line}");
    error.to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn the_examples_in_the_help_are_valid() {
    let lines: Vec<_> = EXAMPLES
        .lines()
        .filter_map(|line| Some(&line[line.find("cbam-run")?..]))
        .map(|line| line.split('>').next().unwrap_or(line))
        .collect();
    assert!(lines.len() >= 8, "{lines:?}");
    for line in lines {
        let words = line.split_whitespace();
        Args::try_parse_from(words).and_then(Args::resolve).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn no_output_means_beside_the_picture() {
    let request = request("a.jpg b/");
    assert!(request.outputs.beside);
    assert_eq!(request.inputs, ["a.jpg", "b/"].map(|path| Input::Path(path.into())));
    assert_eq!(request.options.maps, []);
    assert!(!self::request("a.jpg --json r.json").outputs.beside);
    assert!(!self::request("a.jpg --maps-dir maps").outputs.beside);
}

#[test]
fn limits_take_letters() {
    let options = |line: &str| request(line).options;
    let default = Options::default();
    assert_eq!((options("a.jpg").limits, options("a.jpg").memory), (default.limits, default.memory));
    assert_eq!(options("a.jpg --memory 2g").memory, 2 << 30);
    assert_eq!(options("a.jpg --memory 12345").memory, 12_345);
    assert_eq!(options("a.jpg --max-pixels 5M").limits, Limits { max_pixels: 5_000_000, ..default.limits });
    let large = options("a.jpg --max-pixels 1G").limits;
    assert_eq!((large.max_pixels, large.max_bytes), (1_000_000_000, 8_000_000_000));
    for wrong in ["--memory 0", "--memory 1T", "--memory x", "--max-pixels -3", "--max-pixels 1.5M", "--memory M"] {
        let message = refused(&format!("a.jpg {wrong}"));
        assert!(message.contains("such as") || message.contains("unexpected"), "{message}");
    }
}

#[test]
fn formats_come_from_the_name_or_the_option() {
    let format = |line: &str| request(line).outputs.overlay.unwrap().format;
    assert_eq!(format("a.jpg --overlay o.JPEG"), PictureFormat::Jpeg);
    assert_eq!(format("a.jpg --overlay o.jpg --format jpg"), PictureFormat::Jpeg);
    assert_eq!(format("a.jpg --overlay -"), PictureFormat::Png);
    assert_eq!(format("a.jpg --overlay - --format webp"), PictureFormat::WebP);
    assert_eq!(format("a.jpg --overlay /dev/stdout --format webp"), PictureFormat::WebP);
    assert!(refused("a.jpg --overlay o").contains("extension"));
    assert!(refused("a.jpg --overlay o.doc").contains("doc"));
    assert!(refused("a.jpg --overlay o.png --format jpg").contains("contradicts"));
    assert!(refused("a.jpg --out-dir d --format doc").contains("doc"));
    assert_eq!(request("a.jpg --out-dir d --format qoi").outputs.format, PictureFormat::Qoi);
}

#[test]
fn standard_streams_serve_once() {
    assert_eq!(request("- --overlay -").inputs, [Input::Stdin]);
    assert!(refused("- - --out-dir d").contains("only once"));
    assert!(refused("-").contains("name an output"));
    assert!(refused("a.jpg --overlay - --json -").contains("standard output"));
    assert!(refused("a.jpg --overlay - --panel -").contains("standard output"));
    assert_eq!(request("a.jpg --json -").json, Some(Target::Stdout));
}

#[test]
fn one_picture_options_refuse_several() {
    assert!(refused("a.jpg b.jpg --overlay o.png").contains("--out-dir"));
    assert!(refused("a.jpg b.jpg --panel o.png").contains("--panel-dir"));
    assert!(refused("a.jpg --overlay o.png --out-dir d").contains("one of them"));
    assert!(refused("a.jpg --panel o.png --panel-dir d").contains("one of them"));
}

#[test]
fn maps_repeat_only_for_files_of_maps() {
    let request = request("a.jpg --maps-dir m --map patch@3,4 --map channel:stage5");
    assert_eq!(request.options.maps, [MapName::PatchAt(3, 4), MapName::Channel("stage5".into())]);
    assert!(refused("a.jpg --overlay o.png --map fused --map patch").contains("--maps-dir"));
    assert!(refused("a.jpg --map attention").contains("attention"));
}

#[test]
fn a_comparison_names_its_maps_and_has_a_place() {
    let request = request("a.jpg --compare gradcam++,patch@3,4,layercam:stage5,patch@5,6 --class 281 --seed 7");
    let names: Vec<_> = request.options.maps.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["gradcam++", "patch@3,4", "layercam:stage5", "patch@5,6"]);
    assert!(request.options.compare && request.outputs.beside);
    assert_eq!(request.options.class, Some(ClassChoice::Number(281)));
    assert_eq!(request.options.explain.seed, 7);
    assert_eq!(self::request("a.jpg --map occlusion --window 9").options.explain.stride, 5);
    assert!(self::request("a.jpg b.jpg --compare fused --out-dir d").options.compare);
    assert!(refused("a.jpg --compare fused,gradcam --map fused").contains("--map"));
    assert!(refused("a.jpg --compare fused,gradcam --panel p.png").contains("--out-dir"));
    assert!(refused("a.jpg --compare fused,,gradcam").contains("not a map"));
    assert!(refused("a.jpg --compare fused,fused").contains("twice"));
    assert!(refused("a.jpg --compare gradcam:head,gradcam").contains("twice"));
    assert!(refused("a.jpg --map rise --masks 0").contains("--masks"));
    assert!(refused("a.jpg --map occlusion --window 8 --stride 9").contains("gaps"));
}

#[test]
fn numbers_are_checked() {
    for line in [
        "--alpha 1.5",
        "--alpha nan",
        "--contour 2",
        "--size 0",
        "--size 16",
        "--threads 0",
        "--batch-size 0",
        "--batch-size 5000",
        "--jpeg-quality 0",
        "--jpeg-quality 101",
        "--scale fixed:2,1",
        "--scale percentile:0,101",
        "--colormap rainbow",
        "--opacity glass",
        "--device tpu",
        "--precision f64",
        "--precision f16 --torchscript model.pt",
    ] {
        refused(&format!("a.jpg {line}"));
    }
    let request = request(
        "a.jpg --alpha 0.25 --contour 0.5 --size 320 --threads 3 --batch-size 2 --jpeg-quality 80 --precision bf16",
    );
    assert_eq!((request.options.overlay.alpha, request.options.overlay.contour), (0.25, Some(0.5)));
    assert_eq!((request.options.short_side, request.options.jpeg_quality), (Some(320), 80));
    assert_eq!((request.options.threads.get(), request.options.batch_size.map(NonZeroUsize::get)), (3, Some(2)));
    assert_eq!((request.model.threads.get(), request.model.precision), (3, ForwardPrecision::Bf16));
}

#[test]
fn the_defaults_are_those_of_the_library() {
    let options = request("a.jpg").options;
    assert_eq!(options, Options::default());
}

#[test]
fn other_commands_need_no_picture() {
    assert!(matches!(resolve("--list-maps --device cpu").unwrap(), Command::ListMaps(_)));
    assert!(matches!(resolve("--completions bash").unwrap(), Command::Completions(_)));
    assert!(completions(clap_complete::Shell::Bash).contains("--maps-dir"));
    refused("");
    refused("--list-maps a.jpg");
}
