use std::fs;

use clap::Parser;

use super::*;
use crate::run::args::Args;
use crate::run::request::Command;

/// A folder of files, and paths in it.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for file in files {
            fs::create_dir_all(tree.path(file).parent().unwrap()).unwrap();
            fs::write(tree.path(file), "").unwrap();
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Plans a command line in which `@` stands for the folder.
    fn plan(&self, line: &str) -> Result<Plan, clap::Error> {
        let folder = format!("{}/", self.0.path().display());
        let words = line.split_whitespace().map(|word| match word.strip_prefix('@') {
            Some(rest) => format!("{folder}{rest}"),
            None => word.to_owned(),
        });
        match Args::try_parse_from(std::iter::once("cbam-run".to_owned()).chain(words)).and_then(Args::resolve)? {
            Command::Run(request) => plan(&request),
            other => panic!("{other:?}"),
        }
    }

    /// The files that a plan writes, below the folder, in the order of the pictures.
    fn outputs(&self, line: &str) -> Vec<String> {
        let plan = self.plan(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let relative = |path: &Path| path.strip_prefix(self.0.path()).unwrap().display().to_string();
        let of_job = |job: &Job| {
            let pictures = job.overlays.iter().chain(&job.panel).filter_map(path).map(relative);
            pictures.chain(job.maps.iter().map(|path| relative(path))).collect::<Vec<_>>()
        };
        plan.jobs.iter().flat_map(of_job).collect()
    }

    fn refused(&self, line: &str) -> String {
        let error = self.plan(line).expect_err(line);
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }
}

#[test]
fn folders_are_mirrored_and_files_go_to_the_top() {
    let tree = Tree::new(&["in/a.jpg", "in/deep/er/b.png", "other/c.d.webp"]);
    assert_eq!(
        tree.outputs("@in @other/c.d.webp --out-dir @o --panel-dir @p --maps-dir @m --format jpg"),
        [
            "o/a.jpg",
            "p/a.jpg",
            "m/a.npy",
            "o/deep/er/b.jpg",
            "p/deep/er/b.jpg",
            "m/deep/er/b.npy",
            "o/c.d.jpg",
            "p/c.d.jpg",
            "m/c.d.npy"
        ]
    );
}

#[test]
fn a_comparison_goes_beside_the_picture_or_where_the_overlay_would() {
    let tree = Tree::new(&["in/a.jpg"]);
    assert_eq!(tree.outputs("@in --compare fused,gradcam"), ["in/a-compare.png"]);
    assert_eq!(
        tree.outputs("@in/a.jpg --compare fused,gradcam:stage5 --overlay @s.webp --maps-dir @m"),
        ["s.webp", "m/a.fused.npy", "m/a.gradcam-stage5.npy"]
    );
}

#[test]
fn pictures_of_one_stem_keep_their_extension() {
    let tree = Tree::new(&["in/x.jpg", "in/x.png", "in/y.png", "in/sub/x.png"]);
    assert_eq!(tree.outputs("@in --maps-dir @m"), ["m/sub/x.npy", "m/x.jpg.npy", "m/x.png.npy", "m/y.npy"]);
    assert_eq!(
        tree.outputs("@in/x.jpg @in/x.png @in/y.png"),
        ["in/x.jpg-overlay.png", "in/x.png-overlay.png", "in/y-overlay.png"]
    );
    // Side by side with a picture of the same stem elsewhere, nothing clashes.
    assert_eq!(tree.outputs("@in/y.png @in/sub/x.png"), ["in/y-overlay.png", "in/sub/x-overlay.png"]);
}

#[test]
fn several_maps_carry_their_names() {
    let tree = Tree::new(&["a.jpg"]);
    let line = "@a.jpg --maps-dir @m --map fused --map spatial:stage5 --map patch@3,4";
    assert_eq!(tree.outputs(line), ["m/a.fused.npy", "m/a.spatial-stage5.npy", "m/a.patch-at-3-4.npy"]);
    assert_eq!(tree.outputs("@a.jpg --maps-dir @m --map patch"), ["m/a.npy"]);
    let two = "--map patch@3,4 --map patch@50,6";
    assert_eq!(
        tree.outputs(&format!("@a.jpg --overlay @o.v2.webp {two}")),
        ["o.v2.patch-at-3-4.webp", "o.v2.patch-at-50-6.webp"]
    );
    assert_eq!(tree.outputs(&format!("@a.jpg {two}")), ["a-overlay.patch-at-3-4.png", "a-overlay.patch-at-50-6.png"]);
    assert_eq!(tree.outputs("@a.jpg --out-dir @o --map fused --map patch"), ["o/a.fused.png", "o/a.patch.png"]);
    assert_eq!(tree.outputs("@a.jpg --out-dir @o --compare fused,patch"), ["o/a.png"]);
    let notes = |line: &str| tree.plan(line).unwrap().notes.join(" ");
    assert!(notes("@a.jpg --overlay @o.tiff --refine").contains("tiff"));
    assert!(notes("@a.jpg --overlay @o.webp --refine").is_empty() && notes("@a.jpg --overlay @o.tiff").is_empty());
}

#[test]
fn one_file_for_two_pictures_is_refused() {
    let tree = Tree::new(&["a/x.jpg", "b/x.jpg", "b/y.jpg"]);
    let message = tree.refused("@a/x.jpg @b/x.jpg --out-dir @o");
    assert!(message.contains("a/x.jpg") && message.contains("b/x.jpg"), "{message}");
    assert!(message.contains("folder above them"), "{message}");
    assert!(tree.refused("@a/x.jpg @a/x.jpg").contains("given twice"));
    tree.refused("@a @b/x.jpg --out-dir @o");
    tree.refused("@a/x.jpg @a/../a/x.jpg --maps-dir @m");
    tree.refused("@a/x.jpg --out-dir @o --panel-dir @o");
    tree.refused("@a/x.jpg --out-dir @o --panel-dir @a/../o");
    tree.refused("@a/x.jpg --overlay @o.png --json @o.png");
    tree.refused("@a/x.jpg --maps-dir @m --map fused --map fused");
}

#[test]
fn folders_with_pictures_of_one_name_have_a_folder_each() {
    let tree = Tree::new(&["t/cat/1.png", "t/cat/deep/2.png", "t/dog/1.png", "more.png", "t/dog/._3.png"]);
    assert_eq!(
        tree.outputs("@t/cat @t/dog @more.png --out-dir @o"),
        ["o/cat/1.png", "o/cat/deep/2.png", "o/dog/1.png", "o/more.png"]
    );
    let notes = tree.plan("@t/cat @t/dog --out-dir @o").unwrap().notes;
    assert!(notes[0].contains("t/dog: left out: 1 hidden or of the system (._3.png)"), "{notes:?}");
    assert!(notes[1].contains("a folder of its name"), "{notes:?}");
    assert_eq!(tree.outputs("@t --out-dir @o"), ["o/cat/1.png", "o/cat/deep/2.png", "o/dog/1.png"]);
    assert_eq!(
        tree.outputs("@t/cat @t/dog"),
        ["t/cat/1-overlay.png", "t/cat/deep/2-overlay.png", "t/dog/1-overlay.png"]
    );
}

#[test]
fn no_output_goes_over_an_input() {
    let tree = Tree::new(&["in/x.png", "in/y.jpg", "z.png"]);
    assert!(tree.refused("@in/x.png --overlay @in/x.png").contains("over the picture"));
    tree.refused("@in/x.png --json @in/../in/x.png");
    tree.refused("@z.png @in --out-dir @.");
    assert!(tree.refused("@in --out-dir @in").contains("input folder"));
    assert!(tree.refused("@in --panel-dir @in/.").contains("input folder"));
    assert_eq!(tree.outputs("@in --maps-dir @in"), ["in/x.npy", "in/y.npy"]);
}

#[cfg(unix)]
#[test]
fn links_do_not_hide_a_clash() {
    let tree = Tree::new(&["a/x.jpg", "b/x.jpg", "o/keep"]);
    std::os::unix::fs::symlink(tree.path("o"), tree.path("link")).unwrap();
    std::os::unix::fs::symlink(tree.path("a/x.jpg"), tree.path("out.png")).unwrap();
    tree.refused("@a/x.jpg --out-dir @o --panel-dir @link");
    tree.refused("@a/x.jpg --overlay @out.png");
    assert_eq!(tree.plan("@a/x.jpg @b/x.jpg --json /dev/null --maps-dir @m").unwrap_err().exit_code(), 2);
    tree.plan("@a/x.jpg --overlay /dev/null --format png --json /dev/null").unwrap();
}

#[test]
fn output_folders_inside_an_input_are_not_scanned() {
    let tree = Tree::new(&["in/x.png", "in/overlays/x.png", "in/panels/x.png", "in/x-overlay.png"]);
    assert_eq!(
        tree.outputs("@in --out-dir @in/overlays --panel-dir @in/panels"),
        ["in/overlays/x.png", "in/panels/x.png"]
    );
}

#[test]
fn a_folder_is_several_pictures() {
    let tree = Tree::new(&["in/x.png"]);
    assert!(tree.refused("@in --overlay @o.png").contains("--out-dir"));
    assert!(tree.refused("@in --panel @o.png").contains("--panel-dir"));
}

#[test]
fn absent_inputs_are_left_to_the_run() {
    let tree = Tree::new(&["in/x.png"]);
    let plan = tree.plan("@in/x.png @absent.jpg @no/folder --maps-dir @m").unwrap();
    assert_eq!((plan.jobs.len(), plan.problems.len()), (3, 0));
}

#[test]
fn standard_input_has_a_stem() {
    let tree = Tree::new(&[]);
    assert_eq!(tree.outputs("- --maps-dir @m --out-dir @o"), ["o/stdin.png", "m/stdin.npy"]);
}
