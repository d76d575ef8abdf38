use std::num::NonZeroUsize;

use cbam_core::classes::ClassChoice;
use cbam_core::device::ForwardPrecision;
use cbam_core::maps::MapName;
use cbam_core::photo::{Channels, Preprocess};
use clap::{CommandFactory, Parser};

use super::*;
use crate::backend::Script;
use crate::run::args::EXAMPLES;

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
    assert!(refused("a.jpg --overlay o.jpg --panel p.png --format jpg").contains("--panel p.png contradicts"));
    assert_eq!(format("a.jpg --overlay o.png --panel - --format jpg"), PictureFormat::Png);
    let both = request("a.jpg --out-dir o --format jpg --panel p.png").outputs;
    assert_eq!((both.format, both.panel.unwrap().format), (PictureFormat::Jpeg, PictureFormat::Png));
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
    assert!(matches!(request("a.jpg --json -").json, Some(Target::Stream(_))));
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
    assert_eq!(self::request("a.jpg --overlay o.png --map fused --map patch").options.maps.len(), 2);
    let look = |line: &str| self::request(line).options.overlay;
    assert_eq!(look("a.jpg"), Overlay::default());
    assert_eq!(look("a.jpg --opacity constant"), Overlay::constant());
    assert_eq!(look("a.jpg --opacity constant --alpha 0.2"), Overlay { alpha: 0.2, ..Overlay::constant() });
    assert!(refused("a.jpg --overlay - --map fused --map patch").contains("takes one"));
    assert!(refused("a.jpg --map attention").contains("attention"));
}

#[test]
fn a_comparison_names_its_maps_and_has_a_place() {
    let request = request("a.jpg --compare gradcam++,patch@3,4,rise,patch@5,6 --class 281 --seed 7");
    let names: Vec<_> = request.options.maps.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["gradcam++", "patch@3,4", "rise", "patch@5,6"]);
    assert!(request.options.compare && request.outputs.beside);
    assert_eq!(request.options.class, Some(ClassChoice::Number(281)));
    assert_eq!(request.options.explain.seed, 7);
    assert_eq!(self::request("a.jpg --map occlusion --window 9").options.explain.stride, 5);
    assert!(self::request("a.jpg b.jpg --compare fused --out-dir d").options.compare);
    assert!(refused("a.jpg --compare fused,gradcam --map fused").contains("--map"));
    assert!(refused("a.jpg --compare fused,gradcam --panel p.png").contains("--out-dir"));
    assert!(refused("a.jpg --compare fused,,gradcam").contains("is empty"));
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
        "a.jpg --alpha 0.25 --contour 0.5 --size 320 --threads 3 --batch-size 2 --format jpg --jpeg-quality 80 --precision bf16",
    );
    assert_eq!((request.options.overlay.alpha, request.options.overlay.contour), (0.25, Some(0.5)));
    assert_eq!((request.options.short_side, request.options.jpeg_quality), (Some(320), 80));
    assert_eq!((request.options.threads.get(), request.options.batch_size.map(NonZeroUsize::get)), (3, Some(2)));
    assert_eq!((request.model.how.threads.get(), request.model.how.precision), (3, ForwardPrecision::Bf16));
}

#[test]
fn the_defaults_are_those_of_the_library() {
    let options = request("a.jpg").options;
    let network = Some("EfficientNet-Lite0 with attention".to_owned());
    assert_eq!(options, Options { network, ..Options::default() });
    assert_eq!(request("a.jpg --weights w/net.pth").options.network.as_deref(), Some("net.pth"));
}

#[test]
fn other_commands_need_no_picture() {
    assert!(matches!(resolve("--list-maps --device cpu").unwrap(), Command::ListMaps(_)));
    refused("");
    refused("--list-maps a.jpg");
}

#[test]
fn options_without_effect_are_errors() {
    for option in ["--arch resnet18", "--stride-in 1x1", "--pool-order max-mean", "--part ema"] {
        assert!(refused(&format!("a.jpg {option}")).contains("--weights"), "{option}");
    }
    for option in [
        "--map fused",
        "--overlay o.png",
        "--alpha 0.2",
        "--labels l.txt",
        "--mean 0.5",
        "--batch-size 2",
        "--max-pixels 5M",
        "--memory 1G",
        "--outputs sigmoid",
        "--deterministic",
        "--size 64",
        "--square",
    ] {
        assert!(refused(&format!("--weights w.pth --check r.safetensors {option}")).contains("--check"), "{option}");
    }
    for (line, option) in [
        ("a.jpg --masks 50", "--masks"),
        ("a.jpg --map gradcam --seed 1", "--seed"),
        ("a.jpg --map rise --window 8", "--window"),
        ("a.jpg --stride 4", "--stride"),
        ("a.jpg --compare gradcam,fused --masks 50", "--masks"),
        ("a.jpg --jpeg-quality 80", "--jpeg-quality"),
        ("a.jpg --overlay o.png --jpeg-quality 80", "--jpeg-quality"),
        ("a.jpg --overlay o.png --panel p.webp --jpeg-quality 80", "--jpeg-quality"),
        ("a.jpg --json r.json --format jpg", "--format"),
        ("a.jpg --maps-dir m --contour 0.5", "--contour"),
        ("a.jpg --maps-dir m --scale run", "--scale"),
        ("a.jpg --json r.json --alpha 0.2", "--alpha"),
        ("a.jpg --json r.json --opacity attention", "--opacity"),
        ("a.jpg --json r.json --resample nearest", "--resample"),
        ("a.jpg --map channel:stage5 --colormap jet", "--colormap"),
        ("a.jpg --map channel:stage5 --legend", "--legend"),
        ("a.jpg --compare fused,gradcam --legend", "--legend"),
        ("a.jpg --compare fused,gradcam --width 300", "--width"),
        ("a.jpg --panel p.png --width 300", "--width"),
        ("a.jpg --maps-dir m --refine", "--refine"),
        ("a.jpg --refine --alpha 0", "--refine"),
        ("a.jpg --html p.html --refine", "--refine"),
        ("a.jpg --html p.html --legend", "--legend"),
        ("a.jpg --html p.html --width 300", "--width"),
        ("a.jpg --html p.html --format jpg", "--format"),
        ("a.jpg --torchscript-outputs 1", "--torchscript-outputs"),
        ("a.jpg --weights w.pth --torchscript-outputs 7", "--torchscript-outputs"),
        ("a.jpg --outputs sigmoid", "--outputs"),
        ("--list-maps --colormap jet", "--colormap"),
        ("--list-maps --json r.json", "--json"),
        ("--list-maps --map fused", "--map"),
        ("--list-maps --labels l.txt", "--labels"),
        ("--list-maps --batch-size 2", "--batch-size"),
        ("--list-maps --max-pixels 5M", "--max-pixels"),
        ("--list-maps --memory 1G", "--memory"),
        ("--list-maps --mean 0.5", "--mean"),
        ("--list-maps --weights w.pth --outputs sigmoid", "--outputs"),
        ("--list-maps --precision f16", "--precision"),
        ("--list-maps --deterministic", "--deterministic"),
        ("--list-maps --quiet", "--quiet"),
        ("--list-maps --size 64", "--size"),
        ("--list-maps --weights w.pth --square", "--square"),
        ("--torchscript t.pt --check r.safetensors --torchscript-outputs 1", "--torchscript-outputs"),
    ] {
        let message = refused(line);
        assert!(message.contains(option) && message.contains("no effect"), "{line}: {message}");
    }
    for line in [
        "a.jpg --map rise --masks 50 --seed 3",
        "a.jpg --compare fused,occlusion --window 8 --stride 4",
        "a.jpg --overlay o.jpg --jpeg-quality 80",
        "a.jpg --overlay - --format jpg --jpeg-quality 80",
        "a.jpg --panel p.JPEG --jpeg-quality 80",
        "a.jpg --out-dir o --format jpg --jpeg-quality 80",
        "a.jpg --map channel:stage5 --panel p.png --colormap jet",
        "a.jpg --maps-dir m --overlay o.png --scale run",
        "a.jpg --panel p.png --refine",
        "a.jpg --html p.html --colormap jet --opacity constant --scale run --contour 0.5 --resample nearest --alpha 0.2",
        "a.jpg --html p.html --overlay o.png --legend",
        "a.jpg --map channel:stage5 --width 300",
        "a.jpg --map channel:stage5 --map fused --legend",
        // Which map that is, the network knows.
        "a.jpg --torchscript t.pt --masks 50",
        "a.jpg --torchscript t.pt --torchscript-outputs 1,2 --outputs sigmoid",
        "a.jpg --weights w.pth --arch resnet18 --outputs sigmoid",
        "--list-maps --weights w.pth --arch resnet18 --device cpu --threads 2",
        "--list-maps --torchscript t.pt --torchscript-outputs 1 --size 64 --square",
        "--check r.safetensors --weights w.pth --stride-in 1x1 --tolerance 0.01 --precision bf16 --quiet",
        "--check r.safetensors --torchscript t.pt --size 64 --square",
    ] {
        resolve(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn a_page_is_one_file_and_knows_how_the_network_was_opened() {
    let request =
        request("a.jpg --html p.html --weights w.pth --arch resnet18 --mean 0.5,0.4,0.3 --square --map gradcam");
    assert_eq!(request.outputs.html.as_deref(), Some(std::path::Path::new("p.html")));
    assert!(!request.outputs.beside, "a page is output enough");
    let opening = ["--weights", "w.pth", "--arch", "resnet18", "--mean", "0.5,0.4,0.3", "--square"];
    let mut words = request.words.opening.clone().unwrap();
    words.sort();
    let mut expected = opening.map(str::to_owned);
    expected.sort();
    assert_eq!(words, expected);
    let rise = self::request("a.jpg --html p.html --map rise --masks 50 --seed 3").words;
    assert_eq!(
        (rise.opening, &rise.methods["rise"][..]),
        (Some(Vec::new()), &["--masks", "50", "--seed", "3"].map(str::to_owned)[..])
    );
    assert!(rise.methods["occlusion"].is_empty());
    assert!(refused("a.jpg --html -").contains("--html writes a file"));
    assert!(refused("a.jpg --compare fused,gradcam --html p.html").contains("--compare"));
}

#[test]
fn labels_are_for_what_shows_them() {
    let check = |line: &str, pictures: usize| request(line).check_labels(pictures).is_ok();
    assert!(check("a.jpg --labels l.txt", 1) && check("in --labels l.txt --json r.json", 9));
    assert!(check("in --labels l.txt --panel-dir p", 9) && check("in --labels l.txt --map gradcam --class cat", 9));
    assert!(check("in --labels l.txt --compare gradcam,fused", 9) && check("in --out-dir o", 9));
    assert!(check("in --labels l.txt --out-dir o --legend", 9) && check("in --labels l.txt --html p.html", 9));
    assert!(!check("in --labels l.txt --out-dir o --legend --map spatial", 9));
    assert!(!check("in --labels l.txt --out-dir o", 9) && !check("a.jpg --labels l.txt --quiet", 1));
    assert!(!check("in --labels l.txt --compare spatial,patch", 9) && !check("a.jpg --labels l.txt --overlay -", 1));
}

#[test]
fn how_pictures_are_taken_is_for_every_network() {
    let own = Preprocess::default();
    let change = |line: &str| request(line).model.taken.input;
    assert_eq!(change("a.jpg").apply(own.clone()), own);
    let changed = change("a.jpg --weights w.pth --mean 0.5 --std 0.5,0.25,1 --square").apply(own.clone());
    let (mean, std) = ([127.5; 3], [127.5, 63.75, 255.0]);
    assert_eq!(changed, Preprocess { mean, std, max_ratio: 1, ..own });
    let changed = change("a.jpg --weights w.pth --scale-to -1..1 --channels bgr").apply(own.clone());
    assert_eq!((changed.mean, changed.std, changed.channels), ([127.5; 3], [127.5; 3], Channels::Bgr));
    let changed = change("a.jpg --weights w.pth --scale-to 0..255 --mean 104,117,124").apply(own.clone());
    assert_eq!((changed.mean, changed.std), ([104.0, 117.0, 124.0], [1.0; 3]));
    for wrong in [
        "--scale-to 0..2",
        "--channels bgra",
        "--mean 0.5,0.5",
        "--mean red",
        "--mean nan",
        "--std 0",
        "--std 0.5,0,0.5",
        "--std -1",
    ] {
        refused(&format!("a.jpg {wrong}"));
    }
    match request("a.jpg --torchscript t.pt --size 64 --square --mean 0").model.kind {
        ModelKind::Script(Script { preprocess, .. }) => {
            assert_eq!((preprocess.short_side, preprocess.multiple, preprocess.max_ratio), (64, 1, 1));
            assert_eq!(preprocess.mean, [0.0; 3]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_read_as_people_write_them() {
    let map = |name: &str| request(&format!("a.jpg --map {name}")).options.maps[0].to_string();
    for (written, name) in [
        ("GradCAM", "gradcam"),
        ("grad-cam", "gradcam"),
        ("Grad-CAM++", "gradcam++"),
        ("grad_cam_pp:stage5", "gradcam++:stage5"),
        ("GradCAMPlusPlus", "gradcam++"),
        ("Score-CAM:stage5", "scorecam:stage5"),
        ("Fused", "fused"),
        ("Patch@3,4", "patch@3,4"),
        ("gradcam:output:1", "gradcam:output:1"),
    ] {
        assert_eq!(map(written), name);
    }
    for (wrong, near) in [("fussed", "fused"), ("gradcan", "gradcam"), ("ocluson", "occlusion"), ("spacial", "spatial")]
    {
        let message = refused(&format!("a.jpg --map {wrong}"));
        assert!(message.contains(&format!("the nearest name is {near}")), "{message}");
    }
    assert!(refused("a.jpg --map heat").contains("there are fused, object, spatial"));
}
