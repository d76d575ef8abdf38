//! Which files a run will write: planned for all pictures before any work.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Read, stdin, stdout};
use std::path::{Path, PathBuf};

use cbam_core::Error;
use cbam_core::maps::{Detail, MapName};
use cbam_core::photo::Limits;
use cbam_core::pipeline::{Destination, Job, Source, Target};
use cbam_core::render::PictureFormat;

use crate::common::claims::Claims;
use crate::common::scan::{Found, Picture, left_out, scan};
use crate::common::start::stdout_is_open;
use crate::run::args::usage;
use crate::run::clash;
use crate::run::request::{Outputs, Request, only_one};

/// The work of a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) jobs: Vec<Job>,
    /// Inputs that gave no picture.
    pub(crate) problems: Vec<Error>,
    /// What is worth knowing before the work: files left out, outputs in folders of their own.
    pub(crate) notes: Vec<String>,
}

/// Finds the pictures and gives each its output files.
///
/// Two outputs of one name, and outputs over inputs, are usage errors.
pub(crate) fn plan(request: &Request) -> Result<Plan, clap::Error> {
    let Outputs { overlay, panel, out_dir, panel_dir, maps_dir, html, beside, format } = &request.outputs;
    let folders: Vec<_> = [out_dir, panel_dir, maps_dir].into_iter().flatten().map(PathBuf::as_path).collect();
    clash::check_inputs(&request.inputs)?;
    let Found { mut pictures, problems, folders: walked } = scan(&request.inputs, &folders);
    let mut notes = left_out(&walked);
    let inputs: Vec<PathBuf> = walked.into_iter().map(|(folder, _)| folder).collect();
    if !inputs.is_empty() {
        for (option, given) in [("--overlay", overlay.is_some()), ("--panel", panel.is_some())] {
            if given {
                return Err(usage(only_one(option)));
            }
        }
    }
    for folder in [out_dir, panel_dir].into_iter().flatten() {
        if let Some(input) = inputs.iter().find(|input| same(input, folder)) {
            return Err(usage(format!("{} is an input folder: pictures cannot be written into it", input.display())));
        }
    }
    let mut claims = Claims::default();
    for picture in &pictures {
        claims.read("the picture", &picture.path);
    }
    for (option, path) in request.files() {
        claims.read(option, path);
    }
    for (option, target) in request.targets() {
        let path = match target {
            Target::File(path) => path,
            Target::Stream(_) => standard_output(option)?,
        };
        claims.write(option, path).map_err(usage)?;
    }

    if let Some(page) = html {
        claims.write("--html", page).map_err(usage)?;
    }

    if (*beside || !folders.is_empty()) && clash::part(&mut pictures, &inputs, *beside)? {
        notes.push(
            "pictures of several folders have one name: the outputs of each folder are in a folder of its name".into(),
        );
    }
    notes.extend(wordless(request));
    let names = Names::new(&pictures, *beside);
    let alone = pictures.len() + problems.len() == 1;
    let detail = if alone { Detail::Whole } else { Detail::Means };
    let page = html.as_ref().map(|_| detail);
    let mut jobs = Vec::with_capacity(pictures.len());
    for picture in pictures {
        let base = names.base(&picture);
        let in_folder = |folder: &PathBuf| file(append(&folder.join(&base), ".", format.extension()), *format);
        let mut overlay = overlay.clone().or_else(|| out_dir.as_ref().map(in_folder));
        if *beside {
            let kind = if request.options.compare { "-compare." } else { "-overlay." };
            overlay = Some(file(append(&base, kind, format.extension()), *format));
        }
        let overlays = match &*request.options.maps {
            maps @ [_, _, ..] if !request.options.compare => {
                overlay.iter().flat_map(|to| each_overlay(to, maps)).collect()
            }
            _ => Vec::from_iter(overlay),
        };
        let panel = panel.clone().or_else(|| panel_dir.as_ref().map(in_folder));
        let maps: Vec<_> =
            maps_dir.iter().flat_map(|folder| map_files(&folder.join(&base), &request.options.maps)).collect();
        for path in overlays.iter().chain(&panel).filter_map(path).chain(maps.iter().map(PathBuf::as_path)) {
            claims.write(&picture.path.to_string_lossy(), path).map_err(usage)?;
        }
        let source = Source::File(picture.path);
        jobs.push(Job { source, overlays, panel, maps, page, keep: false });
    }
    Ok(Plan { jobs, problems, notes })
}

/// What is to be said where a picture's file cannot say that its map was refined.
fn wordless(request: &Request) -> Option<String> {
    let Outputs { overlay, panel, out_dir, panel_dir, beside, format, .. } = &request.outputs;
    let named = [overlay, panel].into_iter().flatten().map(|to| to.format);
    let made_up = (*beside || out_dir.is_some() || panel_dir.is_some()).then_some(*format);
    let format = named.chain(made_up).find(|format| request.options.overlay.refine && !format.holds_words())?;
    Some(format!(
        "--refine: a file of {format} cannot say that its map is finer than the network sees; png, jpg and webp do"
    ))
}

impl Plan {
    /// Reads standard input, if it is one of the pictures: the whole of it, up to the limit for a picture. If that fails, it is
    /// one of the problems.
    pub(crate) fn read_stdin(&mut self, limits: &Limits) -> cbam_core::Result<()> {
        let is_stdin = |job: &Job| job.source == Source::File("-".into());
        let Some(place) = self.jobs.iter().position(is_stdin) else { return Ok(()) };
        if stdin().is_terminal() {
            let message = "standard input is a terminal: send a picture through a pipe, as in cbam-run - < photo.jpg";
            return Err(Error::argument("-", message));
        }
        let mut bytes = Vec::new();
        match stdin().lock().take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes) {
            Ok(_) => self.jobs[place].source = Source::Bytes { name: "-".into(), bytes: bytes.into() },
            Err(error) => {
                self.jobs.remove(place);
                self.problems.push(Error::io("standard input")(error));
            }
        }
        Ok(())
    }
}

/// Whether two paths are one folder that exists.
fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The name of standard output, if `option` can be written to it.
pub(super) fn standard_output(option: &str) -> Result<&'static Path, clap::Error> {
    if !stdout_is_open() {
        return Err(usage(format!("{option} -: standard output is closed")));
    }
    if option != "--json" && stdout().is_terminal() {
        return Err(usage(format!("{option} -: standard output is a terminal, which shows no pictures: name a file")));
    }
    Ok(Path::new("-"))
}

fn file(path: PathBuf, format: PictureFormat) -> Destination {
    Destination { target: Target::File(path), format }
}

fn path(destination: &Destination) -> Option<&Path> {
    match &destination.target {
        Target::File(path) => Some(path),
        Target::Stream(_) => None,
    }
}

/// The overlay's file for each of several maps: `BASE.MAP.png` of `BASE.png`.
fn each_overlay<'a>(overlay: &'a Destination, maps: &'a [MapName]) -> impl Iterator<Item = Destination> + 'a {
    let of_map = |path: &Path, name: &MapName| {
        let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        append(&path.with_extension(""), &format!(".{}", file_part(name)), &extension.unwrap_or_default())
    };
    let target = move |name| match &overlay.target {
        Target::File(path) => Target::File(of_map(path, name)),
        stream @ Target::Stream(_) => stream.clone(), // of one map alone
    };
    maps.iter().map(move |name| Destination { target: target(name), format: overlay.format })
}

/// `BASE.npy`, or `BASE.MAP.npy` for each of several maps.
pub(super) fn map_files(base: &Path, maps: &[MapName]) -> Vec<PathBuf> {
    match maps {
        [] | [_] => vec![append(base, ".", "npy")],
        maps => maps.iter().map(|name| append(base, &format!(".{}.", file_part(name)), "npy")).collect(),
    }
}

/// A map's name without the characters that some file systems refuse: `spatial-stage5`, `patch-at-3-4`.
fn file_part(name: &MapName) -> String {
    name.to_string().replace('@', "-at-").replace([':', ',', '/'], "-")
}

fn append(base: &Path, join: &str, extension: &str) -> PathBuf {
    let mut path = OsString::from(base);
    path.push(join);
    path.push(extension);
    path.into()
}

/// The name of each picture's outputs, without extension: its stem, or its whole file name where two pictures have one
/// stem.
struct Names {
    beside: bool,
    stems: HashMap<PathBuf, usize>,
}

impl Names {
    fn new(pictures: &[Picture], beside: bool) -> Self {
        let mut names = Self { beside, stems: HashMap::with_capacity(pictures.len()) };
        for picture in pictures {
            *names.stems.entry(names.place(picture).with_extension("")).or_default() += 1;
        }
        names
    }

    /// Outputs beside the pictures are told apart by where the pictures are; others by where they lie in the mirror.
    fn place<'p>(&self, picture: &'p Picture) -> &'p Path {
        if self.beside { &picture.path } else { &picture.relative }
    }

    fn base(&self, picture: &Picture) -> PathBuf {
        let place = self.place(picture);
        let stem = place.with_extension("");
        if self.stems.get(&stem).is_some_and(|count| *count > 1) { place.to_owned() } else { stem }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
